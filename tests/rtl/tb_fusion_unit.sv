// Every pair of operand values of every width pair and sign, in every lane, the other lanes at random.
module tb_fusion_unit;
  logic [31:0] x, y;
  logic [1:0] x_mode, y_mode;
  logic x_signed, y_signed;
  wire signed [19:0] sum;
  fusion_unit unit (.*);

  integer vectors = 0, mismatches = 0;
  integer xm, ym, signs, lane, lanes, a, w, u, v, k, expected, p, q;

  initial begin
    for (xm = 0; xm < 3; xm = xm + 1)
    for (ym = 0; ym < 3; ym = ym + 1)
    for (signs = 0; signs < 4; signs = signs + 1) begin
      a = 2 << xm;
      w = 2 << ym;
      lanes = (8 / a) * (8 / w);
      {x_signed, y_signed} = signs[1:0];
      x_mode = xm[1:0];
      y_mode = ym[1:0];
      for (lane = 0; lane < lanes; lane = lane + 1)
      for (u = 0; u < (1 << a); u = u + 1)
      for (v = 0; v < (1 << w); v = v + 1) begin
        x = $urandom;
        y = $urandom;
        for (k = 0; k < a; k = k + 1) x[lane*a+k] = u[k];
        for (k = 0; k < w; k = k + 1) y[lane*w+k] = v[k];
        expected = 0;
        for (k = 0; k < lanes; k = k + 1) begin
          p = (x >> (k * a)) & ((1 << a) - 1);
          q = (y >> (k * w)) & ((1 << w) - 1);
          if (x_signed && p >= (1 << (a - 1))) p = p - (1 << a);
          if (y_signed && q >= (1 << (w - 1))) q = q - (1 << w);
          expected = expected + p * q;
        end
        #1;
        vectors = vectors + 1;
        if (sum !== expected) mismatches = mismatches + 1;
      end
    end
    $display("vectors %0d mismatches %0d", vectors, mismatches);
    $finish;
  end
endmodule
