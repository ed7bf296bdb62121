"""flipcore: simulate, generate, price and train chips that learn with one bit per synapse."""
