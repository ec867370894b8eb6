// The array between its buffers: sequencer, networks, rows of PEs one cycle behind the other, column exits.
//
// Control, inputs and weights enter at the bottom row and move up one row a cycle, as psums do. Psums of a
// stack go on to the top of the array, where the exits hold them for the psum network: its end of the
// bus is as many cycles behind the sequencer. An exit adds what is read from the buffer, word by word.
module machine
  import row_stationary::*;
#(
    parameter BITS = 8,
    parameter LANES = 4,
    parameter ROWS = 2,
    parameter COLS = 2,
    parameter SPAD = 64,
    parameter WEIGHTS = 256,
    parameter PSUMS = 16,
    parameter DEPTH = 4096
) (
    input logic clk,
    input logic rst,
    input tile_t t,
    input logic fills_inputs,
    input logic fills_weights,
    input logic fills_psums,
    input logic [31:0] address,
    input logic [BITS-1:0] value,
    output logic [BITS-1:0] psum_value,  // of `address`
    output logic busy,
    output logic closing,
    output logic done,
    output logic [ROWS*COLS*7*32-1:0] pe_counts,
    output logic [31:0] inputs_read,
    output logic [31:0] weights_read,
    output logic [31:0] psums_read,
    output logic [31:0] psums_written
);
  localparam X = $bits(input_word_t), Y = $bits(weight_word_t), Z = $bits(psum_word_t);
  logic [BITS-1:0] input_buffer[0:DEPTH-1];
  logic [BITS-1:0] filter_buffer[0:DEPTH-1];
  logic [BITS-1:0] psum_buffer[0:DEPTH-1];
  assign psum_value = psum_buffer[address];

  position_t current, fetched, filled, drained;
  step_t step;
  wire [LANES-1:0] input_valid, weight_valid, psum_valid;
  wire [LANES*7*32-1:0] input_index;
  wire [LANES*8*32-1:0] weight_index;
  wire [LANES*6*32-1:0] psum_index;
  wire psum_reads;
  sequencer #(.LANES(LANES)) sequencing (.*);

  wire [LANES*X-1:0] input_words;
  wire [LANES*Y-1:0] weight_words;
  wire [LANES*Z-1:0] psum_words;
  wire [LANES*32-1:0] input_address, weight_address;
  networks #(.LANES(LANES), .COLS(COLS)) sending (.*);

  // --- buffers onto the networks; each row a register further
  logic [LANES*X-1:0] x_bus[0:ROWS-1];
  logic [LANES*Y-1:0] y_bus[0:ROWS-1];
  position_t currents[0:ROWS-1], fetches[0:ROWS-1], fills[0:ROWS-1];
  step_t steps[0:ROWS-1];
  input_word_t x_word;
  weight_word_t y_word;
  integer i, row;
  always_ff @(posedge clk) begin
    if (fills_inputs) input_buffer[address] <= value;
    if (fills_weights) filter_buffer[address] <= value;
    if (rst) begin
      inputs_read = 0;
      weights_read = 0;
    end
    for (i = 0; i < LANES; i = i + 1) begin
      x_word = input_words[i*X+:X];
      if (x_word.valid && !x_word.zero && !rst) begin
        x_word.value = {{(32 - BITS) {1'b0}}, input_buffer[input_address[i*32+:32]]};
        inputs_read = inputs_read + 1;
      end
      y_word = weight_words[i*Y+:Y];
      if (y_word.valid && !rst) begin
        y_word.value = {{(32 - BITS) {1'b0}}, filter_buffer[weight_address[i*32+:32]]};
        weights_read = weights_read + 1;
      end
      if (rst) begin
        x_word.valid = 0;
        y_word.valid = 0;
      end
      x_bus[0][i*X+:X] <= x_word;
      y_bus[0][i*Y+:Y] <= y_word;
    end
    currents[0] <= current;
    fetches[0] <= fetched;
    fills[0] <= filled;
    steps[0] <= rst ? 0 : step;
    for (row = 1; row < ROWS; row = row + 1) begin
      x_bus[row] <= rst ? 0 : x_bus[row-1];
      y_bus[row] <= rst ? 0 : y_bus[row-1];
      currents[row] <= currents[row-1];
      fetches[row] <= fetches[row-1];
      fills[row] <= fills[row-1];
      steps[row] <= rst ? 0 : steps[row-1];
    end
  end

  // --- the array, and psums on their way from the top of a stack to the top of the array
  wire [63:0] up[0:ROWS][0:COLS-1];
  wire [ROWS*COLS-1:0] out_valid, out_bank;
  wire [ROWS*COLS*32-1:0] out_index;
  wire [ROWS*COLS*64-1:0] out_psum;
  genvar r, c;
  generate
    for (c = 0; c < COLS; c = c + 1) begin : cols
      assign up[0][c] = 0;
      for (r = 0; r < ROWS; r = r + 1) begin : rows
        wire leaves, leaves_bank;
        wire [31:0] leaves_out;
        wire [63:0] leaves_psum;
        pe #(
            .BITS(BITS), .LANES(LANES), .SPAD(SPAD), .WEIGHTS(WEIGHTS), .PSUMS(PSUMS), .ROW(r), .COL(c), .COLS(COLS)
        ) unit (
            .clk, .rst, .t, .current(currents[r]), .step(steps[r]), .fetched(fetches[r]), .input_words(x_bus[r]),
            .filled(fills[r]), .weight_words(y_bus[r]), .psum_below(up[r][c]), .psum(up[r+1][c]),
            .leaves, .leaves_bank, .leaves_out, .leaves_psum, .counts(pe_counts[(r*COLS+c)*7*32+:7*32])
        );
        // {valid, bank, output, psum} of this stage and those it has yet to pass
        wire [97:0] stage[0:ROWS-1-r];
        assign stage[0] = {leaves, leaves_bank, leaves_out, leaves_psum};
        for (genvar s = 1; s < ROWS - r; s = s + 1) begin : climb
          logic [97:0] held;
          always_ff @(posedge clk) held <= rst ? 98'd0 : stage[s-1];
          assign stage[s] = held;
        end
        assign {out_valid[r*COLS+c], out_bank[r*COLS+c], out_index[(r*COLS+c)*32+:32], out_psum[(r*COLS+c)*64+:64]} =
            stage[ROWS-1-r];
      end
    end
  endgenerate

  // --- the psum network's end at the top of the array
  logic [LANES*Z:0] z_bus[0:ROWS];  // {last cycle of the tile, words}
  logic [63:0] exits[0:2*ROWS*COLS*PSUMS-1];
  psum_word_t z_word;
  integer lane, at, stage_, p;
  logic [BITS-1:0] part;
  always_ff @(posedge clk) begin
    z_bus[0] <= rst ? 0 : {closing, psum_words};
    for (stage_ = 1; stage_ <= ROWS; stage_ = stage_ + 1) z_bus[stage_] <= rst ? 0 : z_bus[stage_-1];
    if (fills_psums) psum_buffer[address] = value;
    if (rst) begin
      done <= 0;
      psums_read = 0;
      psums_written = 0;
    end else begin
      if (z_bus[ROWS][LANES*Z]) done <= 1;
      for (lane = 0; lane < LANES; lane = lane + 1) begin
        z_word = z_bus[ROWS][lane*Z+:Z];
        at = ((z_word.bank ? ROWS * COLS : 0) + z_word.row * COLS + z_word.col) * PSUMS + z_word.out;
        if (z_word.valid && z_word.reads) begin
          part = psum_buffer[z_word.address];
          // Word by word; the highest carries the sign.
          exits[at] = exits[at] + ({{(64 - BITS) {part[BITS-1] && z_word.part + 1 == t.psum_words}}, part}
              << (BITS * z_word.part));
          psums_read = psums_read + 1;
        end
        if (z_word.valid && !z_word.reads) begin
          psum_buffer[z_word.address] = exits[at] >> (BITS * z_word.part);
          psums_written = psums_written + 1;
        end
      end
      for (p = 0; p < ROWS * COLS; p = p + 1)
        if (out_valid[p]) exits[((out_bank[p] ? ROWS * COLS : 0) + p) * PSUMS + out_index[p*32+:32]] = out_psum[p*64+:64];
    end
  end
endmodule
