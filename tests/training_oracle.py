"""The published flip rules in NumPy float32, one weight at a time; imports nothing of flipcore.

Written from the equations of Liang et al. (ICML 2025) and Helwegen et al. (NeurIPS 2019): every product and every sum is a float32 of its own, in the order of the equations.
The mean of the squares is exact before it is rounded. Slow on purpose.
"""

import math

import numpy as np
import numpy.typing as npt

F32 = np.float32
Floats = npt.NDArray[np.float32]


def average(old: F32, new: F32, rate: float) -> F32:
    """Moving average beta * old + (1 - beta) * new, with 1 - beta given."""
    return F32(F32(old * F32(1.0 - rate)) + F32(new * F32(rate)))


def mean_of_squares(gradient: Floats) -> F32:
    """Mean of G**2; a square of a float32 is exact in double precision, and fsum adds without error."""
    return F32(math.fsum(float(g) * float(g) for g in gradient) / len(gradient))


def flip(weight: F32, momentum: F32, threshold: F32, keep: bool) -> tuple[F32, F32]:
    """Flip, w <- -w iff w * M > threshold; M <- 0 then, unless it is kept."""
    if F32(weight * momentum) > threshold:
        return F32(-weight), momentum if keep else F32(0.0)
    return weight, momentum


class FlipOracle:
    """BSO (also Bop, with keep) or, given a square rate, T-BSO on one vector of weights."""

    def __init__(self, weights: Floats, rate: float, gamma: float, keep: bool) -> None:
        self.weights = [F32(w) for w in weights]
        self.momenta = [F32(0.0)] * len(weights)
        self.second_moments: dict[int, F32] = {}
        self.rate, self.gamma, self.keep = rate, gamma, keep
        self.square_rate: float | None = None
        self.epsilon = 0.0

    def step(self, gradient: Floats, time_step: int = 0) -> None:
        """One step of the rule."""
        threshold = F32(self.gamma)
        if self.square_rate is not None:
            old = self.second_moments.get(time_step, F32(0.0))
            moved = average(old, mean_of_squares(gradient), self.square_rate)
            self.second_moments[time_step] = moved
            threshold = F32(np.sqrt(F32(moved + F32(self.epsilon))) * F32(self.gamma))
        for i, g in enumerate(gradient):
            moved = average(self.momenta[i], F32(g), self.rate)
            self.weights[i], self.momenta[i] = flip(self.weights[i], moved, threshold, self.keep)
