// Runs programs one after the other from a file of words, with a memory that answers after `latency` cycles.
//
// The file (tests/rtl_chain.py writes it): number of programs, then for each the header below, its
// stall pattern, its tiles field by field, and the words of memory.  Results go to a file of lines.
module tb_accelerator;
  parameter N = 2;
  parameter M = 2;
  parameter MAX_TILES = 64;
  parameter SLOTS = 16;
  parameter DEPTH = 1024;
  parameter IMAGE = 1 << 20;
  parameter MEMORY = 1 << 14;
  parameter LIMIT = 1 << 20;
  `include "fields.svh"

  reg clk = 0, rst = 1;
  reg [31:0] tiles, latency, turnaround, setup, reconfigure, rate, stalls, words, out_base, out_words, log;
  reg prog_we = 0;
  reg [31:0] prog_addr;
  reg [WIDTH-1:0] prog_data;
  wire stall, beat_ends, beat_writes, beat_zeros, finished, port_busy;
  wire [SLOTS-1:0] beat_valid;
  wire [SLOTS*32-1:0] beat_address;
  wire [SLOTS*64-1:0] beat_data;
  wire [SLOTS*16+10-1:0] beat_tag;
  wire [31:0] beat_bits, tile, transfers, tiles_done, seen_x_bits, seen_y_bits, seen_products, seen_z_reads, seen_z_writes;
  wire [2:0] kind;
  reg back_ends;
  reg [SLOTS-1:0] back_valid;
  reg [SLOTS*64-1:0] back_data;
  reg [SLOTS*16+10-1:0] back_tag;

  accelerator #(
      .N(N), .M(M), .MAX_TILES(MAX_TILES), .SLOTS(SLOTS), .DEPTH_X(DEPTH), .DEPTH_Y(DEPTH), .DEPTH_Z(DEPTH)
  ) dut (.*);

  reg [31:0] image[0:IMAGE-1];
  reg [63:0] memory[0:MEMORY-1];
  reg [31:0] cycle;

  // --- memory: a queue of answers with the cycle each is due
  localparam QUEUE = 256;
  reg [31:0] due[0:QUEUE-1];
  reg queued_ends[0:QUEUE-1];
  reg [SLOTS-1:0] queued_valid[0:QUEUE-1];
  reg [SLOTS*64-1:0] queued_data[0:QUEUE-1];
  reg [SLOTS*16+10-1:0] queued_tag[0:QUEUE-1];
  reg [31:0] first, last;
  wire reads = (beat_valid != 0 || beat_ends) && !beat_writes;
  reg [SLOTS*64-1:0] read_data;
  integer s;
  // Not sensitive to the memory itself: it is written between beats, and `cycle` moves each cycle.
  always @(beat_valid or beat_ends or beat_writes or beat_address or beat_tag or cycle or first or last or latency) begin
    read_data = 0;
    for (s = 0; s < SLOTS; s = s + 1)
      if (beat_valid[s]) read_data[s*64+:64] = memory[beat_address[s*32+:32]];
    if (latency == 0) begin
      back_ends = beat_ends && !beat_writes;
      back_valid = beat_writes ? 0 : beat_valid;
      back_data = read_data;
      back_tag = beat_tag;
    end else begin
      back_ends = 0;
      back_valid = 0;
      back_data = queued_data[first % QUEUE];
      back_tag = queued_tag[first % QUEUE];
      if (first != last && due[first % QUEUE] == cycle) begin
        back_ends = queued_ends[first % QUEUE];
        back_valid = queued_valid[first % QUEUE];
      end
    end
  end
  integer stall_base;
  assign stall = stalls != 0 && image[stall_base + cycle % stalls][0];

  // --- what is counted
  reg [63:0] read_bits[0:2], written_bits, filled_words[0:2];
  reg [63:0] sum_x, sum_y, sum_products, sum_z_reads, sum_z_writes, drained_words;
  reg [63:0] kinds[0:7];
  integer results, at, p, programs, i, f;
  reg running = 0;
  reg [63:0] out_value;

  integer u;
  always @(posedge clk)
    if (running) begin
      if (!finished) begin
        kinds[kind] <= kinds[kind] + 1;
        if (log != 0)
          $fwrite(results, "C %0d %0d %0d %0d %0d %0d\n", kind, tile, port_busy, transfers, tiles_done, seen_z_writes);
      end
      cycle <= cycle + 1;
      if (reads) begin
        if (latency != 0) begin
          due[last % QUEUE] <= cycle + latency;
          queued_ends[last % QUEUE] <= beat_ends;
          queued_valid[last % QUEUE] <= beat_valid;
          queued_data[last % QUEUE] <= read_data;
          queued_tag[last % QUEUE] <= beat_tag;
          last <= last + 1;
        end
      end
      if (latency != 0 && first != last && due[first % QUEUE] == cycle) first <= first + 1;
      for (u = 0; u < SLOTS; u = u + 1)
        if (beat_valid[u]) begin
          if (beat_writes) begin
            memory[beat_address[u*32+:32]] <= $signed(beat_data[u*64+:64] << (64 - beat_bits)) >>> (64 - beat_bits);
            written_bits = written_bits + beat_bits;
            if (!beat_zeros) drained_words = drained_words + 1;
          end else begin
            read_bits[beat_tag[SLOTS*16+:2]] = read_bits[beat_tag[SLOTS*16+:2]] + beat_bits;
            filled_words[beat_tag[SLOTS*16+:2]] = filled_words[beat_tag[SLOTS*16+:2]] + 1;
          end
        end
      sum_x <= sum_x + seen_x_bits;
      sum_y <= sum_y + seen_y_bits;
      sum_products <= sum_products + seen_products;
      sum_z_reads <= sum_z_reads + seen_z_reads;
      sum_z_writes <= sum_z_writes + seen_z_writes;
    end

  task tick;
    begin
      #1 clk = 1;
      #1 clk = 0;
    end
  endtask

  reg [8*200-1:0] program_file, result_file;
  initial begin
    if (!$value$plusargs("programs=%s", program_file)) $finish;
    if (!$value$plusargs("results=%s", result_file)) $finish;
    $readmemh(program_file, image);
    results = $fopen(result_file, "w");
    programs = image[0];
    at = 1;
    for (p = 0; p < programs; p = p + 1) begin
      running = 0;
      rst = 1;
      tiles = image[at];
      latency = image[at+1];
      turnaround = image[at+2];
      setup = image[at+3];
      reconfigure = image[at+4];
      rate = image[at+5];
      stalls = image[at+6];
      words = image[at+7];
      out_base = image[at+8];
      out_words = image[at+9];
      log = image[at+10];
      at = at + 11;
      stall_base = at;
      at = at + stalls;
      for (i = 0; i < tiles; i = i + 1) begin
        for (f = 0; f < FIELDS; f = f + 1) prog_data[f*32+:32] = image[at+f];
        at = at + FIELDS;
        prog_addr = i;
        prog_we = 1;
        tick;
      end
      prog_we = 0;
      for (i = 0; i < words; i = i + 1) memory[i] = {{32{image[at+i][31]}}, image[at+i]};
      at = at + words;
      cycle = 0;
      first = 0;
      last = 0;
      written_bits = 0;
      drained_words = 0;
      sum_x = 0;
      sum_y = 0;
      sum_products = 0;
      sum_z_reads = 0;
      sum_z_writes = 0;
      for (i = 0; i < 8; i = i + 1) kinds[i] = 0;
      for (i = 0; i < 3; i = i + 1) begin
        read_bits[i] = 0;
        filled_words[i] = 0;
      end
      tick;
      rst = 0;
      running = 1;
      #1;
      while (!finished && cycle < LIMIT) tick;
      running = 0;
      $fwrite(results, "P %0d %0d %0d %0d %0d %0d %0d %0d %0d", p, finished, kinds[0], kinds[1], kinds[2], kinds[3],
              kinds[4], kinds[5], kinds[6]);
      $fwrite(results, " %0d %0d %0d %0d %0d %0d %0d %0d", read_bits[0], read_bits[1], read_bits[2], written_bits,
              filled_words[0], filled_words[1], filled_words[2], drained_words);
      $fwrite(results, " %0d %0d %0d %0d %0d\n", sum_x, sum_y, sum_products, sum_z_reads, sum_z_writes);
      for (i = 0; i < out_words; i = i + 1) $fwrite(results, "M %0d\n", $signed(memory[out_base+i]));
    end
    $fclose(results);
    $finish;
  end
endmodule
