// What the modules of the row-stationary machine tell each other (docs/microarchitecture.md, section 3).
//
// A tile is given by extents, block sizes and placements: nothing in it is a number of cycles.
package row_stationary;
  // Sizes of the convolution, the real box of its input, its blocks, and words a cycle of the networks.
  // tests/row_stationary_chain.py reads the names from here.
  typedef struct packed {
    logic [31:0] groups, images, channels, outputs;
    logic [31:0] filter_rows, filter_cols, output_rows, output_cols;
    logic [31:0] row_stride, col_stride, row_step, col_step;
    logic [31:0] row_first, col_first, row_hole, col_hole, input_rows, input_cols;
    logic [31:0] channel_sets, output_sets, groups_beside;  // stacked, and stacks beside one another
    logic [31:0] stacks_up, stacks_across, segments_held;
    logic [31:0] fold_rows, pass_rows, piece_cols, channels_in_pe, outputs_in_pe;
    // Positions this many apart share inputs; each then needs this many new ones.
    logic [31:0] row_apart, row_shift, col_apart, col_shift;
    logic [31:0] input_slices, weight_slices, psum_words;
    logic [31:0] accumulates;  // onto psums that are in the buffer already
    logic [31:0] input_rate, weight_rate, psum_rate;
  } tile_t;

  // Where the loops outside a beat stand: first of the current block in each, and the position.
  typedef struct packed {
    logic valid;
    logic whole;  // its window shares nothing with the position before
    logic opens;  // the first position of a block of weights
    logic first_round;
    logic half;  // of the weight spads
    logic bank;  // of the exits
    logic [31:0] piece, channel, fold, group, output_, image, segment, column, start;
  } position_t;

  // One cycle of the PEs of a row.
  typedef struct packed {
    logic valid;
    logic first, last;  // of a psum
    logic takes;  // its input word is new: it comes from the FIFO
    logic [31:0] channel, tap, input_slice, weight_slice, out, head;
  } step_t;

  typedef struct packed {
    logic valid, zero;
    logic [31:0] value, group, set_, row;
  } input_word_t;

  typedef struct packed {
    logic valid;
    logic [31:0] value, group, output_, set_, row, address;
  } weight_word_t;

  typedef struct packed {
    logic valid, reads, bank;
    logic [31:0] row, col, out, part, address;
  } psum_word_t;

  function automatic logic [31:0] least(input logic [31:0] a, input logic [31:0] b);
    least = a < b ? a : b;
  endfunction

  // Size of a block that starts at `from` of `all`.
  function automatic logic [31:0] rest(input logic [31:0] size, input logic [31:0] all, input logic [31:0] from);
    rest = all - from < size ? all - from : size;
  endfunction

  function automatic logic [31:0] channels_here(input tile_t t, input position_t p);
    channels_here = rest(t.channels_in_pe, (t.channels + t.channel_sets - 1) / t.channel_sets, p.channel);
  endfunction

  function automatic logic [31:0] outputs_here(input tile_t t, input position_t p);
    outputs_here = rest(t.outputs_in_pe, (t.outputs + t.output_sets - 1) / t.output_sets, p.output_);
  endfunction

  function automatic logic [31:0] taps_here(input tile_t t, input position_t p);
    taps_here = rest(t.piece_cols, t.filter_cols, p.piece);
  endfunction

  function automatic logic [31:0] new_taps(input tile_t t, input position_t p);
    new_taps = p.whole ? taps_here(t, p) : least(t.col_shift, taps_here(t, p));
  endfunction
endpackage
