// Runs a tile beat by beat: inputs of the next position, MACs of this one, psums of the one before.
//
// A beat ends when the nested counters of all three have wrapped; the last of a block of weights also
// waits for those of the next block.
module sequencer
#(
    parameter LANES = 4
) (
    input logic clk,
    input logic rst,
    input tile_t t,
    output logic busy,
    output logic closing,  // the last cycle of the tile
    output position_t current,
    output step_t step,
    output position_t fetched,
    output logic [LANES-1:0] input_valid,
    output logic [LANES*7*32-1:0] input_index,  // channel, new tap, slice, group, set, output row, filter row
    output position_t filled,
    output logic [LANES-1:0] weight_valid,
    output logic [LANES*8*32-1:0] weight_index,  // channel, tap, slice, output in PE, group, output set, set, row
    output position_t drained,
    output logic psum_reads,  // a psum is read before it is written
    output logic [LANES-1:0] psum_valid,
    output logic [LANES*6*32-1:0] psum_index  // reading or writing, group, output set, row, output in PE, part
);
`include "sizes.svh"
  logic started, prologue;
  wire epilogue = !prologue && !current.valid;
  assign busy = started;

  wire mac_ends, input_ends, weight_ends, psum_ends;
  wire beat_ends = (!current.valid || mac_ends) && (!fetched.valid || input_ends) && (prologue || psum_ends)
      && (!(fetched.valid && fetched.opens) || weight_ends);
  wire block_ends = beat_ends && fetched.valid && fetched.opens;
  assign closing = started && epilogue && beat_ends;

  position_t first, next, next_fill, unused, other;
  always @* begin
    first = 0;
    first.valid = 1;
    first.whole = 1;
    first.opens = 1;
    first.first_round = !t.accumulates[0];
  end
  loops of_inputs (.t, .at(fetched), .next, .next_block(unused));
  loops of_weights (.t, .at(filled), .next(other), .next_block(next_fill));

  // --- sizes of the blocks in work
  wire [31:0] all_channels = (t.channels + t.channel_sets - 1) / t.channel_sets;
  wire [31:0] all_outputs = (t.outputs + t.output_sets - 1) / t.output_sets;
  wire [31:0] channels = rest(t.channels_in_pe, all_channels, current.channel);
  wire [31:0] outputs = rest(t.outputs_in_pe, all_outputs, current.output_);
  wire [31:0] taps = rest(t.piece_cols, t.filter_cols, current.piece);
  wire [31:0] new_taps = current.whole ? taps : least(t.col_shift, taps);
  wire [31:0] taps_fetched = rest(t.piece_cols, t.filter_cols, fetched.piece);
  wire [31:0] new_fetched = fetched.whole ? taps_fetched : least(t.col_shift, taps_fetched);

  logic [31:0] head;
  always_ff @(posedge clk)
    if (rst) begin
      started <= 1;
      prologue <= 1;
      current <= 0;
      drained <= 0;
      fetched <= first;
      filled <= first;
      head <= 0;
    end else if (started && beat_ends) begin
      prologue <= 0;
      drained <= current;
      current <= fetched;
      head <= fetched.whole ? 0 : (head + new_fetched) % taps_fetched;
      if (fetched.valid) fetched <= next;
      if (block_ends && filled.valid) filled <= next_fill;
      if (closing) started <= 0;
    end

  wire restart = rst || beat_ends;
  wire [31:0] never = 32'hFFFFFFFF;

  // --- MACs: channel, tap, input slice, weight slice, output
  wire [5*32-1:0] at;
  wire mac_valid;
  wire [5*32-1:0] mac_extent = {
    outputs, t.weight_slices, t.input_slices, taps, channels
  };
  walker #(.LANES(1), .LEVELS(5)) macs (
      .clk, .restart, .run(started && current.valid), .rate(32'd1), .extent(mac_extent),
      .late_from(never), .late_start(32'd0), .index(at), .valid(mac_valid), .ending(mac_ends)
  );
  always @* begin
    step = 0;
    step.valid = mac_valid;
    step.channel = at[0+:32];
    step.tap = at[32+:32];
    step.input_slice = at[64+:32];
    step.weight_slice = at[96+:32];
    step.out = at[128+:32];
    step.head = head;
    step.first = at[0+:128] == 0;
    step.last = at[0+:32] + 1 == mac_extent[0+:32] && at[32+:32] + 1 == mac_extent[32+:32]
        && at[64+:32] + 1 == t.input_slices && at[96+:32] + 1 == t.weight_slices;
    step.takes = at[32+:32] + new_taps >= mac_extent[32+:32] && at[96+:64] == 0;
  end

  // --- networks: whole blocks, whatever of them is needed
  wire [31:0] new_cols = fetched.whole ? t.piece_cols : least(t.col_shift, t.piece_cols);
  walker #(.LANES(LANES), .LEVELS(7)) inputs (
      .clk, .restart, .run(started && fetched.valid), .rate(t.input_rate),
      .extent({t.fold_rows, t.pass_rows, t.channel_sets, t.groups_beside, t.input_slices, new_cols, t.channels_in_pe}),
      .late_from(t.row_apart), .late_start(t.fold_rows - least(t.row_shift, t.fold_rows)),
      .index(input_index), .valid(input_valid), .ending(input_ends)
  );
  walker #(.LANES(LANES), .LEVELS(8)) weights (
      .clk, .restart(rst || block_ends), .run(started && filled.valid), .rate(t.weight_rate),
      .extent({t.fold_rows, t.channel_sets, t.output_sets, t.groups_beside, t.outputs_in_pe, t.weight_slices,
               t.piece_cols, t.channels_in_pe}),
      .late_from(never), .late_start(32'd0),
      .index(weight_index), .valid(weight_valid), .ending(weight_ends)
  );
  assign psum_reads = epilogue ? !drained.first_round : !current.first_round;
  walker #(.LANES(LANES), .LEVELS(6)) psums (
      .clk, .restart, .run(started && !prologue), .rate(t.psum_rate),
      .extent({t.psum_words, t.outputs_in_pe, t.pass_rows, t.output_sets, t.groups_beside, psum_reads ? 32'd2 : 32'd1}),
      .late_from(never), .late_start(32'd0),
      .index(psum_index), .valid(psum_valid), .ending(psum_ends)
  );
endmodule
