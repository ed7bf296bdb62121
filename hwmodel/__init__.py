"""The cost model: what a chip needs in memory, and what that costs."""
