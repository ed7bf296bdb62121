"""cocotb benches; each is found by its dotted name and judges generated Verilog by `flipcore.numerics`."""
