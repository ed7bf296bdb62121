"""The training algorithms by name: what each keeps per weight, how it finds gradients, and when it updates."""

from dataclasses import dataclass
from typing import Literal

from flipcore.chip.parse import near
from flipcore.errors import InputError

WeightKind = Literal["float", "latent", "binary"]
Updates = Literal["sgd", "adam", "bso", "tbso", "bop"]


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """A way to train a network of binary weights.

    Attributes:
        weights: what is kept of a weight: a float that is used as it is, a latent float whose sign is used, or the sign alone.
        updates: the rule that changes the weights.
        online: gradients step by step from presynaptic traces, in memory that does not grow with the steps; otherwise back-propagation through time.
        update_each_step: weights change after each time step; otherwise after each batch.
        source: where it is described.
    """

    name: str
    weights: WeightKind
    updates: Updates
    online: bool
    update_each_step: bool
    source: str

    @property
    def flips(self) -> bool:
        """Whether weights are signs that flip, with no float behind them."""
        return self.weights == "binary"


ALGORITHMS = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm(
            name="bso",
            weights="binary",
            updates="bso",
            online=True,
            update_each_step=True,
            source="Liang et al. 2025, BSO",
        ),
        Algorithm(
            name="tbso",
            weights="binary",
            updates="tbso",
            online=True,
            update_each_step=True,
            source="Liang et al. 2025, T-BSO",
        ),
        Algorithm(
            name="bop",
            weights="binary",
            updates="bop",
            online=True,
            update_each_step=False,
            source="Helwegen et al. 2019, with online gradients",
        ),
        Algorithm(
            name="bop-bptt",
            weights="binary",
            updates="bop",
            online=False,
            update_each_step=False,
            source="Helwegen et al. 2019, with back-propagation through time",
        ),
        Algorithm(
            name="ottt-sgd",
            weights="latent",
            updates="sgd",
            online=True,
            update_each_step=False,
            source="Xiao et al. 2022, latent weights and straight-through gradients",
        ),
        Algorithm(
            name="ottt-adam",
            weights="latent",
            updates="adam",
            online=True,
            update_each_step=False,
            source="Xiao et al. 2022, latent weights and straight-through gradients",
        ),
        Algorithm(
            name="bptt-sgd",
            weights="latent",
            updates="sgd",
            online=False,
            update_each_step=False,
            source="latent weights, straight-through gradients, back-propagation through time",
        ),
        Algorithm(
            name="bptt-adam",
            weights="latent",
            updates="adam",
            online=False,
            update_each_step=False,
            source="latent weights, straight-through gradients, back-propagation through time",
        ),
        Algorithm(
            name="float",
            weights="float",
            updates="adam",
            online=False,
            update_each_step=False,
            source="full-precision weights, back-propagation through time",
        ),
    )
}


def find_algorithm(name: str) -> Algorithm:
    """The algorithm of this name.

    Raises:
        InputError: there is none.
    """
    if name not in ALGORITHMS:
        raise InputError(
            f"algorithm {name}: unknown{near(name, ALGORITHMS)} (algorithms: {', '.join(ALGORITHMS)})"
        )
    return ALGORITHMS[name]
