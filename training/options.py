"""How a recipe is trained: everything that the command line chooses beside the recipe itself."""

from dataclasses import dataclass
from typing import Literal

from flipcore.errors import InputError
from flipcore.training.algorithms import Algorithm

Storage = Literal["dense", "packed-float32", "packed-bfloat16", "packed-int8", "packed-int4"]
STORAGES: tuple[Storage, ...] = (
    "dense",
    "packed-float32",
    "packed-bfloat16",
    "packed-int8",
    "packed-int4",
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Choices that, with the recipe and the data, fix a training.

    Attributes:
        storage: of weights that flip: `dense`, a float32 each for sign and momentum, as published; or 1 bit per weight and the momentum in the named format, updated inside the backward pass.
        gate: AGMM's gate in front of every binary layer.
        amp: matrix products in bfloat16.
        validation: share of the training split that is held out and tested on, in place of the test split.
    """

    algorithm: Algorithm
    storage: Storage = "packed-int8"
    gate: bool = False
    amp: bool = False
    seed: int = 0
    epochs: int | None = None
    validation: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a storage that does not exist, or that the algorithm cannot use.

        Raises:
            InputError: names the value and what is possible.
        """
        if self.storage not in STORAGES:
            raise InputError(f"storage {self.storage}: unknown (storages: {', '.join(STORAGES)})")
        if self.packed and not self.algorithm.online:
            raise InputError(
                f"storage {self.storage}: {self.algorithm.name} goes back through time, packed weights learn step by step: write --storage dense"
            )

    @property
    def title(self) -> str:
        """Name of this training among those of one recipe."""
        return f"{self.variant}-seed{self.seed}"

    @property
    def variant(self) -> str:
        """The algorithm with what was chosen for it, whatever the seed."""
        storage = f"-{self.storage}" if self.algorithm.flips else ""
        return f"{self.algorithm.name}{'-gate' if self.gate else ''}{storage}"

    @property
    def packed(self) -> bool:
        """Whether weights are held as bits."""
        return self.algorithm.flips and self.storage != "dense"
