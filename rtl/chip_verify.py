"""Proof by simulation that the Verilog of a chip computes the bits of the simulator in its cycles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flipcore.chip import Chip, chip_document
from flipcore.errors import InputError
from flipcore.rtl.bench.chip_mismatch import Mismatch
from flipcore.rtl.bench.chip_samples import Sample
from flipcore.rtl.bench.chip_state import STATE_FILE
from flipcore.rtl.simulators import BenchRun, Dump, Options, run_bench

BENCH = "flipcore.rtl.bench.bench_chip"
VCD_CYCLES = 20_000  # the waves begin so many cycles before the first difference
_CYCLE_NS = 10


@dataclass(frozen=True, kw_only=True)
class ChipCheck:
    """Result of a bench run on a chip.

    Attributes:
        chip: its name.
        samples: samples that agreed to their end.
        phases: phases compared.
        cycles: cycles of these phases.
        counters: performance counters compared.
        signals: memories and registers compared, by their names in the hierarchy.
        words_compared, bits_compared: of them, over the whole run.
        bit_mismatches: bits of the first difference; the run ends there.
        cycle_mismatches: 1 if the first difference is one of time.
        mismatch: the first difference, in a line.
        vcd: waves of the run with the difference, if it was asked for.
        coverage: how often each situation occurred; a 0 was not tested.
        transitions: how often one phase followed another.
        seconds: wall time of compilation and simulation.
        simulator: name and version.
    """

    chip: str
    samples: int
    phases: int
    cycles: int
    counters: int
    signals: list[str]
    words_compared: int
    bits_compared: int
    bit_mismatches: int
    cycle_mismatches: int
    mismatch: str
    vcd: str
    coverage: dict[str, int]
    transitions: dict[str, int]
    seconds: float
    simulator: str


@dataclass(frozen=True, kw_only=True)
class ChipTask:
    """A run of the chip bench.

    Attributes:
        chip: its description.
        files: its Verilog, file name to text.
        state: loaded first, as `pack_state` gives it.
        samples: run in order.
        seed: of stalls, resets and bus accesses.
        has_counters: the Verilog has performance counters.
    """

    chip: Chip
    files: Mapping[str, str]
    state: bytes
    samples: Sequence[Sample]
    seed: int
    has_counters: bool = True


def verify_chip(
    task: ChipTask, options: Options | None = None, keep: Path | None = None
) -> ChipCheck:
    """Run the Verilog of a chip in lock-step with the simulator, up to the first difference.

    Args:
        task: what to run.
        options: Icarus by default.
        keep: where the waves go if there is a difference; the run is then repeated in Icarus.

    Raises:
        ToolError: The simulator or cocotb is missing.
        CheckError: The files do not compile or break the stream rules.
        InputError: `keep` cannot be made.
    """
    options = options or Options()
    run = run_chip_bench(task, BENCH, options)
    mismatch = _mismatch(run)
    vcd = ""
    if mismatch and keep is not None:
        vcd = str(_dump(task, options, keep, mismatch))
    return _check(task.chip, run, mismatch, vcd)


def run_chip_bench(task: ChipTask, bench: str, options: Options) -> BenchRun:
    """Run a bench that reads its task as `bench_chip` does.

    Args:
        task: what to run.
        bench: dotted name of the module with the cocotb tests.
        options: of the simulator.

    Raises:
        ToolError: The simulator or cocotb is missing.
        CheckError: The files do not compile or a test fails.
    """
    document = {
        "chip": chip_document(task.chip),
        "samples": [sample.as_document() for sample in task.samples],
        "seed": task.seed,
        "counters": task.has_counters,
    }
    data = {**options.data, STATE_FILE: task.state}
    return run_bench(task.files, "flip_chip", bench, document, replace(options, data=data))


def _dump(task: ChipTask, options: Options, keep: Path, mismatch: Mismatch) -> Path:
    """Repeat the run with waves; returns their file."""
    try:
        keep.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{keep}: cannot be written: {error.strerror}") from None
    path = keep / f"{task.chip.name}-{task.seed}.vcd"
    start = max(0, mismatch.cycle - VCD_CYCLES) * _CYCLE_NS
    run_chip_bench(
        task, BENCH, replace(options, simulator="icarus", dump=Dump(path=path, start_ns=start))
    )
    return path


def _document(run: BenchRun) -> dict[str, Any]:
    document: dict[str, Any] = run.documents["learns_in_lock_step"]
    return document


def _mismatch(run: BenchRun) -> Mismatch | None:
    mismatch = _document(run)["mismatch"]
    return Mismatch(**mismatch) if mismatch else None


def _check(chip: Chip, run: BenchRun, mismatch: Mismatch | None, vcd: str) -> ChipCheck:
    document = _document(run)
    counts = document["counts"]
    return ChipCheck(
        chip=chip.name,
        samples=counts["samples"],
        phases=counts["phases"],
        cycles=counts["cycles"],
        counters=counts.get("counters", 0),
        signals=document["signals"],
        words_compared=document["words_compared"],
        bits_compared=document["bits_compared"],
        bit_mismatches=mismatch.differing_bits if mismatch else 0,
        cycle_mismatches=int(mismatch is not None and mismatch.kind == "cycles"),
        mismatch=mismatch.text() if mismatch else "",
        vcd=vcd,
        coverage=document["coverage"],
        transitions=document["transitions"],
        seconds=run.seconds,
        simulator=run.simulator,
    )
