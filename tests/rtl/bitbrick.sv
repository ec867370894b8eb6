// A BitBrick (Sharma et al., ISCA 2018, fig. 5): two 2-bit operands, each signed or unsigned.
module bitbrick (
    input  logic [1:0] x,
    input  logic [1:0] y,
    input  logic       x_signed,
    input  logic       y_signed,
    output logic signed [5:0] product
);
  // One bit of sign extension makes signed and unsigned digits the same 3-bit multiplication.
  wire signed [2:0] wide_x = {x_signed & x[1], x};
  wire signed [2:0] wide_y = {y_signed & y[1], y};
  assign product = wide_x * wide_y;
endmodule
