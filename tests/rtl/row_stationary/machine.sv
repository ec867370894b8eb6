// The array between its buffers: sequencer, networks, rows of PEs one cycle behind the other, column exits.
//
// Control, inputs and weights enter at the bottom row and move up one row a cycle, as psums do. Psums of a
// stack go on to the top of the array, where the exits hold them for the psum network: its end of the
// bus is as many cycles behind the sequencer. An exit adds what is read from the buffer, word by word.
module machine
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
`include "sizes.svh"
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

  wire [LANES*INPUT_WORD-1:0] input_words;
  wire [LANES*WEIGHT_WORD-1:0] weight_words;
  wire [LANES*PSUM_WORD-1:0] psum_words;
  wire [LANES*32-1:0] input_address, weight_address;
  networks #(.LANES(LANES), .COLS(COLS)) sending (.*);

  // --- buffers onto the networks: what the bottom row sees a cycle later
  logic [LANES*INPUT_WORD-1:0] x_first;
  logic [LANES*WEIGHT_WORD-1:0] y_first;
  input_word_t x_word;
  weight_word_t y_word;
  integer i;
  always_ff @(posedge clk) begin
    if (fills_inputs) input_buffer[address] <= value;
    if (fills_weights) filter_buffer[address] <= value;
    if (rst) begin
      inputs_read = 0;
      weights_read = 0;
      x_first <= 0;
      y_first <= 0;
    end else
      for (i = 0; i < LANES; i = i + 1) begin
        x_word = input_words[i*INPUT_WORD+:INPUT_WORD];
        if (x_word.valid && !x_word.zero) begin
          x_word.value = {{(32 - BITS) {1'b0}}, input_buffer[input_address[i*32+:32]]};
          inputs_read = inputs_read + 1;
        end
        x_first[i*INPUT_WORD+:INPUT_WORD] <= x_word;
        y_word = weight_words[i*WEIGHT_WORD+:WEIGHT_WORD];
        if (y_word.valid) begin
          y_word.value = {{(32 - BITS) {1'b0}}, filter_buffer[weight_address[i*32+:32]]};
          weights_read = weights_read + 1;
        end
        y_first[i*WEIGHT_WORD+:WEIGHT_WORD] <= y_word;
      end
  end

  // --- the array: a row is one register behind the row below it
  localparam ROW = LANES * (INPUT_WORD + WEIGHT_WORD) + 3 * POSITION + STEP;
  wire [ROWS*ROW-1:0] along;
  wire [(ROWS+1)*COLS*64-1:0] up;
  logic [3*POSITION+STEP-1:0] control;
  always_ff @(posedge clk) control <= rst ? 0 : {current, fetched, filled, step};
  assign along[0+:ROW] = {x_first, y_first, control};
  assign up[0+:COLS*64] = 0;
  wire [ROWS*COLS-1:0] out_valid, out_bank;
  wire [ROWS*COLS*32-1:0] out_index;
  wire [ROWS*COLS*64-1:0] out_psum;
  genvar r, c;
  generate
    for (r = 0; r < ROWS; r = r + 1) begin : rows
      wire [LANES*INPUT_WORD-1:0] x_bus;
      wire [LANES*WEIGHT_WORD-1:0] y_bus;
      wire [POSITION-1:0] now, fetches, fills;
      wire [STEP-1:0] steps;
      assign {x_bus, y_bus, now, fetches, fills, steps} = along[r*ROW+:ROW];
      if (r + 1 < ROWS) begin : on
        logic [ROW-1:0] held;
        always_ff @(posedge clk) held <= rst ? 0 : along[r*ROW+:ROW];
        assign along[(r+1)*ROW+:ROW] = held;
      end
      for (c = 0; c < COLS; c = c + 1) begin : cols
        // {valid, bank, output, psum}: on its way from the top of a stack to the top of the array
        wire [97:0] leaving;
        pe #(
            .BITS(BITS), .LANES(LANES), .SPAD(SPAD), .WEIGHTS(WEIGHTS), .PSUMS(PSUMS), .ROW(r), .COL(c), .COLS(COLS)
        ) unit (
            .clk(clk), .rst(rst), .t(t), .current(now), .step(steps), .fetched(fetches), .input_words(x_bus),
            .filled(fills), .weight_words(y_bus), .psum_below(up[(r*COLS+c)*64+:64]),
            .psum(up[((r+1)*COLS+c)*64+:64]), .leaves(leaving[97]), .leaves_bank(leaving[96]),
            .leaves_out(leaving[95:64]), .leaves_psum(leaving[63:0]), .counts(pe_counts[(r*COLS+c)*7*32+:7*32])
        );
        logic [(ROWS-r)*98-1:0] climbing;
        if (r == ROWS - 1) begin : at_top
          always @* climbing = leaving;
        end else begin : below
          logic [(ROWS-1-r)*98-1:0] held;
          always_ff @(posedge clk) held <= rst ? 0 : climbing[0+:(ROWS-1-r)*98];
          always @* climbing = {held, leaving};
        end
        assign {out_valid[r*COLS+c], out_bank[r*COLS+c], out_index[(r*COLS+c)*32+:32], out_psum[(r*COLS+c)*64+:64]} =
            climbing[(ROWS-1-r)*98+:98];
      end
    end
  endgenerate

  // --- the psum network's end at the top of the array
  logic [(ROWS+1)*(LANES*PSUM_WORD+1)-1:0] z_bus;  // {last cycle of the tile, words}, as many registers as the array is high
  wire [LANES*PSUM_WORD:0] z_top = z_bus[ROWS*(LANES*PSUM_WORD+1)+:LANES*PSUM_WORD+1];
  logic [63:0] exits[0:2*ROWS*COLS*PSUMS-1];
  psum_word_t z_word;
  integer lane, at, p;
  logic [BITS-1:0] part;
  always_ff @(posedge clk) begin
    z_bus <= rst ? 0 : {z_bus[0+:ROWS*(LANES*PSUM_WORD+1)], closing, psum_words};
    if (fills_psums) psum_buffer[address] <= value;
    if (rst) begin
      done <= 0;
      psums_read = 0;
      psums_written = 0;
    end else begin
      if (z_top[LANES*PSUM_WORD]) done <= 1;
      for (lane = 0; lane < LANES; lane = lane + 1) begin
        z_word = z_top[lane*PSUM_WORD+:PSUM_WORD];
        at = ((z_word.bank ? ROWS * COLS : 0) + z_word.row * COLS + z_word.col) * PSUMS + z_word.out;
        if (z_word.valid && z_word.reads) begin
          part = psum_buffer[z_word.address];
          // Word by word; the highest carries the sign.
          exits[at] = exits[at] + ({{(64 - BITS) {part[BITS-1] && z_word.part + 1 == t.psum_words}}, part}
              << (BITS * z_word.part));
          psums_read = psums_read + 1;
        end
        if (z_word.valid && !z_word.reads) begin
          psum_buffer[z_word.address] <= exits[at] >> (BITS * z_word.part);
          psums_written = psums_written + 1;
        end
      end
      for (p = 0; p < ROWS * COLS; p = p + 1)
        if (out_valid[p]) exits[((out_bank[p] ? ROWS * COLS : 0) + p) * PSUMS + out_index[p*32+:32]] = out_psum[p*64+:64];
    end
  end
endmodule
