"""The Verilog of a chip: generated from its description and verified against the SPEC in simulation."""
