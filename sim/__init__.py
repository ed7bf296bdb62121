"""The simulator: on-chip learning, exact to the bit and the cycle of the SPEC."""
