// The one memory port: transfers in program order, word by word, on beats of `rate` bits.
//
// A transfer's words come from nested address counters.  Each beat brings `rate` bits; a word leaves
// when all its bits are there, so words may straddle beats, but no beat carries two operands.
module port #(
    parameter MAX_TILES = 64,
    parameter SLOTS = 16  // words in one beat at most
) (
    input  logic clk,
    input  logic rst,
    input  logic [31:0] tiles,
    input  logic [31:0] rate,
    input  logic [31:0] turnaround,
    input  logic prog_we,
    input  logic [31:0] prog_addr,
    input  logic [52*32-1:0] prog_data,
    input  logic stall,
    input  logic [31:0] tiles_done,
    output logic busy,
    output logic finished,
    output logic [31:0] transfers,
    output logic [31:0] stores_left,
    // Beat of this cycle: its words with their address in memory, and where they are on chip.
    output logic writes,
    output logic ends,  // the transfer ends in this cycle
    output logic [SLOTS-1:0] slot_valid,
    output logic [SLOTS*32-1:0] slot_address,
    output logic [SLOTS*16-1:0] slot_place,
    output logic [1:0] operand,  // 0 input, 1 weight, 2 output
    output logic half,
    output logic zeros,  // the stored tile met no tap
    output logic [31:0] word_bits,
    output logic word_signed
);
`include "fields.svh"
  logic [WIDTH-1:0] store[0:MAX_TILES-1];
  logic [12:0] flag_store[0:MAX_TILES-1];
  always_ff @(posedge clk)
    if (prog_we) begin
      store[prog_addr] <= prog_data;
      flag_store[prog_addr] <= prog_data[FLAGS*32+:13];
    end

  // --- program order: for each tile j its slots: 0 the store of j-2, where load j brings partial sums or
  // tile j is a fence; 1 the store of j-1, at a fence; 2 load j; 3 the store of j-2 otherwise
  logic [31:0] next_tile, found_tile, of_tile;
  logic [1:0] next_slot, found_slot;
  logic found, found_store, finding, second, latest, early, fetches, present;
  logic [31:0] scan_tile;
  logic [1:0] scan_slot;
  integer i;
  always_comb begin
    found = 0;
    found_store = 0;
    found_tile = 0;
    found_slot = 0;
    finding = 1;
    scan_tile = next_tile;
    scan_slot = next_slot;
    second = 0;
    latest = 0;
    early = 0;
    fetches = 0;
    present = 0;
    for (i = 0; i < 4 * (MAX_TILES + 2); i = i + 1)
      if (finding) begin
        if (scan_tile >= tiles + 2) finding = 0;
        else begin
          latest = 0;
          early = 0;
          fetches = 0;
          second = scan_tile >= 2 && flag_store[scan_tile-2][F_STORE];
          // A fence of the tile before has put the store of j-2 before itself.
          if (scan_tile >= 2 && scan_tile <= tiles && flag_store[scan_tile-1][F_FENCE]) second = 0;
          if (scan_tile < tiles) begin
            early = flag_store[scan_tile][F_LOAD_Z] || flag_store[scan_tile][F_FENCE];
            latest = scan_tile >= 1 && flag_store[scan_tile][F_FENCE] && flag_store[scan_tile-1][F_STORE];
            fetches = flag_store[scan_tile][F_LOAD_X] || flag_store[scan_tile][F_LOAD_Y] ||
                flag_store[scan_tile][F_LOAD_Z];
          end
          present = scan_slot == 0 ? second && early : scan_slot == 1 ? latest :
              scan_slot == 2 ? fetches : second && !early;
          if (present) begin
            found = 1;
            found_store = scan_slot != 2;
            found_tile = scan_slot == 2 ? scan_tile : scan_slot == 1 ? scan_tile - 1 : scan_tile - 2;
            found_slot = scan_slot;
            finding = 0;
          end else begin
            scan_tile = scan_slot == 3 ? scan_tile + 1 : scan_tile;
            scan_slot = scan_slot + 2'd1;
          end
        end
      end
  end

  // --- the transfer granted, or running
  logic [31:0] gap, x_tile, y_tile, running;
  logic is_store, has_x, has_y;
  assign of_tile = busy ? running : found_tile;
  wire [WIDTH-1:0] d = store[of_tile];
  wire [12:0] flags = d[FLAGS*32+:13];
  wire going_out = busy ? is_store : found_store;
  // A half is free when all tiles before the load that took the other half are done.
  wire free_x = !flags[F_LOAD_X] || !has_x || tiles_done >= x_tile;
  wire free_y = !flags[F_LOAD_Y] || !has_y || tiles_done >= y_tile;
  wire turned = writes_last == going_out || gap >= turnaround;
  logic writes_last;
  wire ready = found && turned && (found_store ? tiles_done > of_tile : free_x && free_y);
  wire grant = !busy && ready;
  assign finished = !busy && !found;

  // --- words: five counters over the operand's extents
  function automatic [31:0] ones(input [31:0] mask);
    integer b;
    begin
      ones = 0;
      for (b = 0; b < 32; b = b + 1) ones = ones + {31'd0, mask[b]};
    end
  endfunction
  function automatic [31:0] next_set(input [31:0] mask, input [31:0] from);  // first set bit from `from`; 32: none
    integer b;
    begin
      next_set = 32;
      for (b = 31; b >= 0; b = b - 1) if (b >= from && mask[b]) next_set = b;
    end
  endfunction
  wire filter = flags[F_FILTER];
  wire [31:0] map_words = d[G*32+:32] * d[B*32+:32] * d[R*32+:32] * d[C*32+:32] * d[O*32+:32];
  wire [31:0] filter_words = d[G*32+:32] * d[O*32+:32] * d[CH*32+:32] * d[KR*32+:32] * d[KC*32+:32];
  wire [31:0] box_words =
      d[G*32+:32] * d[B*32+:32] * ones(d[ROW_MASK*32+:32]) * ones(d[COL_MASK*32+:32]) * d[CH*32+:32];
  wire [2:0] moves = {
    going_out || flags[F_LOAD_Z], !going_out && flags[F_LOAD_Y], !going_out && flags[F_LOAD_X]
  };
  wire [31:0] words_x = moves[0] ? box_words : 0;
  wire [31:0] words_y = moves[1] ? (filter ? map_words : filter_words) : 0;
  wire [31:0] words_z = moves[2] ? (filter ? filter_words : map_words) : 0;
  wire nothing = words_x == 0 && words_y == 0 && words_z == 0;

  logic [1:0] current;
  logic [31:0] left, have;  // words left of the operand; bits moved and not yet used
  logic [31:0] n[0:4];
  // State after this beat.
  logic [1:0] then_current;
  logic [31:0] then_left, then_have;
  logic [31:0] m[0:4];
  logic [31:0] e[0:4];
  logic [31:0] base, stride_at, address, place;
  logic as_map, carry, moved;
  integer s, k;

  assign operand = current;
  assign writes = going_out;
  assign half = flags[current == 0 ? F_HALF_X : current == 1 ? F_HALF_Y : F_HALF_Z];
  assign zeros = d[ISSUE_EMPTY*32];
  assign word_bits = current == 0 ? d[X_BITS*32+:32] : current == 1 ? d[Y_BITS*32+:32] :
      is_store ? d[STORE_BITS*32+:32] : d[PSUM_BITS*32+:32];
  assign word_signed = current == 0 ? d[X_SIGNED*32] : current == 1 ? d[Y_SIGNED*32] : 1'b1;
  wire running_beat = busy && !stall;

  always_comb begin
    as_map = current == 0 || (current == 1) == filter;
    e[0] = d[G*32+:32];
    e[1] = as_map ? d[B*32+:32] : d[O*32+:32];
    e[2] = current == 0 ? d[BOX_ROWS*32+:32] : as_map ? d[R*32+:32] : d[CH*32+:32];
    e[3] = current == 0 ? d[BOX_COLS*32+:32] : as_map ? d[C*32+:32] : d[KR*32+:32];
    e[4] = current == 0 ? d[CH*32+:32] : as_map ? d[O*32+:32] : d[KC*32+:32];
    base = d[(current==0?X_BASE : current==1?Y_BASE : Z_BASE)*32+:32];
    stride_at = current == 0 ? X_STRIDES : current == 1 ? Y_STRIDES : Z_STRIDES;
    for (k = 0; k < 5; k = k + 1) m[k] = n[k];
    then_left = left;
    then_have = have + rate;
    slot_valid = 0;
    slot_address = 0;
    slot_place = 0;
    address = 0;
    place = 0;
    carry = 0;
    for (s = 0; s < SLOTS; s = s + 1)
      if (running_beat && then_left != 0 && then_have >= word_bits) begin
        address = base;
        place = 0;
        for (k = 0; k < 5; k = k + 1) begin
          address = address + m[k] * d[(stride_at+k)*32+:32];
          place = place * e[k] + m[k];
        end
        slot_valid[s] = 1;
        slot_address[s*32+:32] = address;
        slot_place[s*16+:16] = place[15:0];
        then_left = then_left - 1;
        then_have = then_have - word_bits;
        carry = 1;
        for (k = 4; k >= 0; k = k - 1)
          if (carry) begin
            m[k] = m[k] + 1;
            if (current == 0 && k == 2) m[k] = next_set(d[ROW_MASK*32+:32], m[k]);
            if (current == 0 && k == 3) m[k] = next_set(d[COL_MASK*32+:32], m[k]);
            carry = m[k] >= e[k];
            if (carry) m[k] = current != 0 ? 0 : k == 2 ? next_set(d[ROW_MASK*32+:32], 0) :
                k == 3 ? next_set(d[COL_MASK*32+:32], 0) : 0;
          end
      end
    moved = running_beat && then_left == 0;
    then_current = current == 0 && words_y != 0 ? 2'd1 : 2'd2;
    ends = (grant && nothing) || (moved && !(current == 0 && (words_y != 0 || words_z != 0)) &&
        !(current == 1 && words_z != 0));
  end

  task automatic begin_operand(input [1:0] which, input [31:0] words);
    begin
      current <= which;
      left <= words;
      have <= 0;
      n[0] <= 0;
      n[1] <= 0;
      n[2] <= which == 0 ? next_set(d[ROW_MASK*32+:32], 0) : 0;
      n[3] <= which == 0 ? next_set(d[COL_MASK*32+:32], 0) : 0;
      n[4] <= 0;
    end
  endtask

  integer q;
  always_ff @(posedge clk) begin
    if (rst) begin
      busy <= 0;
      next_tile <= 0;
      next_slot <= 0;
      gap <= 0;
      writes_last <= 0;
      is_store <= 0;
      running <= 0;
      transfers <= 0;
      stores_left <= 0;
      has_x <= 0;
      has_y <= 0;
      x_tile <= 0;
      y_tile <= 0;
      current <= 0;
      left <= 0;
      have <= 0;
      for (q = 0; q < 5; q = q + 1) n[q] <= 0;
    end else begin
      if (grant) begin
        busy <= !nothing;
        running <= of_tile;
        is_store <= found_store;
        writes_last <= found_store;
        next_tile <= found_slot == 3 ? scan_tile + 1 : scan_tile;
        next_slot <= found_slot + 2'd1;
        if (!found_store && flags[F_LOAD_X]) begin
          has_x <= 1;
          x_tile <= of_tile;
        end
        if (!found_store && flags[F_LOAD_Y]) begin
          has_y <= 1;
          y_tile <= of_tile;
        end
        if (words_x != 0) begin_operand(0, words_x);
        else if (words_y != 0) begin_operand(1, words_y);
        else begin_operand(2, words_z);
      end else if (running_beat) begin
        left <= then_left;
        have <= then_have;
        for (q = 0; q < 5; q = q + 1) n[q] <= m[q];
        if (moved && !ends) begin
          if (then_current == 1) begin_operand(1, words_y);
          else begin_operand(2, words_z);
        end
      end
      if (ends) begin
        busy <= 0;
        transfers <= transfers + 1;
        if (going_out) stores_left <= stores_left + 1;
      end
      gap <= grant || busy ? 0 : gap + 1;
    end
  end
endmodule
