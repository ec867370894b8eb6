// Runs tiles one after the other from a file of words; issue cycles, drain, counts and psums go to another.
//
// The file (tests/row_stationary_chain.py writes it): number of tiles, then for each its fields, the
// counts of the words of input, filter and psums, and those words.
module tb_machine;
  parameter BITS = 8;
  parameter ROWS = 2;
  parameter COLS = 2;
  parameter DEPTH = 4096;
  parameter IMAGE = 1 << 20;
  parameter FIELDS = 1;  // of tile_t
  parameter LIMIT = 1 << 20;
  reg clk = 0, rst = 1, fills_inputs = 0, fills_weights = 0, fills_psums = 0;
  reg [31:0] address = 0;
  reg [BITS-1:0] value;
  reg [FIELDS*32-1:0] words;
  tile_t t;
  wire [BITS-1:0] psum_value;
  wire busy, closing, done;
  wire [ROWS*COLS*7*32-1:0] pe_counts;
  wire [31:0] inputs_read, weights_read, psums_read, psums_written;
  machine #(.BITS(BITS), .ROWS(ROWS), .COLS(COLS), .DEPTH(DEPTH)) dut (.*);

  reg [31:0] image[0:IMAGE-1];
  reg [63:0] total[0:6];
  reg [1023:0] source, target;
  integer results, tiles, number, at, i, k, inputs, filters, psums, cycle, last_issue, issue, limit;
  task tick;
    begin
      #1 clk = 1;
      #1 clk = 0;
    end
  endtask

  initial begin
    if (!$value$plusargs("tiles=%s", source) || !$value$plusargs("results=%s", target)) $fatal(1, "no files");
    $readmemh(source, image);
    results = $fopen(target, "w");
    tiles = image[0];
    at = 1;
    for (number = 0; number < tiles; number = number + 1) begin
      rst = 1;
      for (i = 0; i < FIELDS; i = i + 1) words[(FIELDS-1-i)*32+:32] = image[at+i];
      t = words;
      inputs = image[at+FIELDS];
      filters = image[at+FIELDS+1];
      psums = image[at+FIELDS+2];
      at = at + FIELDS + 3;
      for (i = 0; i < inputs + filters + psums; i = i + 1) begin
        fills_inputs = i < inputs;
        fills_weights = i >= inputs && i < inputs + filters;
        fills_psums = i >= inputs + filters;
        address = fills_inputs ? i : fills_weights ? i - inputs : i - inputs - filters;
        value = image[at+i];
        tick;
      end
      fills_inputs = 0;
      fills_weights = 0;
      fills_psums = 0;
      at = at + inputs + filters + psums;
      for (i = 0; i <= 2 * ROWS + 2; i = i + 1) tick;
      rst = 0;
      issue = 0;
      last_issue = -1;
      cycle = 0;
      while (!done && cycle < LIMIT) begin
        #1;
        if (busy) issue = issue + 1;
        if (closing) last_issue = cycle;
        tick;
        cycle = cycle + 1;
      end
      for (k = 0; k < 7; k = k + 1) begin
        total[k] = 0;
        for (i = 0; i < ROWS * COLS; i = i + 1) total[k] = total[k] + pe_counts[(i*7+k)*32+:32];
      end
      $fwrite(results, "T %0d %0d %0d %0d %0d %0d %0d", done, issue, cycle - last_issue, inputs_read, weights_read,
              psums_read, psums_written);
      for (k = 0; k < 7; k = k + 1) $fwrite(results, " %0d", total[k]);
      $fwrite(results, "\n");
      for (i = 0; i < psums; i = i + 1) begin
        address = i;
        #1 $fwrite(results, "M %0d\n", psum_value);
      end
    end
    $fclose(results);
    $finish;
  end
endmodule
