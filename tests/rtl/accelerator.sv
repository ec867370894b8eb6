// The machine of docs/microarchitecture.md, section 1 and 2: sequencer, port and array.
module accelerator #(
    parameter N = 2,
    parameter M = 2,
    parameter MAX_TILES = 64,
    parameter SLOTS = 16,
    parameter DEPTH_X = 1024,
    parameter DEPTH_Y = 1024,
    parameter DEPTH_Z = 1024
) (
    input  logic clk,
    input  logic rst,
    input  logic [31:0] tiles,
    input  logic [31:0] rate,
    input  logic [31:0] turnaround,
    input  logic [31:0] setup,
    input  logic [31:0] reconfigure,
    input  logic prog_we,
    input  logic [31:0] prog_addr,
    input  logic [52*32-1:0] prog_data,
    // memory: a beat goes out in the cycle it moves; what it reads comes back `latency` cycles later
    input  logic stall,
    output logic beat_ends,
    output logic beat_writes,
    output logic [SLOTS-1:0] beat_valid,
    output logic [SLOTS*32-1:0] beat_address,
    output logic [SLOTS*64-1:0] beat_data,
    output logic [SLOTS*16+10-1:0] beat_tag,
    output logic [31:0] beat_bits,
    output logic beat_zeros,  // zeros are stored, without the output buffer
    input  logic back_ends,
    input  logic [SLOTS-1:0] back_valid,
    input  logic [SLOTS*64-1:0] back_data,
    input  logic [SLOTS*16+10-1:0] back_tag,
    // what the test bench compares and counts
    output logic [31:0] tile,
    output logic [2:0] kind,
    output logic finished,
    output logic port_busy,
    output logic [31:0] transfers,
    output logic [31:0] tiles_done,
    output logic [31:0] seen_x_bits,
    output logic [31:0] seen_y_bits,
    output logic [31:0] seen_products,
    output logic [31:0] seen_z_reads,
    output logic [31:0] seen_z_writes
);
  logic [178:0] token;
  logic [31:0] loads_arrived, stores_left, word_bits;
  logic port_finished, half, word_signed;
  logic [1:0] operand;
  logic [SLOTS*16-1:0] slot_place;
  logic [SLOTS*64-1:0] out_word, in_word;

  sequencer #(.N(N), .M(M), .MAX_TILES(MAX_TILES)) the_sequencer (.*);

  port #(.MAX_TILES(MAX_TILES), .SLOTS(SLOTS)) the_port (
      .*,
      .busy(port_busy),
      .finished(port_finished),
      .zeros(beat_zeros),
      .writes(beat_writes),
      .ends(beat_ends),
      .slot_valid(beat_valid),
      .slot_address(beat_address)
  );

  array #(
      .N(N), .M(M), .MAX_TILES(MAX_TILES), .SLOTS(SLOTS), .DEPTH_X(DEPTH_X), .DEPTH_Y(DEPTH_Y), .DEPTH_Z(DEPTH_Z)
  ) the_array (
      .*,
      .in_valid(back_valid),
      .in_place(back_tag[SLOTS*16-1:0]),
      .in_operand(back_tag[SLOTS*16+:2]),
      .in_half(back_tag[SLOTS*16+2]),
      .out_place(slot_place),
      .out_half(half)
  );

  assign beat_bits = word_bits;
  assign beat_tag = {word_signed, word_bits[5:0], half, operand, slot_place};

  // Words come back as memory holds them, `bits` wide, and are extended to what the buffers hold.
  wire [5:0] back_bits = back_tag[SLOTS*16+3+:6];
  wire back_signed = back_tag[SLOTS*16+9];
  integer s;
  logic [63:0] raw;
  always_comb
    for (s = 0; s < SLOTS; s = s + 1) begin
      raw = back_data[s*64+:64];
      if (back_bits != 0) begin
        raw = raw << (7'd64 - {1'b0, back_bits});
        // Not one conditional expression: it would be unsigned as a whole, and so would be the shift.
        if (back_signed) raw = $signed(raw) >>> (7'd64 - {1'b0, back_bits});
        else raw = raw >> (7'd64 - {1'b0, back_bits});
      end
      in_word[s*64+:64] = raw;
      beat_data[s*64+:64] = beat_zeros ? 64'd0 : out_word[s*64+:64];
    end

  always_ff @(posedge clk) loads_arrived <= rst ? 0 : loads_arrived + {31'd0, back_ends};
endmodule
