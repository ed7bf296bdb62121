"""Software against the chip: the same data, the same network, every way to train it."""
