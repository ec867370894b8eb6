// What the modules of the row-stationary machine tell each other (docs/microarchitecture.md, section 3).
//
// A tile is given by extents, block sizes and placements: nothing in it is a number of cycles.
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
