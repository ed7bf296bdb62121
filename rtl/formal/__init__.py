"""Proofs of properties of generated Verilog: the properties, the checkers that bind them to modules, and the solver."""
