// Included in module bodies: bits of the records of records.sv, and sizes of blocks.
  localparam INPUT_WORD = 2 + 4 * 32;
  localparam WEIGHT_WORD = 1 + 6 * 32;
  localparam PSUM_WORD = 3 + 5 * 32;
  localparam POSITION = 6 + 9 * 32;
  localparam STEP = 4 + 6 * 32;

  function automatic [31:0] least(input [31:0] a, input [31:0] b);
    least = a < b ? a : b;
  endfunction

  // Size of the block of `size` that starts at `from` of `all`.
  function automatic [31:0] rest(input [31:0] size, input [31:0] all, input [31:0] from);
    rest = all - from < size ? all - from : size;
  endfunction
