"""The unit that sends spikes: no spike is lost or sent twice, whatever the taker does, and the bench sees it where one is."""

import shutil

import pytest

from flipcore.errors import CheckError
from flipcore.rtl.generate import chip_files
from flipcore.rtl.simulators import run_bench
from tests.cores import core_shape

pytest.importorskip("cocotb", reason="cocotb is not installed: no bench can run")
pytestmark = [
    pytest.mark.cosim,
    pytest.mark.skipif(
        shutil.which("iverilog") is None, reason="iverilog (Debian package `iverilog`) is missing"
    ),
]
BENCH = "flipcore.rtl.bench.bench_spike_output"
SIZES = {"one_neuron": (1, 1), "one_lane": (1, 5), "padded": (4, 10), "wide": (64, 70)}


def unit_files(lanes: int, neurons: int) -> dict[str, str]:
    shape = core_shape({"lanes": lanes, "neurons": neurons})
    files = chip_files(shape.chip, counters=False)
    return {name: files[name] for name in ("spike_output.v", "lowest_set.v")}


@pytest.mark.parametrize("name", SIZES)
def test_every_spike_leaves_once_and_in_time(name: str) -> None:
    lanes, neurons = SIZES[name]
    words = -(-neurons // lanes)
    task = {"lanes": lanes, "words": words, "steps": 32, "seed": 5}
    files = unit_files(lanes, words * lanes)
    counts = run_bench(files, "spike_output", BENCH, task).documents["every_spike_leaves_once"]
    assert counts["steps"] == 32
    assert counts["spikes"] > 0
    assert counts["waited_cycles"] > 0


FAULTS = {
    "drops_the_last_spike": ("drain_q   <= word_done & last_word;", "drain_q   <= last_word;"),
    "ignores_the_taker": ("stall     = valid_q & ~spike_ready_i", "stall     = 1'b0"),
    "keeps_a_spike": ("pending_q & ~lowest", "pending_q & ~(lowest << 1)"),
    # A mutant that lives in a whole chip, where the next core takes every spike at once (docs/studies/mutation.md).
    "changes_a_spike_that_waits": (
        "neuron_q <= neuron[NeuronBits-1:0];\n    end",
        "neuron_q <= neuron[NeuronBits-1:0];\n    end else begin\n"
        "      neuron_q[3] <= neuron_q[3] ^ neuron_q[0];\n    end",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_bench_catches_a_planted_fault(name: str) -> None:
    files = unit_files(4, 12)
    sound, faulty = FAULTS[name]
    assert files["spike_output.v"].count(sound) == 1
    files["spike_output.v"] = files["spike_output.v"].replace(sound, faulty)
    with pytest.raises(CheckError, match=r"^spike_output: "):
        run_bench(files, "spike_output", BENCH, {"lanes": 4, "words": 3, "steps": 16, "seed": 1})
