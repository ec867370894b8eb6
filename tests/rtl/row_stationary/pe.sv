// One PE: input FIFO and circular input spad, weight spad in two halves, psum spad, multiplier.
//
// It takes from the networks what its place in the set asks for.  Where it stands at the top of a stack
// its psums leave the column; elsewhere they go to the PE above, which adds its own.
module pe
#(
    parameter BITS = 8,
    parameter LANES = 4,
    parameter SPAD = 64,
    parameter WEIGHTS = 256,
    parameter PSUMS = 16,
    parameter ROW = 0,  // from the bottom
    parameter COL = 0,
    parameter COLS = 2
) (
    input logic clk,
    input logic rst,
    input tile_t t,
    input position_t current,
    input step_t step,
    input position_t fetched,
    input logic [LANES*INPUT_WORD-1:0] input_words,
    input position_t filled,
    input logic [LANES*WEIGHT_WORD-1:0] weight_words,
    input logic [63:0] psum_below,
    output logic [63:0] psum,
    output logic leaves,
    output logic leaves_bank,
    output logic [31:0] leaves_out,
    output logic [63:0] leaves_psum,
    output logic [7*32-1:0] counts  // input, weight words taken; MACs; spad reads of both, psum; psums from below
);
`include "sizes.svh"
  // --- place in the set
  wire [31:0] width = least(t.pass_rows, COLS);
  wire [31:0] filter_row = ROW % t.fold_rows;
  wire [31:0] set_ = (ROW / t.fold_rows) % t.channel_sets;
  wire [31:0] held = (ROW / (t.fold_rows * t.channel_sets)) % t.segments_held;
  wire [31:0] up = ROW / (t.fold_rows * t.channel_sets * t.segments_held);
  wire [31:0] across = COL / width;
  wire [31:0] output_row = held * width + COL % width;
  wire [31:0] stack = up * t.stacks_across + across;
  wire [31:0] group = stack / t.output_sets;
  wire [31:0] output_ = stack % t.output_sets;
  wire placed = up < t.stacks_up && across < t.stacks_across && group < t.groups_beside && output_row < t.pass_rows;
  wire bottom = filter_row == 0 && set_ == 0;
  wire top = filter_row + 1 == t.fold_rows && set_ + 1 == t.channel_sets;
  wire [31:0] input_row = output_row * t.row_stride + filter_row * t.row_step;

  // Its column has psums at this position; and it has a row to multiply for them, at this one and the next.
  wire sums = placed && current.group + group < t.groups && current.segment + output_row < t.output_rows
      && current.output_ * t.output_sets + output_ < t.outputs;
  wire works = sums && current.fold + filter_row < t.filter_rows;
  wire fetches = placed && fetched.group + group < t.groups && fetched.segment + output_row < t.output_rows
      && fetched.output_ * t.output_sets + output_ < t.outputs && fetched.fold + filter_row < t.filter_rows;

  // --- spads
  logic [BITS:0] fifo[0:SPAD-1];  // {zero, word}
  logic [BITS:0] input_spad[0:SPAD-1];
  logic [BITS-1:0] weight_spad[0:2*WEIGHTS-1];
  logic [63:0] psum_spad[0:PSUMS-1];
  logic [31:0] pushed, popped;

  input_word_t x_word;
  weight_word_t y_word;
  integer lane;
  logic [31:0] pushing, taken_inputs, taken_weights;
  always_ff @(posedge clk)
    if (rst) begin
      pushed <= 0;
      taken_inputs <= 0;
      taken_weights = 0;
    end else begin
      pushing = pushed;
      for (lane = 0; lane < LANES; lane = lane + 1) begin
        x_word = input_words[lane*INPUT_WORD+:INPUT_WORD];
        if (x_word.valid && fetches && x_word.group == group && x_word.set_ == set_ && x_word.row == input_row) begin
          fifo[pushing%SPAD] <= {x_word.zero, x_word.value[BITS-1:0]};
          pushing = pushing + 1;
        end
        y_word = weight_words[lane*WEIGHT_WORD+:WEIGHT_WORD];
        if (y_word.valid && placed && y_word.group == group && y_word.output_ == output_ && y_word.set_ == set_
            && y_word.row == filter_row) begin
          weight_spad[(filled.half?WEIGHTS : 0)+y_word.address] <= y_word.value[BITS-1:0];
          taken_weights = taken_weights + 1;
        end
      end
      taken_inputs <= taken_inputs + pushing - pushed;
      pushed <= pushing;
    end

  // --- first cycle: words out of the spads
  wire on = step.valid && works
      && (current.channel + step.channel) * t.channel_sets + set_ < t.channels;
  wire [31:0] taps = rest(t.piece_cols, t.filter_cols, current.piece);
  wire [31:0] place = (step.channel * t.piece_cols + (step.head + step.tap) % taps) * t.input_slices + step.input_slice;
  wire [31:0] weight_place =
      ((step.channel * t.piece_cols + step.tap) * t.weight_slices + step.weight_slice) * t.outputs_in_pe + step.out;
  wire [BITS:0] x_next = step.takes ? fifo[popped%SPAD] : input_spad[place];
  wire out_real = (current.output_ + step.out) * t.output_sets + output_ < t.outputs;

  logic [BITS:0] x;
  logic [BITS-1:0] y;
  logic multiplies, first, last, has_psum, bank;
  logic [31:0] out, x_slice, y_slice;
  always_ff @(posedge clk)
    if (rst) begin
      popped <= 0;
      last <= 0;
      multiplies <= 0;
    end else begin
      if (on && step.takes) begin
        popped <= popped + 1;
        input_spad[place] <= x_next;
      end
      x <= x_next;
      y <= weight_spad[(current.half?WEIGHTS : 0)+weight_place];
      multiplies <= on && !x_next[BITS] && out_real;
      first <= step.first;
      last <= step.valid && step.last;
      has_psum <= sums && out_real;
      bank <= current.bank;
      out <= step.out;
      x_slice <= step.input_slice;
      y_slice <= step.weight_slice;
    end

  // --- second cycle: multiply, add, and send a finished psum up; highest slices carry the sign
  wire signed [63:0] x_wide = {{(64 - BITS) {x[BITS-1] && x_slice + 1 == t.input_slices}}, x[BITS-1:0]};
  wire signed [63:0] y_wide = {{(64 - BITS) {y[BITS-1] && y_slice + 1 == t.weight_slices}}, y};
  wire [63:0] product = (x_wide * y_wide) << (BITS * (x_slice + y_slice));
  wire [63:0] sum = (first ? 64'd0 : psum_spad[out]) + (multiplies ? product : 64'd0);
  wire [63:0] total = sum + (bottom ? 64'd0 : psum_below);
  logic [31:0] macs, x_reads, y_reads, psum_accesses, hops;
  assign counts = {hops, psum_accesses, y_reads, x_reads, macs, taken_weights, taken_inputs};
  always_ff @(posedge clk) begin
    psum_spad[out] <= sum;
    psum <= total;
    if (rst) {macs, x_reads, y_reads, psum_accesses, hops} <= 0;
    else begin
      macs <= macs + {31'd0, multiplies};
      x_reads <= x_reads + {31'd0, multiplies};
      y_reads <= y_reads + {31'd0, multiplies};
      psum_accesses <= psum_accesses + {31'd0, multiplies};
      hops <= hops + {31'd0, last && has_psum && !bottom};
    end
  end
  assign leaves = last && has_psum && top;
  assign leaves_bank = bank;
  assign leaves_out = out;
  assign leaves_psum = total;
endmodule
