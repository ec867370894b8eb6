// Runs the tiles: waits for what a tile needs, sets it up, and issues it from nested address counters.
//
// It knows only events: loads that have arrived, stores that have left, tiles whose last result came
// out of the array.  How long anything takes is nowhere stored.
module sequencer #(
    parameter N = 2,
    parameter M = 2,
    parameter MAX_TILES = 64,
    parameter TOKEN = 179
) (
    input  logic clk,
    input  logic rst,
    input  logic [31:0] tiles,
    input  logic [31:0] setup,
    input  logic [31:0] reconfigure,
    input  logic prog_we,
    input  logic [31:0] prog_addr,
    input  logic [52*32-1:0] prog_data,
    input  logic [31:0] loads_arrived,
    input  logic [31:0] stores_left,
    input  logic [31:0] tiles_done,
    input  logic port_finished,
    output logic [TOKEN-1:0] token,  // {last of tile, last step, first step, valid, tile, counters}
    output logic [31:0] tile,
    output logic [2:0] kind,
    output logic finished
);
`include "fields.svh"
  localparam WAIT = 0, SETUP = 1, ISSUE = 2;

  logic [WIDTH-1:0] store[0:MAX_TILES-1];
  always_ff @(posedge clk) if (prog_we) store[prog_addr] <= prog_data;

  function automatic [31:0] ceil_div(input [31:0] a, input [31:0] b);
    ceil_div = (a + b - 1) / b;
  endfunction

  wire [WIDTH-1:0] d = store[tile];
  wire [12:0] flags = d[FLAGS*32+:13];
  wire filter = flags[F_FILTER], swapped = flags[F_SWAPPED];
  wire empty = d[ISSUE_EMPTY*32];

  // --- extents of the ten counters, outermost first
  wire [31:0] positions = d[B*32+:32] * d[R*32+:32] * d[C*32+:32];
  // Lanes of a row: the unit's 64 bit products shared among products of the two modes.
  wire [2:0] joined = {1'b0, d[X_MODE*32+:2]} + {1'b0, d[Y_MODE*32+:2]};
  wire [31:0] lanes = N * (32'd16 >> joined);
  wire [31:0] across = !swapped ? d[O*32+:32] : filter ? d[CH*32+:32] : positions;
  wire [31:0] reduced = filter ? positions : d[CH*32+:32];
  logic [31:0] extent[0:9];
  always_comb begin
    extent[0] = d[G*32+:32];
    extent[1] = ceil_div(across, M);
    extent[2] = !filter && !swapped ? d[B*32+:32] : 1;
    extent[3] = !filter && !swapped ? d[R*32+:32] : 1;
    extent[4] = swapped ? d[O*32+:32] : filter ? d[CH*32+:32] : d[C*32+:32];
    extent[5] = d[KR*32+:32];
    extent[6] = d[KC*32+:32];
    extent[7] = ceil_div(reduced, lanes);
    extent[8] = d[X_SLICES*32+:32];
    extent[9] = d[Y_SLICES*32+:32];
  end

  logic [1:0] state;
  logic [31:0] setup_left, settled;
  logic [31:0] loads_before, visits_before;  // of the tiles before this one
  logic [15:0] count[0:9];

  // --- what a tile waits for
  wire more = tile < tiles;
  wire loads = flags[F_LOAD_X] || flags[F_LOAD_Y] || flags[F_LOAD_Z];
  wire wait_load = loads_arrived < loads_before + {31'd0, loads};
  // The visit before the last held the half this visit takes over; at a fence the last one has left, too.
  wire wait_store =
      flags[F_NEW] && stores_left + {31'd0, !flags[F_FENCE]} < visits_before;
  wire all_done = tiles_done == tile;
  wire hazard = !flags[F_NEW] && !all_done;
  wire switching = flags[F_SWITCH] && !(all_done && settled >= reconfigure);
  wire start = more && state == WAIT && !wait_load && !wait_store && !hazard && !switching;
  wire last_setup = (start && setup == 1) || (state == SETUP && setup_left == 1);

  logic [9:0] at_end;
  logic last_issue;
  integer i;
  always_comb begin
    for (i = 0; i < 10; i = i + 1) at_end[i] = {16'd0, count[i]} == extent[i] - 1;
    last_issue = state == ISSUE && &at_end;
  end

  // The reduction is the inner part of the nest: an output is complete when it wraps.
  wire [9:0] inner = filter ? 10'b1110000000 : 10'b1111100000;
  logic first_step, last_step;
  always_comb begin
    first_step = 1;
    for (i = 0; i < 10; i = i + 1) if (inner[i] && count[i] != 0) first_step = 0;
    last_step = (inner & ~at_end) == 0;
  end
  wire valid = state == ISSUE;
  assign token = {
    (last_issue || (last_setup && empty)), valid && last_step, valid && first_step, valid, tile[14:0],
    count[9], count[8], count[7], count[6], count[5], count[4], count[3], count[2], count[1], count[0]
  };

  always_comb begin
    finished = 0;
    if (!more) begin
      kind = tiles_done < tiles ? K_FILL_DRAIN : K_WAIT_STORE;
      finished = tiles_done == tiles && port_finished;
    end else if (state == ISSUE) kind = K_ISSUE;
    else if (state == SETUP || start) kind = K_SETUP;
    else if (wait_load) kind = K_WAIT_LOAD;
    else if (wait_store) kind = K_WAIT_STORE;
    else if (hazard) kind = K_HAZARD;
    else kind = K_SWITCH;
  end

  logic carry;
  integer k;
  always_ff @(posedge clk) begin
    if (rst) begin
      tile <= 0;
      state <= WAIT;
      setup_left <= 0;
      settled <= 0;
      loads_before <= 0;
      visits_before <= 0;
      for (k = 0; k < 10; k = k + 1) count[k] <= 0;
    end else begin
      settled <= all_done ? settled + 1 : 0;
      if (start && setup > 1) begin
        state <= SETUP;
        setup_left <= setup - 1;
      end else if (state == SETUP) setup_left <= setup_left - 1;
      if (last_setup && !empty) state <= ISSUE;
      if (state == ISSUE) begin
        carry = 1;
        for (k = 9; k >= 0; k = k - 1)
          if (carry) begin
            count[k] <= at_end[k] ? 16'd0 : count[k] + 16'd1;
            carry = at_end[k];
          end
      end
      if (last_issue || (last_setup && empty)) begin
        state <= WAIT;
        tile <= tile + 1;
        loads_before <= loads_before + {31'd0, loads};
        visits_before <= visits_before + {31'd0, flags[F_NEW]};
      end
    end
  end
endmodule
