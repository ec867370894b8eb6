// Nested counters, level 0 outermost, that take up to `rate` steps a cycle.
//
// The innermost level begins at late_start where the level around it has reached late_from: rows of a
// later window that an earlier one has brought already are stepped over.
module walker #(
    parameter LANES = 4,
    parameter LEVELS = 6
) (
    input  logic clk,
    input  logic restart,
    input  logic run,
    input  logic [31:0] rate,
    input  logic [LEVELS*32-1:0] extent,
    input  logic [31:0] late_from,
    input  logic [31:0] late_start,
    output logic [LANES*LEVELS*32-1:0] index,
    output logic [LANES-1:0] valid,
    output logic ending  // nothing is left after this cycle
);
  logic [LEVELS*32-1:0] count, at;
  logic spent, over, carry;
  integer lane, level;
  always @* begin
    at = count;
    over = spent;
    level = 0;
    carry = 0;
    for (lane = 0; lane < LANES; lane = lane + 1) begin
      index[lane*LEVELS*32+:LEVELS*32] = at;
      valid[lane] = run && !over && lane < rate;
      if (!over && lane < rate) begin
        carry = 1;
        for (level = LEVELS - 1; level >= 0; level = level - 1)
          if (carry) begin
            carry = at[level*32+:32] + 1 == extent[level*32+:32];
            at[level*32+:32] = carry ? 0 : at[level*32+:32] + 1;
          end
        over = carry;
        if (at[(LEVELS-1)*32+:32] == 0 && at[(LEVELS-2)*32+:32] >= late_from) at[(LEVELS-1)*32+:32] = late_start;
      end
    end
    ending = over;
  end

  always_ff @(posedge clk)
    if (restart) begin
      count <= 0;
      spent <= 0;
    end else if (run) begin
      count <= at;
      spent <= over;
    end
endmodule
