"""cocotb bench that runs the bench of a chip once for each mutant of its Verilog, all in one simulation.

The numbers of the mutants come from `mutants.json` in the working directory (see `flipcore.rtl.mutation`). A test that fails has killed its mutant.
"""

import json
import resource
from pathlib import Path

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import Timer
from cocotb.utils import get_sim_time

from flipcore.rtl.bench import streams
from flipcore.rtl.bench.bench_chip import ChipBench
from flipcore.rtl.mutation import MUTANTS_FILE, SELECT
from flipcore.rtl.simulators import PROGRESS_FILE

_TASK = json.loads(Path(MUTANTS_FILE).read_text(encoding="utf-8"))


@cocotb.test(timeout_time=_TASK["timeout_cycles"] * streams.CLOCK_NS, timeout_unit="ns")
@cocotb.parametrize(number=_TASK["numbers"])
async def mutant(dut: HierarchyObject, number: int) -> None:
    """The chip with this mutant learns in lock-step with the simulator."""
    Path(PROGRESS_FILE).write_text(str(number), encoding="utf-8")
    _limit_processor_time()
    streams.bits(dut, SELECT).value = number
    # Cycles are counted from the start of the simulation, so each clock must start where the first one would have its edge.
    time_ns = int(get_sim_time("ns"))
    await Timer(streams.CLOCK_NS - time_ns % streams.CLOCK_NS, unit="ns")
    bench = ChipBench(dut)
    mismatch = await bench.start()
    for place, sample in enumerate(bench.samples):
        if mismatch:
            break
        mismatch = await bench.run_sample(place, sample)
    mismatch = mismatch or await bench.finish()
    assert mismatch is None, mismatch.text()


def _limit_processor_time() -> None:
    """Let this process be killed if a mutant goes round in a loop that takes no simulated time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + _TASK["timeout_s"]
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))
