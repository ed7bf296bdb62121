"""A chip on a real board: its top level with a serial port, the bitstream, and the host's side of the line."""
