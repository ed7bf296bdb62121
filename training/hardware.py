"""Hardware-exact training: many chips of one description learn in parallel, in the integers of the SPEC, on any torch device."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from flipcore.chip import Chip
from flipcore.sim.layout import ChipState
from flipcore.training.hardware_counts import BasicCounts
from flipcore.training.hardware_error import backward_error, flip_thresholds, readout_error
from flipcore.training.hardware_forward import ForwardPass, Step, raise_traces
from flipcore.training.hardware_input import check_labels, check_spikes
from flipcore.training.hardware_learning import decay_rows, learn_core
from flipcore.training.hardware_random import GeneratorJumps, LaneNoise
from flipcore.training.hardware_state import (
    ChipsState,
    from_chip_states,
    initial_chips,
    open_device,
    to_chip_state,
)


class HardwareChips:
    """Independent chips of one description, each with its own seed and its own samples; each is bit for bit the simulator's `Engine`.

    Attributes:
        chip: the description.
        state: weights, momentum, generators, v and sample counters; `learn` changes them in place.
        device: where they are.
        train_counts, inference_counts: basic event counts of every chip and core.
    """

    def __init__(self, chip: Chip, state: ChipsState) -> None:
        """Go on from a state; `with_seeds` and `from_chip_states` make one."""
        self.chip = chip
        self.state = state
        self.device = state.sample_counter.device
        jumps = GeneratorJumps(self.device)
        self._noise = [LaneNoise(core, jumps, self.device) for core in chip.layers]
        stages = chip.schedule
        self._starts = self._tensor([stage.after_samples for stage in stages])
        shift_adds = self._tensor([0, *(stage.gradient_shift_add for stage in stages)])
        self._shift_adds = shift_adds.to(torch.int32)
        self._multiplies = self._tensor([1, *(stage.scrub_period_multiply for stage in stages)])
        self.train_counts = BasicCounts(chip, self.num_chips, self.device)
        self.inference_counts = BasicCounts(chip, self.num_chips, self.device)

    @classmethod
    def with_seeds(
        cls, chip: Chip, seeds: Sequence[int], device: str | torch.device = "cpu"
    ) -> Self:
        """One chip per seed, with the initial weights and generators of that seed (R3, R5).

        Raises:
            InputError: there is no seed, or the device cannot be used.
        """
        return cls(chip, initial_chips(chip, seeds, open_device(device)))

    @classmethod
    def from_chip_states(
        cls, chip: Chip, states: Sequence[ChipState], device: str | torch.device = "cpu"
    ) -> Self:
        """Chips that go on where the simulator left them, at whatever sample each is.

        Raises:
            InputError: there is no state, one is of another description, or the device cannot be used.
        """
        return cls(chip, from_chip_states(chip, states, open_device(device)))

    @property
    def num_chips(self) -> int:
        """How many chips there are."""
        return len(self.state.sample_counter)

    def to_chip_state(self, index: int) -> ChipState:
        """Copy one chip for the simulator and its files, from which it goes on bit for bit."""
        return to_chip_state(self.chip, self.state, index)

    @torch.no_grad()
    def learn(self, spikes: Tensor, labels: Tensor) -> Tensor:
        """Learn one sample on each chip; returns the predictions made meanwhile, int64 [chips].

        Args:
            spikes: bool, or any dtype with values 0 and 1, [chips, steps, inputs].
            labels: integers [chips].

        Raises:
            InputError: a shape or value does not fit.
        """
        shape = (self.num_chips, self.chip.steps, self.chip.inputs)
        spikes = check_spikes(spikes, shape, self.device)
        labels = check_labels(labels, self.num_chips, self.chip.classes, self.device)
        with torch.autocast(self.device.type, enabled=False):
            prediction = self._learn_sample(spikes, labels)
        self.state.sample_counter += 1
        self.train_counts.samples += 1
        return prediction

    @torch.no_grad()
    def infer(self, spikes: Tensor) -> Tensor:
        """Classify samples without learning, side by side; returns predictions, int64 [chips, samples].

        Memory grows with chips * samples * neurons: a large test set goes in pieces.

        Args:
            spikes: bool, or any dtype with values 0 and 1, [chips, samples, steps, inputs], or [1, samples, steps, inputs] for
                the same samples on every chip.

        Raises:
            InputError: a shape or value does not fit.
        """
        samples = spikes.shape[1] if spikes.dim() == 4 else 1
        chips = 1 if spikes.dim() == 4 and len(spikes) == 1 else self.num_chips
        shape = (chips, samples, self.chip.steps, self.chip.inputs)
        spikes = check_spikes(spikes, shape, self.device).expand(self.num_chips, -1, -1, -1)
        with torch.autocast(self.device.type, enabled=False):
            forward = self._forward_pass()
            for t in range(self.chip.steps):
                step = forward.step(spikes[:, :, t])
                self.inference_counts.add_forward(step)
        self.inference_counts.samples += samples
        return step.total.argmax(2)

    def _forward_pass(self) -> ForwardPass:
        return ForwardPass(self.chip, [core.weights for core in self.state.cores])

    def _learn_sample(self, spikes: Tensor, labels: Tensor) -> Tensor:
        forward = self._forward_pass()
        traces: list[Tensor | None] = [None] * len(self.chip.layers)
        stage = torch.searchsorted(self._starts, self.state.sample_counter, right=True)  # O6
        for t in range(self.chip.steps):
            step = forward.step(spikes[:, None, t])
            self.train_counts.add_forward(step)
            traces = [
                raise_traces(core, trace, events[:, 0])
                for core, trace, events in zip(self.chip.layers, traces, step.events, strict=True)
            ]
            self._learn_step(t, step, traces, labels, self._shift_adds[stage])
        self._scrub(self._multiplies[stage])
        return step.total[:, 0].argmax(1)

    def _learn_step(
        self, t: int, step: Step, traces: list[Tensor], labels: Tensor, shift_add: Tensor
    ) -> None:
        """Error, then threshold, update and dense decay of the cores from the last to the first (O1)."""
        values = step.total if self.chip.error.of == "total" else step.output
        error = readout_error(self.chip, values[:, 0], labels)
        is_silent = not bool(error.any())
        for c in range(len(self.chip.layers) - 1, -1, -1):
            core, state, trace = self.chip.layers[c], self.state.cores[c], traces[c]
            flip_threshold = flip_thresholds(core, state.second_moment, t, error, trace)
            own = error
            if c > 0:
                below = self.chip.layers[c - 1]
                window = step.windows[c - 1][:, 0]
                if is_silent:
                    error = torch.zeros_like(trace)
                else:
                    error = backward_error(core, below, state.weights, own, window)
            if not is_silent:
                shift = core.gradient_shift + shift_add
                learnt = learn_core(core, state, self._noise[c], own, trace, shift, flip_threshold)
                self.train_counts.add_learning(c, own.any(1), learnt)
            if core.decay == "dense":
                self._decay(c, torch.ones_like(trace, dtype=torch.bool))

    def _scrub(self, multiply: Tensor) -> None:
        """Decay the rows whose turn it is after this sample (N13)."""
        for c, core in enumerate(self.chip.layers):
            if core.decay == "scrub":
                period = (core.scrub_period * multiply)[:, None]
                row = torch.arange(core.axons, device=self.device)
                self._decay(c, row % period == self.state.sample_counter[:, None] % period)

    def _decay(self, c: int, rows: Tensor) -> None:
        core = self.chip.layers[c]
        draws = decay_rows(core, self.state.cores[c], self._noise[c], rows)
        self.train_counts.add_draws(c, draws)

    def _tensor(self, values: list[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self.device)
