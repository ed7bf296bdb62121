"""Momentum of one layer in few bits: float32, bfloat16, int8 or int4, updated chunk by chunk.

Integer formats hold M = scale * m with one scale per layer:

- Decay costs no pass over memory and no rounding: M <- (1 - r) M multiplies the scale alone.
- A gradient is added with stochastic rounding, m <- m + round(G * r / scale + u), u uniform in (-1/2, 1/2): a random byte per element and a finer offset per chunk.
  The expected sum is exact to 2**-33 of a level, and where G is 0 nothing moves.
- m saturates at +-127 (int8) or +-7 (int4). When more than one level in 64 of a sample is saturated after a step, all m are halved, rounded stochastically, and the scale is doubled; each step looks at the next 8192 levels, or at those that a single sample touched.
  Before a step whose largest addition would not fit, m is halved as often as needed; this also finds the first scale.
  So the scale follows the momentum up by these rules and down by the decay itself.

bfloat16 is updated in float32 and rounded stochastically: to the nearest, a small rate would never move it. float32 is the published rule to the last bit.

All randomness comes from a seed and the count of updates: ranks with the same seed and gradients round alike, and a restored layer goes on as if never stopped.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from flipcore.draws import GOLDEN, MASK64, mix
from flipcore.errors import InputError
from flipcore.training.flip_rules import average_
from flipcore.training.packing import packed_size

FORMATS = ("float32", "bfloat16", "int8", "int4")
# Elements handled at a time, which bounds the temporaries: 2 MiB on a CPU, 64 MiB on a GPU, where fewer launches count.
CPU_CHUNK = 1 << 17
GPU_CHUNK = 1 << 22
SATURATED_SHARE = 1 / 64
SATURATION_SAMPLE = 1 << 13
# Keeps rate / scale within float32; a layer whose levels have decayed below starts afresh from 0.
LEAST_SCALE = 2.0**-100


class MomentumStore(nn.Module):
    """What all formats share: raw bytes that no cast of the module's dtype can harm, chunks, random draws."""

    def __init__(self, num_bytes: int, spans: list[tuple[int, int]], seed: int) -> None:
        """Start at 0.

        Args:
            num_bytes: size of the buffer `storage`, uint8.
            spans: [start, stop) ranges of elements that chunks must not cross; starts are multiples of 8.
            seed: of the random draws; any integer.
        """
        super().__init__()
        self.storage: Tensor
        self.register_buffer("storage", torch.zeros(num_bytes, dtype=torch.uint8))
        self.spans = spans
        self.seed = seed
        self.updates = 0

    def chunks(self) -> list[tuple[int, int]]:
        """Element ranges [start, stop) to update one after the other; starts are multiples of 8."""
        size = CPU_CHUNK if self.storage.device.type == "cpu" else GPU_CHUNK
        return [
            (start, min(start + size, last))
            for first, last in self.spans
            for start in range(first, last, size)
        ]

    def begin(self, rate: float, peak: float) -> None:
        """Begin an update at this rate with gradients of at most this magnitude."""
        self.updates += 1
        self._rate = rate
        self._generator = torch.Generator(self.storage.device)
        # Output number `updates` of the seed's SplitMix64 (SPEC R1), in plain integers, which start no array.
        self._generator.manual_seed(mix((self.seed + self.updates * GOLDEN) & MASK64) >> 1)

    def end(self) -> None:
        """Finish an update."""

    def moved(self, start: int, stop: int, gradient: Tensor) -> Tensor:
        """Momentum of a chunk moved toward its gradient, float32 [stop - start]; in levels, float32 or int8.

        It counts once `write` has stored it.
        """
        raise NotImplementedError

    def write(self, start: int, stop: int, levels: Tensor) -> None:
        """Store the momentum of a chunk."""
        raise NotImplementedError

    def read(self, start: int, stop: int) -> Tensor:
        """Momentum of a chunk in levels."""
        raise NotImplementedError

    def in_levels(self, threshold: float) -> float:
        """The number that levels exceed where the momentum exceeds this threshold >= 0."""
        return threshold

    def values(self) -> Tensor:
        """The whole momentum, float32 [elements]; for inspection, as it takes the memory that the store saves."""
        return torch.cat([self.read(*chunk).float() for chunk in self.chunks()])

    def get_extra_state(self) -> dict[str, Any]:
        """What the state_dict holds beside the bytes."""
        return {"seed": self.seed, "updates": self.updates}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over what `get_extra_state` gave."""
        self.seed = state["seed"]
        self.updates = state["updates"]

    def _random_words(self, count: int) -> Tensor:
        """Uniform over all 64 bits, int64 [count]."""
        words = torch.empty(count, dtype=torch.int64, device=self.storage.device)
        return words.random_(-(2**63), None, generator=self._generator)


class Float32Momentum(MomentumStore):
    """Four bytes per element: the published rule to the last bit."""

    def __init__(self, num_elements: int, seed: int) -> None:
        """Start at 0."""
        super().__init__(4 * num_elements, [(0, num_elements)], seed)

    def moved(self, start: int, stop: int, gradient: Tensor) -> Tensor:
        """Move the stored momentum itself."""
        momentum = self.read(start, stop)
        average_(momentum, gradient, self._rate)
        return momentum

    def write(self, start: int, stop: int, levels: Tensor) -> None:
        """Nothing is left to do: what `moved` gave is the storage."""

    def read(self, start: int, stop: int) -> Tensor:
        """View of the storage, float32."""
        return self.storage.view(torch.float32)[start:stop]


class BFloat16Momentum(MomentumStore):
    """Two bytes per element, rounded stochastically from float32."""

    def __init__(self, num_elements: int, seed: int) -> None:
        """Start at 0."""
        super().__init__(2 * num_elements, [(0, num_elements)], seed)

    def moved(self, start: int, stop: int, gradient: Tensor) -> Tensor:
        """Update in float32, then round to a neighbour in bfloat16, each with the probability that keeps the mean."""
        momentum = self.read(start, stop).float()
        average_(momentum, gradient, self._rate)
        noise = self._random_words((stop - start + 3) // 4).view(torch.int16)[: stop - start]
        bits = momentum.view(torch.int32)
        # The low half of a float32 is its distance from the bfloat16 below, in magnitude.
        bits += noise.int() & 0xFFFF
        bits &= -0x10000
        return momentum

    def write(self, start: int, stop: int, levels: Tensor) -> None:
        """Store levels that are exact in bfloat16."""
        self.read(start, stop).copy_(levels)

    def read(self, start: int, stop: int) -> Tensor:
        """View of the storage, bfloat16."""
        return self.storage.view(torch.bfloat16)[start:stop]


class IntegerMomentum(MomentumStore):
    """One byte, or half a byte, per element and one scale: int8 or int4.

    The two halves of int4's elements share bytes: element i of the first half the low nibble of byte i, element i of the second half the high one.
    """

    def __init__(self, num_elements: int, bits: int, seed: int) -> None:
        """Start at 0, in 8 or 4 bits."""
        first_half = num_elements if bits == 8 else 8 * packed_size((num_elements + 1) // 2)
        spans = [(0, min(first_half, num_elements))]
        if first_half < num_elements:
            spans.append((first_half, num_elements))
        super().__init__(first_half, spans, seed)
        self.bits = bits
        self.num_elements = num_elements
        self.first_half = first_half
        self.limit = (1 << (bits - 1)) - 1
        self.scale = 0.0  # 0 while all momentum is 0
        self._offsets = 0  # drawn in this update

    def begin(self, rate: float, peak: float) -> None:
        """Decay by the scale, and make room for the largest addition."""
        super().begin(rate, peak)
        self._offsets = 0
        self.scale *= 1 - rate
        needed = rate * peak / self.limit
        if self.scale < LEAST_SCALE:
            self.storage.zero_()
            self.scale = max(needed, LEAST_SCALE) if needed > 0 else 0.0
        elif needed > self.scale:
            self._coarsen(math.ceil(math.log2(needed / self.scale)))

    def end(self) -> None:
        """Halve the levels if too many of the sample that this update looks at are saturated."""
        samples = max(self.num_elements // SATURATION_SAMPLE, 1)
        start = self.updates % samples * SATURATION_SAMPLE
        span_end = self.first_half if start < self.first_half else self.num_elements
        levels = self.read(start, min(start + SATURATION_SAMPLE, span_end, self.num_elements))
        self.relieve(int((levels.abs() == self.limit).sum()), levels.numel())

    def relieve(self, saturated: int, seen: int) -> None:
        """Halve the levels if too many of those seen are saturated."""
        if saturated > SATURATED_SHARE * seen:
            self._coarsen(1)

    def moved(self, start: int, stop: int, gradient: Tensor) -> Tensor:
        """Add a gradient with stochastic rounding and saturation, int8."""
        if self.scale == 0:
            return self.read(start, stop)
        levels = gradient * self.gain
        levels += self.read(start, stop)
        return self._rounded(levels)

    def draw_noise(self, count: int) -> tuple[Tensor, float]:
        """Randomness to round `count` levels with: a byte each, int8, uniform over -128/256 ... 127/256 of a level, and an offset that fills the steps between them."""
        noise = self._random_words((count + 7) // 8).view(torch.int8)[:count]
        self._offsets += 1
        fraction = mix((self.seed ^ self.updates * GOLDEN + self._offsets) & MASK64) >> 40
        return noise, (fraction + 0.5) * 2**-32

    @property
    def gain(self) -> float:
        """Levels per unit of gradient in this update; 0 while all momentum is 0."""
        return self._rate / self.scale if self.scale else 0.0

    def write(self, start: int, stop: int, levels: Tensor) -> None:
        """Store levels of -limit ... limit, int8."""
        if self.bits == 8:
            self.storage.view(torch.int8)[start:stop] = levels
            return
        high = start >= self.first_half
        offset = self.first_half if high else 0
        pairs = self.storage.view(torch.int8)[start - offset : stop - offset]
        if high:
            pairs.bitwise_and_(0x0F).bitwise_or_(levels << 4)
        else:
            pairs.bitwise_and_(-0x10).bitwise_or_(levels & 0x0F)

    def read(self, start: int, stop: int) -> Tensor:
        """Levels of -limit ... limit, int8."""
        if self.bits == 8:
            return self.storage.view(torch.int8)[start:stop]
        if start >= self.first_half:
            return (
                self.storage.view(torch.int8)[start - self.first_half : stop - self.first_half] >> 4
            )
        return (self.storage.view(torch.int8)[start:stop] << 4) >> 4

    def in_levels(self, threshold: float) -> float:
        """Whole levels below the threshold; levels exceed one exactly where they exceed the other."""
        if self.scale == 0:
            return self.limit
        return math.floor(min(threshold / self.scale, self.limit))

    def values(self) -> Tensor:
        """The whole momentum, float32 [elements]."""
        return super().values() * self.scale

    def get_extra_state(self) -> dict[str, Any]:
        """Add the scale."""
        return super().get_extra_state() | {"scale": self.scale}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take over what `get_extra_state` gave."""
        super().set_extra_state(state)
        self.scale = state["scale"]

    def _rounded(self, levels: Tensor) -> Tensor:
        """Round float32 levels, which are lost, stochastically to int8 within the limits."""
        noise, offset = self.draw_noise(levels.numel())
        levels.add_(noise, alpha=2**-8).add_(offset)
        return levels.round_().clamp_(-self.limit, self.limit).to(torch.int8)

    def _coarsen(self, doublings: int) -> None:
        """Double the scale this often, and halve the levels as often."""
        self.scale *= 2.0**doublings
        for start, stop in self.chunks():
            halved = self.read(start, stop) * 2.0**-doublings
            self.write(start, stop, self._rounded(halved))


def momentum_store(num_elements: int, momentum_format: str, seed: int) -> MomentumStore:
    """Momentum of 0 for this many elements in one of FORMATS.

    Raises:
        InputError: the format is not one of them.
    """
    if momentum_format == "float32":
        return Float32Momentum(num_elements, seed)
    if momentum_format == "bfloat16":
        return BFloat16Momentum(num_elements, seed)
    if momentum_format in ("int8", "int4"):
        return IntegerMomentum(num_elements, int(momentum_format[3:]), seed)
    raise InputError(f"momentum_format={momentum_format!r}: must be one of {', '.join(FORMATS)}")
