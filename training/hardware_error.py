"""Errors of many chips at once: of the readout and backward through a core; T-BSO's threshold from them (N7, N8, N14)."""

import torch
from torch import Tensor
from torch.nn import functional

from flipcore import numerics
from flipcore.chip import Chip, Core, Hinge, Softmax

_LOWEST = torch.iinfo(torch.int32).min
_HALF_BITS = 7  # an error of 12 bits as two numbers of at most 7 bits, exact in any float format


def readout_error(chip: Chip, values: Tensor, labels: Tensor) -> Tensor:
    """Error of the readout (N7).

    Args:
        chip: names the rule.
        values: int32 [chips, classes], z.
        labels: int64 [chips].

    Returns:
        int32 [chips, classes], of -64 ... 64.
    """
    if isinstance(chip.error, Softmax):
        return _softmax_error(chip.error, values, labels[:, None])
    return _hinge_error(chip.error, values, labels[:, None])


def _hinge_error(rule: Hinge, values: Tensor, label: Tensor) -> Tensor:
    """The first of the best wrong classes against the label where the margin is missed; argmax finds the first."""
    rival = values.scatter(1, label, _LOWEST).argmax(1, keepdim=True)
    missed = values.gather(1, label) - values.gather(1, rival) < rule.margin
    amount = numerics.UNIT_ERROR * missed.to(torch.int32)
    return torch.zeros_like(values).scatter_(1, rival, amount).scatter_(1, label, -amount)


def _softmax_error(rule: Softmax, values: Tensor, label: Tensor) -> Tensor:
    table = torch.tensor(numerics.EXPONENTIALS, dtype=torch.int32, device=values.device)
    index = numerics.softmax_index(values.amax(1, keepdim=True), values, rule.sharpness)
    parts = table[index]
    whole = parts.sum(1, keepdim=True, dtype=torch.int32)
    target = torch.zeros_like(values).scatter_(1, label, numerics.UNIT_ERROR)
    return (numerics.divide_unit(parts, whole) - target).to(torch.int32)


def live_words(core: Core, error: Tensor) -> Tensor:
    """Words with an error that is not 0 (O2), bool [chips, words], of errors [chips, neurons]."""
    return padded_words(core, error).any(2)


def padded_words(core: Core, values: Tensor) -> Tensor:
    """Values per neuron [chips, neurons] as words [chips, words, lanes], 0 in the padding (S2)."""
    padding = core.words * core.lanes - core.neurons
    return functional.pad(values, (0, padding)).unflatten(1, (core.words, core.lanes))


def backward_error(
    core: Core, below: Core, weights: Tensor, error: Tensor, window: Tensor
) -> Tensor:
    """Error of the layer below (N8), to be asked for before the weights change.

    A matrix product of floats is exact here whatever precision torch is set to: each factor has at most 7 bits, each sum
    stays below 2**24. Words without an error add 0, rows without a window bit are set to 0.

    Args:
        core: the core that the error is of.
        below: the core whose error is made.
        weights: float32 [chips, axons, neurons], -1 or +1.
        error: int32 [chips, neurons].
        window: bool [chips, axons], h of the neurons below.

    Returns:
        int32 [chips, axons].
    """
    high = error >> _HALF_BITS
    halves = torch.stack((high, error - (high << _HALF_BITS)), dim=2).to(torch.float32)
    sums = torch.bmm(weights, halves).to(torch.int32)
    total = (sums[:, :, 0] << _HALF_BITS) + sums[:, :, 1]
    return numerics.scale_error(total, core.error_shift, below.error_bits) * window


def flip_thresholds(
    core: Core, second_moment: Tensor, step: int, error: Tensor, trace: Tensor
) -> Tensor:
    """Flip threshold of each chip in this step, int32 [chips]; T-BSO moves v[step] first, in place (N14).

    Args:
        core: its rule and shifts.
        second_moment: int64 [chips, steps].
        step: t.
        error: int32 [chips, neurons].
        trace: int32 [chips, axons].
    """
    if core.rule == "bso":
        return torch.full_like(error[:, 0], core.flip_threshold_value)
    square = _sum_of_squares(error) * _sum_of_squares(trace)  # below 2**63
    moved = numerics.average_square(
        second_moment[:, step], square, core.square_shift, core.average_shift
    )
    second_moment[:, step] = moved
    threshold = numerics.adaptive_threshold(
        moved, core.threshold_gain, core.threshold_shift, core.momentum_limit
    )
    return threshold.to(torch.int32)


def _sum_of_squares(values: Tensor) -> Tensor:
    wide = values.to(torch.int64)
    return (wide * wide).sum(1)
