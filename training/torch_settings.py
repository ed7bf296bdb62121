"""Settings of torch that hold for a whole process."""

import os

import torch

from flipcore.training.recipe import Recipe


def configure_torch(recipe: Recipe, *, deterministic: bool) -> None:
    """Settle threads and determinism before a recipe is trained; for programs, not for libraries.

    The products of an mlp are so small that several threads only wait for each other.
    """
    if deterministic:
        # Without it cuBLAS refuses to be deterministic; it is read when a GPU is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    if recipe.network.model == "mlp":
        torch.set_num_threads(1)
