"""What the Verilog of one core consists of: its parameters and which parts it has (SPEC S4, T13)."""

from dataclasses import dataclass
from functools import cached_property

from flipcore.chip import Chip, Core, Softmax
from flipcore.events import COUNT_NAMES
from flipcore.rtl.flip_unit import FlipUnit, index_bits

_PIECE_BITS = 32  # of the register bus
_INCREMENT_BITS = 8  # of a count in one cycle


def signed_bits(magnitude: int) -> int:
    """Bits of a two's complement number of -magnitude ... magnitude."""
    return magnitude.bit_length() + 1


@dataclass(frozen=True)
class Parameter:
    """A Verilog parameter: its value in a core and the comment beside its declaration."""

    name: str
    value: int
    meaning: str


@dataclass(frozen=True)
class CoreShape:
    """Core c of a chip as its Verilog needs it.

    Attributes:
        chip: the description.
        c: index of the core.
        counters: whether the performance counters are emitted.
    """

    chip: Chip
    c: int
    counters: bool

    @property
    def core(self) -> Core:
        """The core's parameters."""
        return self.chip.layers[self.c]

    @cached_property
    def unit(self) -> FlipUnit:
        """Its flip unit."""
        return FlipUnit.of(self.core, backward=self.has_below)

    @property
    def is_readout(self) -> bool:
        """Tell whether it is the last core."""
        return self.c == len(self.chip.layers) - 1

    @property
    def has_below(self) -> bool:
        """Tell whether there is a core below, for which it computes errors (N8)."""
        return self.c > 0

    @property
    def tbso(self) -> bool:
        """Tell whether its flip threshold adapts (N14)."""
        return self.core.rule == "tbso"

    @property
    def draws(self) -> bool:
        """Tell whether it has a random source (R6)."""
        return self.unit.draws

    @property
    def decay(self) -> str:
        """`none`, `scrub` or `dense` (N13)."""
        return self.core.decay

    @property
    def decay_draws(self) -> bool:
        """Tell whether the decay takes random numbers (R6)."""
        return self.draws and self.decay != "none"

    @property
    def rounding(self) -> str:
        """`stochastic`, `nearest` or `floor` (N10)."""
        return self.core.rounding

    @property
    def lif(self) -> bool:
        """Tell whether its neurons leak (N4)."""
        return self.core.neuron == "lif"

    @property
    def reset(self) -> str:
        """`subtract` or `zero` (N4)."""
        return self.core.reset

    @property
    def lanes(self) -> int:
        """P."""
        return self.core.lanes

    @property
    def axons(self) -> int:
        """A."""
        return self.core.axons

    @property
    def neurons(self) -> int:
        """N."""
        return self.core.neurons

    @property
    def error_bits(self) -> int:
        """E."""
        return self.core.error_bits

    @property
    def padding(self) -> bool:
        """Tell whether the last word has lanes without a neuron (S2)."""
        return self.neurons % self.lanes != 0

    @property
    def trace_memory(self) -> bool:
        """Tell whether traces outlive their step (N5)."""
        return self.core.trace_decay_shift != "none"

    @property
    def port_factor(self) -> int:
        """Factor p of the time rules (section 5)."""
        return 2 if self.core.memory_ports == "1rw" else 1

    @property
    def memory_module(self) -> str:
        """Wrapper of the memories with as many ports as the description says (T13)."""
        return f"memory_{self.core.memory_ports}"

    @property
    def softmax(self) -> bool:
        """Tell whether the readout's error is a softmax (N7)."""
        return isinstance(self.chip.error, Softmax)

    @property
    def of_total(self) -> bool:
        """Tell whether the readout's error is of the totals (N7)."""
        return self.chip.error.of == "total"

    @property
    def adder_depth(self) -> int:
        """Levels of the adder tree (N8, T7)."""
        return (self.lanes - 1).bit_length()

    @property
    def padded_lanes(self) -> int:
        """Leaves of the adder tree."""
        return 1 << self.adder_depth

    @property
    def row_bits(self) -> int:
        """Bits of a row's index."""
        return index_bits(self.axons)

    @property
    def lane_bits(self) -> int:
        """Bits of a lane's index."""
        return index_bits(self.lanes)

    @property
    def neuron_range(self) -> str:
        """Verilog range of a neuron's index."""
        return f"[{index_bits(self.neurons) - 1}:0]"

    @property
    def scrub_bits(self) -> int:
        """Bits of the first row that is scrubbed after a sample (N13)."""
        largest = max([1, *(stage.scrub_period_multiply for stage in self.chip.schedule)])
        return max(1, (self.core.scrub_period * largest).bit_length() - 1)

    @property
    def period_shift_bits(self) -> int:
        """Bits of what the schedule shifts the scrub period by (O6); 0: there is no such port."""
        return period_shift_bits(self.chip)

    @property
    def weight_pieces(self) -> int:
        """Pieces of a weight word on the register bus."""
        return -(-self.lanes // _PIECE_BITS)

    @property
    def weight_piece_bits(self) -> int:
        """Bits of a piece's number."""
        return (self.weight_pieces - 1).bit_length()

    @property
    def momentum_pieces(self) -> int:
        """Pieces of a momentum word on the register bus."""
        return -(-self.lanes * self.core.momentum_bits // _PIECE_BITS)

    @property
    def momentum_piece_bits(self) -> int:
        """Bits of a piece's number."""
        return (self.momentum_pieces - 1).bit_length()

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """Every Verilog parameter that a module of this core may have, by name."""
        core, unit = self.core, self.unit
        below = self.chip.layers[self.c - 1] if self.has_below else core
        error = self.chip.error
        top = (1 << core.trace_bits) - 1
        trace_decay_shift = 1 if core.trace_decay_shift == "none" else core.trace_decay_shift
        sum_magnitude = core.neurons << (core.error_bits - 1)
        total_bits = signed_bits(core.axons * self.chip.steps)
        error_squares = (core.neurons << (2 * core.error_bits - 2)).bit_length()
        trace_squares = (core.axons * top * top).bit_length()
        table = [
            ("Lanes", core.lanes, "synapses per word, P"),
            ("Axons", core.axons, "rows, A"),
            ("Neurons", core.neurons, "columns, N"),
            ("Words", core.words, "words of a row, J"),
            ("TraceWords", core.trace_words, "words of P rows"),
            ("Synapses", core.axons * core.words, "words of synapses"),
            ("Steps", self.chip.steps, "steps of a sample, T"),
            ("RowBits", self.row_bits, "index of a row"),
            ("CountBits", core.axons.bit_length(), "number of rows"),
            ("WordBits", index_bits(core.words), "index of a word in a row"),
            ("TraceWordBits", index_bits(core.trace_words), "index of a trace word"),
            ("LaneBits", self.lane_bits, "index of a lane"),
            ("NeuronBits", index_bits(core.neurons), "index of a neuron"),
            ("AddressBits", index_bits(core.axons * core.words), "address of a synapse word"),
            ("StepBits", index_bits(self.chip.steps), "index of a step"),
            ("TagBits", self.row_bits + 2, "row, first and last word of it"),
            ("OutputBits", signed_bits(core.axons), "signed sum of a step, I"),
            ("TotalBits", total_bits, "signed sum of a sample's steps"),
            ("ScanBits", total_bits, "signed value of a readout neuron"),
            ("PotentialBits", core.potential_bits, "signed potential, Vb"),
            ("Threshold", core.threshold, "theta"),
            ("LeakShift", core.leak_shift, "lambda"),
            ("Window", core.window, "Omega"),
            ("TraceBits", core.trace_bits, "unsigned trace, Tb"),
            ("TraceUnit", core.trace_unit, "U"),
            ("TraceDecayShift", trace_decay_shift, "k"),
            ("ErrorBits", core.error_bits, "signed error, E"),
            ("ErrorShift", core.error_shift, "kappa"),
            ("BelowErrorBits", below.error_bits, "signed error of the neurons below"),
            (
                "BackwardBits",
                # Wide enough for what is added to round it and for the error that it becomes, too.
                max(
                    signed_bits(sum_magnitude),
                    core.error_bits + self.adder_depth + 1,
                    core.error_shift + 1,
                    below.error_bits,
                ),
                "signed backward sum, S",
            ),
            ("ErrorSquareBits", max(error_squares, 2 * core.error_bits + 1), "sum of delta^2"),
            ("TraceSquareBits", max(trace_squares, 2 * core.trace_bits + 1), "sum of a^2"),
            ("Margin", getattr(error, "margin", 0), "margin of the hinge"),
            ("MarginBits", signed_bits(getattr(error, "margin", 0)), "signed margin"),
            ("Sharpness", getattr(error, "sharpness", 0), "sharpness of the softmax"),
            ("PartBits", (255 * core.neurons).bit_length(), "sum of the exponentials"),
            ("MomentumBits", core.momentum_bits, "signed momentum, B"),
            ("GradientShift", unit.gradient_shift, "s, less what the schedule adds"),
            ("ShiftAddBits", unit.shift_add_bits, "the schedule's addition to s"),
            ("MaxGradientShift", unit.max_gradient_shift, "largest s"),
            ("RoundedBits", unit.rounded_bits, "signed q, wide enough for every one"),
            ("FlipThreshold", unit.flip_threshold_value, "gamma"),
            ("DecayShift", core.decay_shift, "d"),
            ("ScrubPeriod", core.scrub_period, "R, less what the schedule multiplies"),
            ("ScrubBits", self.scrub_bits, "first row that is scrubbed"),
            ("SquareShift", core.square_shift, "k1"),
            ("AverageShift", core.average_shift, "k2"),
            ("ThresholdGain", core.threshold_gain, "gamma0"),
            ("ThresholdShift", core.threshold_shift, "k_gamma"),
        ]
        return {name: Parameter(name, value, meaning) for name, value, meaning in table}

    @property
    def popcounts(self) -> list[tuple[str, str]]:
        """Counts of lanes, and the lanes."""
        counts = [
            ("momentum_updates", "updated"),
            ("flips", "flipped"),
            ("momentum_saturations", "momentum_saturated"),
        ]
        if not self.is_readout:
            counts.append(("potential_saturations", "potential_saturated"))
        return counts

    @cached_property
    def increments(self) -> dict[str, str]:
        """Verilog expression of what each count of T12 grows by in a cycle."""
        once = {
            "events": "event_list_write",
            "merged_events": "event_merged",
            "live_steps": "update_run_i & ~update_started & (|live_words)",
            "words_visited": "word_valid & word_ready & ~word_last",
            "words_updated": "flip_momentum_write",
            "weight_reads": "integrate_weight_read | flip_weight_read",
            "weight_writes": "flip_weight_write",
            "momentum_reads": "flip_momentum_read",
            "momentum_writes": "flip_momentum_write",
            "row_list_reads": "row_list_read",
            "row_list_writes": "row_list_write",
            "error_reads": "error_read",
            "error_writes": "error_write",
            "event_list_reads": "event_list_read",
            "event_list_writes": "event_list_write",
            "input_cycles": "input_run_i",
            "forward_cycles": "forward_run_i",
            "trace_cycles": "trace_run_i",
            "update_cycles": "update_run_i",
        }
        if self.draws:
            once["words_drawn"] = "word_valid & word_ready & (|word_trace)"
        if self.decay != "none":
            once |= {
                "words_decayed": "decay_visited",
                "words_changed": "decay_momentum_write",
                "momentum_reads": "flip_momentum_read | decay_momentum_read",
                "momentum_writes": "flip_momentum_write | decay_momentum_write",
                "decay_cycles": "decay_run_i",
            }
        if self.decay_draws:
            once["words_drawn"] += " | decay_draw"
        if self.trace_memory:
            once |= {"trace_reads": "trace_read", "trace_writes": "trace_write"}
        if self.tbso:
            once["threshold_cycles"] = "threshold_run_i"
        if self.is_readout:
            once |= {
                "total_reads": "total_read",
                "total_writes": "total_write",
                "error_cycles": "error_run_i",
                "predict_cycles": "predict_run_i",
            }
        else:
            once |= {
                "spikes": "spike_valid_o & spike_ready_i",
                "potential_reads": "potential_read",
                "potential_writes": "potential_write",
                "spikes_cycles": "spikes_run",
            }
        if not self.draws:
            once.pop("words_drawn", None)
        zeros = f"{_INCREMENT_BITS - 1}'d0"
        table = {name: f"{{{zeros}, {signal}}}" for name, signal in once.items()}
        table |= {name: f"num_{name}" for name, _ in self.popcounts}
        lanes = f"{_INCREMENT_BITS}'d{self.lanes}"
        if self.padding:
            last = self.neurons % self.lanes
            lanes = f"forward_last_word ? {_INCREMENT_BITS}'d{last} : {lanes}"
        none = f"{_INCREMENT_BITS}'d0"
        table["sops"] = f"(integrate_weight_read ? ({lanes}) : {none})"
        return {name: table.get(name, none) for name in COUNT_NAMES}


def period_shift_bits(chip: Chip) -> int:
    """Bits of what the schedule shifts the scrub periods by (O6); 0 without a core that scrubs."""
    if all(core.decay != "scrub" for core in chip.layers):
        return 0
    largest = max([1, *(stage.scrub_period_multiply for stage in chip.schedule)])
    return (largest.bit_length() - 1).bit_length()
