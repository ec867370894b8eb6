// The three networks' ends at the buffers: from loop indices to words with tags, for one cycle.
//
// Words outside the tile are not sent; input words outside the tensor, or between inserted zeros, go as zeros.
module networks
#(
    parameter LANES = 4,
    parameter COLS = 2
) (
    input tile_t t,
    input position_t fetched,
    input logic [LANES-1:0] input_valid,
    input logic [LANES*7*32-1:0] input_index,
    output logic [LANES*INPUT_WORD-1:0] input_words,  // value still to be read
    output logic [LANES*32-1:0] input_address,
    input position_t filled,
    input logic [LANES-1:0] weight_valid,
    input logic [LANES*8*32-1:0] weight_index,
    output logic [LANES*WEIGHT_WORD-1:0] weight_words,
    output logic [LANES*32-1:0] weight_address,
    input position_t drained,
    input logic psum_reads,
    input logic [LANES-1:0] psum_valid,
    input logic [LANES*6*32-1:0] psum_index,
    output logic [LANES*PSUM_WORD-1:0] psum_words
);
`include "sizes.svh"
  // --- sizes of the blocks in work
  wire [31:0] all_channels = (t.channels + t.channel_sets - 1) / t.channel_sets;
  wire [31:0] all_outputs = (t.outputs + t.output_sets - 1) / t.output_sets;
  wire [31:0] x_channels = rest(t.channels_in_pe, all_channels, fetched.channel);
  wire [31:0] x_taps = rest(t.piece_cols, t.filter_cols, fetched.piece);
  wire [31:0] x_new_taps = fetched.whole ? x_taps : least(t.col_shift, x_taps);
  wire [31:0] x_filter_rows = rest(t.fold_rows, t.filter_rows, fetched.fold);
  wire [31:0] x_output_rows = rest(t.pass_rows, t.output_rows, fetched.segment);
  wire [31:0] w_channels = rest(t.channels_in_pe, all_channels, filled.channel);
  wire [31:0] w_outputs = rest(t.outputs_in_pe, all_outputs, filled.output_);
  wire [31:0] w_taps = rest(t.piece_cols, t.filter_cols, filled.piece);
  wire [31:0] z_outputs = rest(t.outputs_in_pe, all_outputs, drained.output_);
  wire [31:0] width = least(t.pass_rows, COLS);
  genvar l;
  generate
    for (l = 0; l < LANES; l = l + 1) begin : lanes
      // --- inputs
      wire [7*32-1:0] xi = input_index[l*7*32+:7*32];
      wire [31:0] x_ci = xi[0+:32], x_new = xi[32+:32], x_slice = xi[64+:32], x_beside = xi[96+:32];
      wire [31:0] x_set = xi[128+:32], x_out_row = xi[160+:32], x_filter_row = xi[192+:32];
      wire [31:0] x_tap = x_taps - x_new_taps + x_new;
      wire [31:0] x_channel = (fetched.channel + x_ci) * t.channel_sets + x_set;
      wire [31:0] x_group = fetched.group + x_beside;
      // In an edge fold the row may be wanted by a later output row and an earlier filter row.
      wire [31:0] later = x_filter_row < x_filter_rows ? 0 : (x_filter_row - x_filter_rows) / t.row_shift + 1;
      wire wanted = x_out_row + later * t.row_apart < x_output_rows
          && x_filter_row >= later * t.row_shift;
      wire [31:0] x_row = x_out_row * t.row_stride + x_filter_row * t.row_step;
      wire signed [31:0] y_place = t.row_first + fetched.segment * t.row_stride + fetched.fold * t.row_step + x_row;
      wire signed [31:0] x_place = t.col_first + fetched.column * t.col_stride + (fetched.piece + x_tap) * t.col_step;
      wire [31:0] y_stored = y_place / $signed(t.row_hole), x_stored = x_place / $signed(t.col_hole);
      wire real_word = y_place >= 0 && x_place >= 0 && y_stored * t.row_hole == y_place
          && x_stored * t.col_hole == x_place && y_stored < t.input_rows && x_stored < t.input_cols;
      assign input_address[l*32+:32] = ((((x_group * t.images + fetched.image) * t.channels + x_channel)
          * t.input_rows + y_stored) * t.input_cols + x_stored) * t.input_slices + x_slice;
      wire x_sent = input_valid[l] && x_ci < x_channels && x_channel < t.channels
          && x_group < t.groups && x_new < x_new_taps && wanted;
      assign input_words[l*INPUT_WORD+:INPUT_WORD] = {
        x_sent, !real_word, 32'd0, x_beside, x_set, x_row
      };

      // --- weights
      wire [8*32-1:0] wi = weight_index[l*8*32+:8*32];
      wire [31:0] w_ci = wi[0+:32], w_tap = wi[32+:32], w_slice = wi[64+:32], w_out = wi[96+:32];
      wire [31:0] w_beside = wi[128+:32], w_stack = wi[160+:32], w_set = wi[192+:32], w_row = wi[224+:32];
      wire [31:0] w_channel = (filled.channel + w_ci) * t.channel_sets + w_set;
      wire [31:0] w_output = (filled.output_ + w_out) * t.output_sets + w_stack;
      wire [31:0] w_group = filled.group + w_beside;
      wire [31:0] w_filter_row = filled.fold + w_row;
      wire w_sent = weight_valid[l] && w_ci < w_channels && w_channel < t.channels
          && w_out < w_outputs && w_output < t.outputs && w_group < t.groups
          && w_filter_row < t.filter_rows && w_tap < w_taps;
      assign weight_address[l*32+:32] = ((((w_group * t.outputs + w_output) * t.channels + w_channel)
          * t.filter_rows + w_filter_row) * t.filter_cols + filled.piece + w_tap) * t.weight_slices + w_slice;
      wire [31:0] w_place = ((w_ci * t.piece_cols + w_tap) * t.weight_slices + w_slice) * t.outputs_in_pe + w_out;
      assign weight_words[l*WEIGHT_WORD+:WEIGHT_WORD] = {
        w_sent, 32'd0, w_beside, w_stack, w_set, w_row, w_place
      };

      // --- psums: which exit, which word of the buffer
      wire [6*32-1:0] zi = psum_index[l*6*32+:6*32];
      wire [31:0] z_beside = zi[32+:32], z_stack = zi[64+:32], z_row = zi[96+:32], z_out = zi[128+:32];
      wire [31:0] z_part = zi[160+:32];
      wire z_reads = psum_reads && zi[0+:32] == 0;
      wire [31:0] z_output = (drained.output_ + z_out) * t.output_sets + z_stack;
      wire [31:0] z_group = drained.group + z_beside;
      wire [31:0] z_output_row = drained.segment + z_row;
      wire z_moves = psum_valid[l] && drained.valid && !(z_reads && drained.first_round) && z_output < t.outputs
          && z_out < z_outputs && z_group < t.groups && z_output_row < t.output_rows;
      wire [31:0] place = z_beside * t.output_sets + z_stack;
      wire [31:0] stacked = (place / t.stacks_across) * t.segments_held + z_row / width;
      wire [31:0] exit_row = ((stacked + 1) * t.channel_sets) * t.fold_rows - 1;
      wire [31:0] exit_col = (place % t.stacks_across) * width + z_row % width;
      wire [31:0] z_address = ((((z_group * t.images + drained.image) * t.outputs + z_output)
          * t.output_rows + z_output_row) * t.output_cols + drained.column) * t.psum_words + z_part;
      assign psum_words[l*PSUM_WORD+:PSUM_WORD] = {
        z_moves, z_reads, drained.bank, exit_row, exit_col, z_out, z_part, z_address
      };
    end
  endgenerate
endmodule
