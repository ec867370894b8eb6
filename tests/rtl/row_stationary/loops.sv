// What follows a position: the next one, and the first of the next block of weights.
module loops (
    input tile_t t,
    input position_t at,
    output position_t next,
    output position_t next_block
);
  // --- outputs innermost, then groups, folds, channels, pieces of the filter's columns
  wire outputs_end = (at.output_ + t.outputs_in_pe) * t.output_sets >= t.outputs;
  wire groups_end = at.group + t.groups_beside >= t.groups;
  wire folds_end = at.fold + t.fold_rows >= t.filter_rows;
  wire channels_end = (at.channel + t.channels_in_pe) * t.channel_sets >= t.channels;
  wire pieces_end = at.piece + t.piece_cols >= t.filter_cols;
  wire round_ends = outputs_end && groups_end;
  always @* begin
    next_block = at;
    next_block.half = !at.half;
    next_block.opens = 1;
    next_block.output_ = outputs_end ? 0 : at.output_ + t.outputs_in_pe;
    if (outputs_end) next_block.group = groups_end ? 0 : at.group + t.groups_beside;
    if (round_ends) begin
      next_block.first_round = 0;
      next_block.fold = folds_end ? 0 : at.fold + t.fold_rows;
      if (folds_end) next_block.channel = channels_end ? 0 : at.channel + t.channels_in_pe;
      if (folds_end && channels_end) next_block.piece = at.piece + t.piece_cols;
      if (folds_end && channels_end && pieces_end) next_block.valid = 0;
    end
    next_block.image = 0;
    next_block.segment = 0;
    next_block.start = 0;
    next_block.column = 0;
    next_block.whole = 1;
    next_block.bank = !at.bank;
  end

  // --- columns that share inputs innermost, then the other columns, segments, images
  wire shared_end = at.column + t.col_apart >= t.output_cols;
  wire columns_end = at.start + 1 >= t.col_apart || at.start + 1 >= t.output_cols;
  wire segments_end = at.segment + t.pass_rows >= t.output_rows;
  wire images_end = at.image + 1 >= t.images;
  always @* begin
    next = at;
    next.bank = !at.bank;
    next.opens = 0;
    next.whole = shared_end;
    if (!shared_end) next.column = at.column + t.col_apart;
    else if (!columns_end) begin
      next.start = at.start + 1;
      next.column = at.start + 1;
    end else begin
      next.start = 0;
      next.column = 0;
      next.segment = segments_end ? 0 : at.segment + t.pass_rows;
      if (segments_end) next.image = at.image + 1;
      if (segments_end && images_end) next = next_block;
    end
  end
endmodule
