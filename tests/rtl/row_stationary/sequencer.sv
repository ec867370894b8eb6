// Runs a tile beat by beat: inputs of the next position, MACs of this one, psums of the one before.
//
// A beat ends when the nested counters of all three have wrapped; the last of a block of weights also
// waits for those of the next block.
module sequencer
  import row_stationary::*;
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
  function automatic position_t next_block(input tile_t t, input position_t p);
    next_block = p;
    next_block.half = !p.half;
    next_block.opens = 1;
    if ((p.output_ + t.outputs_in_pe) * t.output_sets < t.outputs) next_block.output_ = p.output_ + t.outputs_in_pe;
    else begin
      next_block.output_ = 0;
      if (p.group + t.groups_beside < t.groups) next_block.group = p.group + t.groups_beside;
      else begin
        next_block.group = 0;
        next_block.first_round = 0;
        if (p.fold + t.fold_rows < t.filter_rows) next_block.fold = p.fold + t.fold_rows;
        else begin
          next_block.fold = 0;
          if ((p.channel + t.channels_in_pe) * t.channel_sets < t.channels)
            next_block.channel = p.channel + t.channels_in_pe;
          else begin
            next_block.channel = 0;
            if (p.piece + t.piece_cols < t.filter_cols) next_block.piece = p.piece + t.piece_cols;
            else next_block.valid = 0;
          end
        end
      end
    end
  endfunction

  function automatic position_t next_position(input tile_t t, input position_t p);
    next_position = p;
    next_position.bank = !p.bank;
    next_position.opens = 0;
    next_position.whole = 0;
    if (p.column + t.col_apart < t.output_cols) next_position.column = p.column + t.col_apart;
    else begin
      next_position.whole = 1;
      next_position.start = p.start + 1;
      if (p.start + 1 >= least(t.col_apart, t.output_cols)) begin
        next_position.start = 0;
        if (p.segment + t.pass_rows < t.output_rows) next_position.segment = p.segment + t.pass_rows;
        else begin
          next_position.segment = 0;
          next_position.image = p.image + 1;
          if (p.image + 1 == t.images) begin
            next_position.image = 0;
            next_position = next_block(t, next_position);
          end
        end
      end
      next_position.column = next_position.start;
    end
  endfunction

  logic started, prologue;
  wire epilogue = !prologue && !current.valid;
  assign busy = started;

  wire mac_ends, input_ends, weight_ends, psum_ends;
  wire beat_ends = (!current.valid || mac_ends) && (!fetched.valid || input_ends) && (prologue || psum_ends)
      && (!(fetched.valid && fetched.opens) || weight_ends);
  wire block_ends = beat_ends && fetched.valid && fetched.opens;
  assign closing = started && epilogue && beat_ends;

  function automatic position_t first_position(input logic accumulates);
    first_position = 0;
    first_position.valid = 1;
    first_position.whole = 1;
    first_position.opens = 1;
    first_position.first_round = !accumulates;
  endfunction

  logic [31:0] head;
  always_ff @(posedge clk)
    if (rst) begin
      started <= 1;
      prologue <= 1;
      current <= 0;
      drained <= 0;
      fetched <= first_position(t.accumulates[0]);
      filled <= first_position(t.accumulates[0]);
      head <= 0;
    end else if (started && beat_ends) begin
      prologue <= 0;
      drained <= current;
      current <= fetched;
      head <= fetched.whole ? 0 : (head + new_taps(t, fetched)) % taps_here(t, fetched);
      if (fetched.valid) fetched <= next_position(t, fetched);
      if (block_ends && filled.valid) filled <= next_block(t, filled);
      if (closing) started <= 0;
    end

  wire restart = rst || beat_ends;
  wire [31:0] never = 32'hFFFFFFFF;

  // --- MACs: channel, tap, input slice, weight slice, output
  wire [5*32-1:0] at;
  wire mac_valid;
  wire [5*32-1:0] mac_extent = {
    outputs_here(t, current), t.weight_slices, t.input_slices, taps_here(t, current), channels_here(t, current)
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
    step.takes = at[32+:32] + new_taps(t, current) >= mac_extent[32+:32] && at[96+:64] == 0;
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
