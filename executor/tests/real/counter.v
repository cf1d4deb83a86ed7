// A counter, an arithmetic unit and a small memory: what synthesis turns into gates.
module counter(input clk, input reset, input [1:0] op, input [7:0] a, output reg [7:0] sum, output [7:0] read);
  reg [7:0] store [0:15];
  assign read = store[sum[3:0]];
  always @(posedge clk) begin
    if (reset) sum <= 0;
    else case (op)
      0: sum <= sum + a;
      1: sum <= sum - a;
      2: sum <= sum ^ {a[3:0], a[7:4]};
      default: sum <= (a < sum) ? a * 3 : sum >> 1;
    endcase
    store[a[3:0]] <= sum;
  end
endmodule
