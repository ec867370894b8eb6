// A fusion unit (ISCA 2018, sec. III): 16 BitBricks and the shift-add tree that joins them.
//
// Modes 0, 1, 2 are operands of 2, 4, 8 bits.  The bricks join into (8/a)(8/w) lanes of (a/2)(w/2)
// bricks each; lane k has its operands at x[k*a +: a] and y[k*w +: w], and `sum` is the sum of all
// lanes' products.  Only the brick with the top digit of an operand sees its sign.
module fusion_unit (
    input  logic [31:0] x,
    input  logic [31:0] y,
    input  logic [1:0]  x_mode,
    input  logic [1:0]  y_mode,
    input  logic        x_signed,
    input  logic        y_signed,
    output logic signed [19:0] sum
);
  // Digits of 2 bits an operand has, as a power of two, is its mode; so are the digits a lane takes.
  wire [2:0] lane_shift = {1'b0, x_mode} + {1'b0, y_mode};
  wire [3:0] top_x = (4'd1 << x_mode) - 4'd1;
  wire [3:0] top_y = (4'd1 << y_mode) - 4'd1;

  wire signed [19:0] partial[16:0];
  assign partial[0] = 20'sd0;
  assign sum = partial[16];

  genvar b;
  generate
    for (b = 0; b < 16; b = b + 1) begin : bricks
      wire [3:0] number = b;
      wire [3:0] lane = number >> lane_shift;
      wire [3:0] digit_x = number & top_x;
      wire [3:0] digit_y = (number >> x_mode) & top_y;
      wire [3:0] at_x = (lane << x_mode) + digit_x;
      wire [3:0] at_y = (lane << y_mode) + digit_y;
      wire [3:0] weight = digit_x + digit_y;
      wire signed [5:0] product;
      bitbrick brick (
          .x(x[{at_x, 1'b0}+:2]),
          .y(y[{at_y, 1'b0}+:2]),
          .x_signed(x_signed && digit_x == top_x),
          .y_signed(y_signed && digit_y == top_y),
          .product(product)
      );
      wire signed [19:0] wide = {{14{product[5]}}, product};
      assign partial[b+1] = partial[b] + (wide <<< {weight, 1'b0});
    end
  endgenerate
endmodule
