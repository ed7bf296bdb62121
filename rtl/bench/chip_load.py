"""Loads a chip after reset, and dumps parts of it, through its register bus (docs/RTL.md)."""

from collections.abc import Iterator

import numpy as np

from flipcore.chip import Chip
from flipcore.events import COUNT_NAMES
from flipcore.rtl.bench import chip_bus
from flipcore.rtl.bench.chip_bus import Bus, Pieces, address
from flipcore.rtl.bench.chip_mismatch import Mismatch, first_differing_lane
from flipcore.rtl.bench.chip_probe import Probe
from flipcore.rtl.bench.chip_stores import ExpectedStores, Store
from flipcore.rtl.chip_shape import ChipShape
from flipcore.rtl.flip_unit import FlipUnit
from flipcore.sim.layout import ChipState

# A core's weights and momentum go through the bus as a whole if they fill no more registers than this.
# Of a larger core, so many do, and the rest is put into its memories past the bus.
BUS_REGISTERS = 800
POKES = 6  # accesses to nothing, one after the other
CORE_NUMBERS = 16  # that an address can name
DUMPED_WORDS = 24  # of each memory of each core, read back through the bus at the end
COUNTER_REGISTERS = (
    address(chip_bus.CHIP, 0, chip_bus.SAMPLES_LOW),
    address(chip_bus.CHIP, 0, chip_bus.SAMPLES_HIGH),
)
COUNTER_VALUES = (0xFFFFFFFFFFFFFFFF, 0xAAAAAAAA55555555, 0x55555555AAAAAAAA)

Registers = Iterator[tuple[int, int]]


def cleared_registers(chip: Chip, *, has_counters: bool) -> Iterator[tuple[str, int, int]]:
    """Name, address and value of all registers that a reset clears (docs/RTL.md)."""
    for k in (chip_bus.STATUS, chip_bus.SAMPLES_LOW, chip_bus.SAMPLES_HIGH):
        yield f"register {k} of the chip", address(chip_bus.CHIP, 0, k), 0
    for c, core in enumerate(chip.layers):
        for lane in range(FlipUnit.of(core).generators):
            yield f"generator {lane} of core {c}", address(chip_bus.GENERATOR, c, lane), 1
        for k, name in enumerate(COUNT_NAMES if has_counters else ()):
            yield f"counter {name} of core {c}", address(chip_bus.COUNTERS, c, k), 0


class Loader:
    """Knows which registers hold what."""

    def __init__(self, chip: Chip, expected: ExpectedStores, bus: Bus, probe: Probe) -> None:
        """Load the state of the simulator that `expected` looks at."""
        self._chip = chip
        self._expected = expected
        self._bus = bus
        self._probe = probe

    async def load(self, state: ChipState) -> None:
        """Write all that a chip needs after reset."""
        await self._check_counter()
        await self._write_counter(state.sample_counter)
        for c in range(len(self._chip.layers)):
            await self._bus.write(self._small_registers(state, c))
            budget = BUS_REGISTERS // 2
            for region, store, pieces in self._memories(c):
                assert store.words is not None
                words = min(len(store.words), budget // pieces.used)
                await self._bus.write(_word_registers(region, _part(store, 0, words), pieces))
                self._probe.write(_part(store, words, len(store.words)))

    async def _check_counter(self) -> None:
        """A run never counts far: each bit of the sample counter is written and read back with either value, half by half."""
        kept = (1 << ChipShape(self._chip, counters=False).counter_bits) - 1
        held = 0  # after reset
        for value in COUNTER_VALUES:
            for register, half in zip(COUNTER_REGISTERS, (0, 32), strict=True):
                written = value >> half & 0xFFFFFFFF
                held = held & ~(0xFFFFFFFF << half) | written << half
                await self._bus.write([(register, written)])
                low, high = await self._bus.read(COUNTER_REGISTERS)
                found = high << 32 | low
                assert found == held & kept, f"sample counter: {found:#x}, not {held & kept:#x}"

    async def _write_counter(self, value: int) -> None:
        halves = (value & 0xFFFFFFFF, value >> 32)
        await self._bus.write(list(zip(COUNTER_REGISTERS, halves, strict=True)))

    async def compare_generators(self, state: ChipState) -> Mismatch | None:
        """Read generators and second moments back and compare them."""
        for c in range(len(self._chip.layers)):
            for place, expected in self._small_registers(state, c):
                (found,) = await self._bus.read([place])
                if found != expected:
                    return Mismatch(
                        kind="counts", signal=f"bus_rdata_o at {place:#010x}",
                        expected=str(expected), found=str(found), core=c,
                    )  # fmt: skip
        return None

    async def dump(self, rng: np.random.Generator, state: ChipState) -> Mismatch | None:
        """Read some words of each memory back through the bus and compare them."""
        for c in range(len(self._chip.layers)):
            for region, store, pieces in self._memories(c):
                assert store.words is not None
                number = min(DUMPED_WORDS, len(store.words))
                for word in rng.choice(len(store.words), number, replace=False).tolist():
                    found = await self._read_word(region, c, word, pieces)
                    if found != store.values[word]:
                        return _differing(region, store, word, found, pieces)
        return None

    async def dump_one(self, rng: np.random.Generator) -> Mismatch | None:
        """Read back one weight word of one core and compare it with the simulator's of the time it comes."""
        c = int(rng.integers(len(self._chip.layers)))
        core = self._chip.layers[c]
        row, word = int(rng.integers(core.axons)), int(rng.integers(core.words))
        pieces = Pieces.of(core.lanes)
        found = await self._read_word(chip_bus.WEIGHT, c, row * core.words + word, pieces)
        weights, _ = self._expected.synapses(c, np.array([row]))
        if found != weights.values[word]:
            return _differing(chip_bus.WEIGHT, weights, word, found, pieces)
        return None

    async def poke_nothing(self, rng: np.random.Generator) -> Mismatch | None:
        """Write to addresses behind which nothing is, and read 0 there; what was written must turn up nowhere."""
        places = [self._nowhere(rng) for _ in range(POKES)]
        places += self._nobody(int(rng.integers(len(self._chip.layers))))
        await self._bus.write([(place, int(rng.integers(1 << 32))) for place in places])
        for place, found in zip(places, await self._bus.read(places), strict=True):
            expected = chip_bus.IDENTITY_VALUE if place == address(chip_bus.CHIP, 0, 0) else 0
            if found != expected:
                return Mismatch(
                    kind="counts", signal=f"bus_rdata_o at {place:#010x}",
                    expected=str(expected), found=str(found),
                )  # fmt: skip
        return None

    def _nobody(self, c: int) -> list[int]:
        """Weights of cores that are not there, and whose numbers differ from this one's in one bit."""
        others = [c ^ 1 << k for k in range(CORE_NUMBERS.bit_length() - 1)]
        return [address(chip_bus.WEIGHT, k, 0) for k in others if k >= len(self._chip.layers)]

    def _nowhere(self, rng: np.random.Generator) -> int:
        """An address that the map leaves empty, or the identity, which cannot be written."""
        cores = len(self._chip.layers)
        c = int(rng.integers(cores))
        core = self._chip.layers[c]
        far = int(rng.integers(1 << 23, 1 << 24))  # beyond the end of any memory
        weights, momentum = Pieces.of(core.lanes), Pieces.of(core.lanes * core.momentum_bits)
        words = core.axons * core.words
        moments = self._chip.steps if core.rule == "tbso" else 0
        choices = [
            (chip_bus.CHIP, 0, chip_bus.IDENTITY),
            (chip_bus.CHIP, c, int(rng.integers(chip_bus.SAMPLES_HIGH + 1, 1 << 24))),
            (int(rng.integers(chip_bus.COUNTERS + 1, 16)), c, far),
            (chip_bus.WEIGHT, c, words * weights.pitch + int(rng.integers(4))),
            (chip_bus.WEIGHT, c, far),
            (chip_bus.MOMENTUM, c, words * momentum.pitch + int(rng.integers(4))),
            (chip_bus.MOMENTUM, c, far),
            (chip_bus.GENERATOR, c, FlipUnit.of(core).generators + int(rng.integers(4))),
            (chip_bus.SECOND_MOMENT, c, moments + int(rng.integers(4))),
        ]  # fmt: skip
        if cores < CORE_NUMBERS:
            nobody = int(rng.integers(cores, CORE_NUMBERS))
            region = int(rng.integers(chip_bus.WEIGHT, chip_bus.COUNTERS + 1))
            choices.append((region, nobody, int(rng.integers(4))))
        choices += [
            (region, c, int(rng.integers(words)) * pieces.pitch + piece)
            for region, pieces in ((chip_bus.WEIGHT, weights), (chip_bus.MOMENTUM, momentum))
            for piece in range(pieces.used, pieces.pitch)
        ]
        return address(*choices[rng.integers(len(choices))])

    async def _read_word(self, region: int, c: int, word: int, pieces: Pieces) -> int:
        first = address(region, c, word * pieces.pitch)
        return pieces.join(await self._bus.read(range(first, first + pieces.used)))

    def _memories(self, c: int) -> list[tuple[int, Store, Pieces]]:
        core = self._chip.layers[c]
        weights, momentum = self._expected.synapses(c, np.arange(core.axons))
        return [
            (chip_bus.WEIGHT, weights, Pieces.of(core.lanes)),
            (chip_bus.MOMENTUM, momentum, Pieces.of(core.lanes * core.momentum_bits)),
        ]

    def _small_registers(self, state: ChipState, c: int) -> Registers:
        core = self._chip.layers[c]
        for lane in range(FlipUnit.of(core).generators):
            yield address(chip_bus.GENERATOR, c, lane), int(state.generators[c, lane])
        if core.rule == "tbso":
            for step, value in enumerate(state.second_moment[c].tolist()):
                yield address(chip_bus.SECOND_MOMENT, c, step), value


def _part(store: Store, start: int, stop: int) -> Store:
    assert store.words is not None
    return Store(
        store.path, store.core, store.words[start:stop], store.values[start:stop],
        lane_bits=store.lane_bits,
    )  # fmt: skip


def _word_registers(region: int, store: Store, pieces: Pieces) -> Registers:
    assert store.words is not None
    for word, value in zip(store.words, store.values, strict=True):
        for piece, part in enumerate(pieces.split(value)):
            yield address(region, store.core, word * pieces.pitch + piece), part


def _differing(region: int, store: Store, place: int, found: int, pieces: Pieces) -> Mismatch:
    """What the bus read of a word, against what the simulator has."""
    assert store.words is not None
    width = 32 * pieces.used
    name = {chip_bus.WEIGHT: "weight", chip_bus.MOMENTUM: "momentum"}[region]
    expected = store.values[place]
    bits = "x" * width if found == chip_bus.UNKNOWN else f"{found:0{width}b}"
    return Mismatch(
        kind="bits",
        signal=f"bus_rdata_o ({name})",
        expected=f"{expected:0{width}b}",
        found=bits,
        core=store.core,
        word=store.words[place],
        lane=first_differing_lane(bits, expected, (1 << width) - 1, store.lane_bits),
    )
