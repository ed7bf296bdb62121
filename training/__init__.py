"""Training in PyTorch; the only part that may import torch."""
