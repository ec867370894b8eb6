// N x M fusion units with their buffers: streamed operand to the right, partial sums down.
//
// A token issued in cycle t reads row r's bank in cycle t + r and unit (r, c)'s own bank in t + r + c,
// whose registers feed the unit one cycle later; the sum leaves the last row of column c, enters that
// column's accumulator, and with the last step of an output its buffer.  Only tokens say when.
module array #(
    parameter N = 2,
    parameter M = 2,
    parameter MAX_TILES = 64,
    parameter SLOTS = 16,
    parameter DEPTH_X = 1024,  // words of one half
    parameter DEPTH_Y = 1024,
    parameter DEPTH_Z = 1024,
    parameter TOKEN = 179
) (
    input  logic clk,
    input  logic rst,
    input  logic prog_we,
    input  logic [31:0] prog_addr,
    input  logic [52*32-1:0] prog_data,
    input  logic [TOKEN-1:0] token,
    output logic [31:0] tiles_done,
    // words that arrive
    input  logic [SLOTS-1:0] in_valid,
    input  logic [SLOTS*16-1:0] in_place,
    input  logic [SLOTS*64-1:0] in_word,
    input  logic [1:0] in_operand,
    input  logic in_half,
    // words that leave
    input  logic [SLOTS*16-1:0] out_place,
    input  logic out_half,
    output logic [SLOTS*64-1:0] out_word,
    // what happened in this cycle, for the test bench to count
    output logic [31:0] seen_x_bits,  // read from the input operand's buffer
    output logic [31:0] seen_y_bits,
    output logic [31:0] seen_products,  // bit products of lanes with two real operands
    output logic [31:0] seen_z_reads,  // outputs read for read-modify-write
    output logic [31:0] seen_z_writes
);
`include "fields.svh"
  localparam VALID = 175, FIRST = 176, LAST_STEP = 177, LAST = 178;

  logic [WIDTH-1:0] store[0:MAX_TILES-1];
  always_ff @(posedge clk) if (prog_we) store[prog_addr] <= prog_data;

  logic [31:0] x_buffer[0:2*DEPTH_X-1];
  logic [31:0] y_buffer[0:2*DEPTH_Y-1];
  logic signed [63:0] z_buffer[0:2*DEPTH_Z-1];

  // --- tokens travel with the wave: stage k holds what was issued k cycles ago
  logic [TOKEN-1:0] wave[0:N+M];
  integer w;
  always_comb wave[0] = token;
  always_ff @(posedge clk)
    for (w = 1; w <= N + M; w = w + 1) wave[w] <= rst ? {TOKEN{1'b0}} : wave[w-1];

  // --- what a lane multiplies
  // Inputs of the address functions; set right before each call.
  logic [WIDTH-1:0] d;
  logic filter, swapped;
  logic [31:0] lanes;  // of a row
  logic [31:0] out_channel, channel, batch, row, col, position, reduced, across, in_row, in_col;
  logic inside_tile, real_tap;

  // The tile a token belongs to.
  task automatic open(input [TOKEN-1:0] t);
    begin
      d = store[t[160+:15]];
      filter = d[FLAGS*32+F_FILTER];
      swapped = d[FLAGS*32+F_SWAPPED];
      lanes = 32'd16 >> ({1'b0, d[X_MODE*32+:2]} + {1'b0, d[Y_MODE*32+:2]});
    end
  endtask

  // Reduction index (of lanes) and column index of an opened token t -> operand indices.
  task automatic locate(input [TOKEN-1:0] t, input [31:0] lane, input [31:0] column, input with_column);
    begin
      reduced = {16'd0, t[7*16+:16]} * N * lanes + lane;
      across = {16'd0, t[1*16+:16]} * M + column;
      position = d[B*32+:32] * d[R*32+:32] * d[C*32+:32];
      inside_tile = reduced < (filter ? position : d[CH*32+:32]);
      if (with_column)
        inside_tile = inside_tile && across < (!swapped ? d[O*32+:32] : filter ? d[CH*32+:32] : position);
      out_channel = swapped ? {16'd0, t[4*16+:16]} : across;
      channel = !filter ? reduced : swapped ? across : {16'd0, t[4*16+:16]};
      if (filter || swapped) begin
        position = filter ? reduced : across;
        col = position % d[C*32+:32];
        row = (position / d[C*32+:32]) % d[R*32+:32];
        batch = position / (d[C*32+:32] * d[R*32+:32]);
      end else begin
        batch = {16'd0, t[2*16+:16]};
        row = {16'd0, t[3*16+:16]};
        col = {16'd0, t[4*16+:16]};
      end
      in_row = row * d[ROW_STRIDE*32+:32] + {16'd0, t[5*16+:16]} * d[ROW_STEP*32+:32] + d[ROW_FIRST*32+:32];
      in_col = col * d[COL_STRIDE*32+:32] + {16'd0, t[6*16+:16]} * d[COL_STEP*32+:32] + d[COL_FIRST*32+:32];
      // Negative indices are large unsigned ones.
      real_tap = inside_tile && in_row < d[IN_ROWS*32+:32] && in_col < d[IN_COLS*32+:32];
    end
  endtask

  function automatic [31:0] filter_place(input [TOKEN-1:0] t);
    filter_place = ((({16'd0, t[0+:16]} * d[O*32+:32] + out_channel) * d[CH*32+:32] + channel) * d[KR*32+:32]
        + {16'd0, t[5*16+:16]}) * d[KC*32+:32] + {16'd0, t[6*16+:16]};
  endfunction
  function automatic [31:0] map_place(input [TOKEN-1:0] t);
    map_place = ((({16'd0, t[0+:16]} * d[B*32+:32] + batch) * d[R*32+:32] + row) * d[C*32+:32] + col)
        * d[O*32+:32] + out_channel;
  endfunction
  function automatic [31:0] x_place(input [TOKEN-1:0] t);
    x_place = ((({16'd0, t[0+:16]} * d[B*32+:32] + batch) * d[BOX_ROWS*32+:32] + in_row - d[BOX_ROW*32+:32])
        * d[BOX_COLS*32+:32] + in_col - d[BOX_COL*32+:32]) * d[CH*32+:32] + channel;
  endfunction
  // The slice of a word this pass multiplies.
  function automatic [31:0] slice(input [31:0] word, input [15:0] number, input [1:0] mode);
    slice = (word >> (number * (2 << mode))) & ((32'd1 << (2 << mode)) - 1);
  endfunction

  // --- operand registers: streamed ones enter column 0 and move right, the others stand at their unit
  logic [N*M*32-1:0] streamed, held;  // one 32-bit register a unit
  logic [31:0] gathered, value, x_bits, y_bits, products;
  logic signed [63:0] total[0:M-1];
  logic signed [63:0] shifted, complete;
  logic [31:0] place, reads, writes_seen;
  logic [TOKEN-1:0] t;
  logic signed [31:0] psum[0:N*M-1];
  integer r, c, k, a, s;
  always_ff @(posedge clk) begin
    x_bits = 0;
    y_bits = 0;
    products = 0;
    for (r = 0; r < N; r = r + 1) begin
      for (c = M - 1; c > 0; c = c - 1) streamed[(r*M+c)*32+:32] <= streamed[(r*M+c-1)*32+:32];
      gathered = 0;
      if (wave[r][VALID]) begin
        open(wave[r]);
        for (k = 0; k < 16; k = k + 1) begin
          real_tap = 0;
          if (k < lanes) locate(wave[r], r * lanes + k, 0, 0);
          if (real_tap) begin
            if (swapped) begin
              value = y_buffer[{31'd0, d[FLAGS*32+F_HALF_Y]}*DEPTH_Y+(filter?map_place(wave[r]) : filter_place(wave[r]))];
              gathered = gathered | slice(value, wave[r][9*16+:16], d[Y_MODE*32+:2]) << (k * (2 << d[Y_MODE*32+:2]));
              y_bits = y_bits + (2 << d[Y_MODE*32+:2]);
            end else begin
              value = x_buffer[{31'd0, d[FLAGS*32+F_HALF_X]}*DEPTH_X+x_place(wave[r])];
              gathered = gathered | slice(value, wave[r][8*16+:16], d[X_MODE*32+:2]) << (k * (2 << d[X_MODE*32+:2]));
              x_bits = x_bits + (2 << d[X_MODE*32+:2]);
            end
          end
        end
      end
      streamed[r*M*32+:32] <= gathered;
      for (c = 0; c < M; c = c + 1) begin
        gathered = 0;
        if (wave[r+c][VALID]) begin
          open(wave[r+c]);
          for (k = 0; k < 16; k = k + 1) begin
            real_tap = 0;
            if (k < lanes) locate(wave[r+c], r * lanes + k, c, 1);
            if (real_tap) begin
              if (swapped) begin
                value = x_buffer[{31'd0, d[FLAGS*32+F_HALF_X]}*DEPTH_X+x_place(wave[r+c])];
                gathered = gathered | slice(value, wave[r+c][8*16+:16], d[X_MODE*32+:2]) << (k * (2 << d[X_MODE*32+:2]));
                x_bits = x_bits + (2 << d[X_MODE*32+:2]);
              end else begin
                value = y_buffer[{31'd0, d[FLAGS*32+F_HALF_Y]}*DEPTH_Y+(filter?map_place(wave[r+c]) : filter_place(wave[r+c]))];
                gathered = gathered | slice(value, wave[r+c][9*16+:16], d[Y_MODE*32+:2]) << (k * (2 << d[Y_MODE*32+:2]));
                y_bits = y_bits + (2 << d[Y_MODE*32+:2]);
              end
              products = products + (2 << d[X_MODE*32+:2]) * (2 << d[Y_MODE*32+:2]);
            end
          end
        end
        held[(r*M+c)*32+:32] <= gathered;
      end
    end

    // --- column accumulators and the output buffer
    reads = 0;
    writes_seen = 0;
    for (s = 0; s < SLOTS; s = s + 1)
      if (in_valid[s]) begin
        if (in_operand == 0) x_buffer[{31'd0, in_half}*DEPTH_X+{16'd0, in_place[s*16+:16]}] <= in_word[s*64+:32];
        else if (in_operand == 1) y_buffer[{31'd0, in_half}*DEPTH_Y+{16'd0, in_place[s*16+:16]}] <= in_word[s*64+:32];
        else z_buffer[{31'd0, in_half}*DEPTH_Z+{16'd0, in_place[s*16+:16]}] <= in_word[s*64+:64];
      end
    for (a = 0; a < M; a = a + 1) begin
      t = wave[N+1+a];
      if (t[VALID]) begin
        open(t);
        locate(t, 0, a, 1);
        shifted = {{32{psum[(N-1)*M+a][31]}}, psum[(N-1)*M+a]} <<<
            (t[8*16+:16] * (2 << d[X_MODE*32+:2]) + t[9*16+:16] * (2 << d[Y_MODE*32+:2]));
        complete = t[FIRST] ? shifted : total[a] + shifted;
        total[a] <= complete;
        if (t[LAST_STEP] && across < (!swapped ? d[O*32+:32] : filter ? d[CH*32+:32] : d[B*32+:32] * d[R*32+:32] * d[C*32+:32])) begin
          place = {31'd0, d[FLAGS*32+F_HALF_Z]} * DEPTH_Z + (filter ? filter_place(t) : map_place(t));
          z_buffer[place] <= complete + (d[FLAGS*32+F_ACCUMULATE] ? z_buffer[place] : 64'sd0);
          reads = reads + {31'd0, d[FLAGS*32+F_ACCUMULATE]};
          writes_seen = writes_seen + 1;
        end
      end
    end
    tiles_done <= rst ? 0 : tiles_done + {31'd0, wave[N+M][LAST]};
    seen_z_reads <= rst ? 0 : reads;
    seen_z_writes <= rst ? 0 : writes_seen;
    seen_x_bits <= rst ? 0 : x_bits;
    seen_y_bits <= rst ? 0 : y_bits;
    seen_products <= rst ? 0 : products;
  end

  // --- units, one partial-sum register each
  genvar gr, gc;
  generate
    for (gr = 0; gr < N; gr = gr + 1) begin : rows
      for (gc = 0; gc < M; gc = gc + 1) begin : units
        wire [TOKEN-1:0] t = wave[gr+gc+1];
        wire [WIDTH-1:0] f = store[t[160+:15]];
        wire sw = f[FLAGS*32+F_SWAPPED];
        wire signed [19:0] sum;
        fusion_unit unit (
            .x(sw ? held[(gr*M+gc)*32+:32] : streamed[(gr*M+gc)*32+:32]),
            .y(sw ? streamed[(gr*M+gc)*32+:32] : held[(gr*M+gc)*32+:32]),
            .x_mode(f[X_MODE*32+:2]),
            .y_mode(f[Y_MODE*32+:2]),
            .x_signed(f[X_SIGNED*32] && {16'd0, t[8*16+:16]} == f[X_SLICES*32+:32] - 1),
            .y_signed(f[Y_SIGNED*32] && {16'd0, t[9*16+:16]} == f[Y_SLICES*32+:32] - 1),
            .sum(sum)
        );
        wire signed [31:0] from_above;
        if (gr == 0) assign from_above = 0;
        else assign from_above = psum[(gr-1)*M+gc];
        always_ff @(posedge clk) psum[gr*M+gc] <= rst ? 32'sd0 : from_above + {{12{sum[19]}}, sum};
      end
    end
  endgenerate

  integer o;
  always_comb
    for (o = 0; o < SLOTS; o = o + 1)
      out_word[o*64+:64] = z_buffer[{31'd0, out_half}*DEPTH_Z+{16'd0, out_place[o*16+:16]}];
endmodule
