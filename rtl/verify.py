"""Proof by simulation that generated Verilog computes the bits that the SPEC demands."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from flipcore.rtl.flip_unit import FlipUnit
from flipcore.rtl.simulators import Options, run_bench


@dataclass(frozen=True, kw_only=True)
class FlipUnitCheck:
    """Result of a bench run on a flip unit.

    Attributes:
        words: Words compared.
        lane_updates: Lanes of them whose rounded gradient was not 0.
        bit_mismatches: Bits of results that differ from the reference.
        coverage: How often each situation occurred; a 0 was not tested.
        seconds: Wall time of compilation and simulation.
        simulator: Name and version.
    """

    words: int
    lane_updates: int
    bit_mismatches: int
    coverage: dict[str, int]
    seconds: float
    simulator: str


def verify_flip_unit(
    unit: FlipUnit,
    files: Mapping[str, str],
    *,
    words: int,
    seed: int,
    options: Options | None = None,
) -> FlipUnitCheck:
    """Run generated files of a core's flip unit against `flipcore.numerics`.

    Args:
        unit: The flip unit that the files were generated for.
        files: File name to text, as `flip_unit_files` returns them.
        words: Words compared under stalls; two short tests of time and reset compare some more.
        seed: Of all random choices of the bench.
        options: Icarus by default.

    Raises:
        ToolError: The simulator or cocotb is missing.
        CheckError: The files do not compile, break the stream rules, lose words or miss the latency.
    """
    task = {"unit": asdict(unit), "words": words, "seed": seed}
    run = run_bench(files, "flip_unit", "flipcore.rtl.bench.bench_flip_unit", task, options)
    counts: Counter[str] = Counter()
    coverage: Counter[str] = Counter()
    for document in run.documents.values():
        counts.update(document["counts"])
        coverage.update(document["coverage"])
    return FlipUnitCheck(
        words=counts["words"],
        lane_updates=counts["lane_updates"],
        bit_mismatches=counts["bit_mismatches"],
        coverage=dict(coverage),
        seconds=run.seconds,
        simulator=run.simulator,
    )
