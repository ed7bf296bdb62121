"""The generated flip unit computes the reference's bits, and the bench sees it when it does not."""

import shutil
from typing import Any

import pytest

from flipcore.errors import CheckError
from flipcore.rtl.generate import flip_unit_files
from flipcore.rtl.verify import verify_flip_unit
from tests.cores import core_shape

pytest.importorskip("cocotb", reason="cocotb is not installed: no bench can run")
pytestmark = [
    pytest.mark.cosim,
    pytest.mark.skipif(
        shutil.which("iverilog") is None, reason="iverilog (Debian package `iverilog`) is missing"
    ),
]

WORDS = 1500

POINTS: dict[str, dict[str, Any]] = {
    "one_port": {"memory_ports": "1rw"},
    "one_lane_one_port": {"lanes": 1, "memory_ports": "1rw", "rule": "tbso"},
    "one_lane": {"lanes": 1, "gradient_shift": 6, "max_gradient_shift": 6},
    "narrow_momentum": {
        "lanes": 3,
        "momentum_bits": 2,
        "gradient_shift": 7,
        "max_gradient_shift": 7,
        "random_source": "per_lane",
        "momentum_at_flip": "keep",
    },
    "schedule": {
        "lanes": 16,
        "momentum_bits": 8,
        "gradient_shift": 8,
        "max_gradient_shift": 10,
        "rule": "tbso",
    },
    "wide": {
        "lanes": 64,
        "trace_bits": 8,
        "error_bits": 12,
        "momentum_bits": 16,
        "gradient_shift": 4,
        "max_gradient_shift": 4,
        "rounding": "nearest",
        "momentum_at_flip": "keep",
    },
    "floor": {
        "lanes": 16,
        "momentum_bits": 16,
        "gradient_shift": 0,
        "max_gradient_shift": 3,
        "rounding": "floor",
        "flip_threshold": 0,
    },
    "many_generators": {
        "lanes": 64,
        "gradient_shift": 9,
        "max_gradient_shift": 9,
        "random_source": "per_lane",
    },
    "nearest_schedule": {
        "lanes": 3,
        "trace_bits": 3,
        "trace_unit": 4,
        "error_bits": 4,
        "momentum_bits": 4,
        "gradient_shift": 2,
        "max_gradient_shift": 4,
        "rounding": "nearest",
        "rule": "tbso",
        "momentum_at_flip": "keep",
    },
}


@pytest.mark.parametrize("name", POINTS)
def test_every_bit_equals_the_reference(name: str) -> None:
    index = list(POINTS).index(name)
    core = core_shape(POINTS[name], has_below=index % 2 == 0)
    seed = 20_000 + index
    check = verify_flip_unit(core.unit, flip_unit_files(core), words=WORDS, seed=seed)
    print(f"seed {seed}: {check}")
    assert check.bit_mismatches == 0
    assert check.words > WORDS
    assert check.lane_updates > WORDS / 10
    untested = [situation for situation, count in check.coverage.items() if count == 0]
    assert not untested


FAULTS = {
    "flips_at_the_threshold": (
        "momentum_flip.v",
        "assign lower = ~weight_i[l];",
        "assign lower = 1'b1;",
    ),
    "keeps_the_momentum": (
        "momentum_flip.v",
        "flipped_o[l] ? {MomentumBits{1'b0}} : moved",
        "moved",
    ),
    "draws_without_trace": (
        "flip_unit.v",
        "taken & (|word_trace_i)",
        "taken",
    ),
    "clips_one_too_low": (
        "momentum_flip.v",
        "below ? -Limit :",
        "below ? -Limit - 1 :",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_bench_catches_a_planted_fault(name: str) -> None:
    core = core_shape({"lanes": 3, "gradient_shift": 7, "max_gradient_shift": 7})
    files = flip_unit_files(core)
    file, sound, faulty = FAULTS[name]
    assert files[file].count(sound) == 1
    files[file] = files[file].replace(sound, faulty)
    check = verify_flip_unit(core.unit, files, words=200, seed=1)
    assert check.bit_mismatches > 0


BREACHES = {
    "waits_for_ready": (
        "result_valid_o          = result_valid_q",
        "result_valid_o          = result_valid_q & result_ready_i",
        "forgets_words_in_reset: .*valid waits for ready",
    ),
    "withdraws_an_offer": (
        "if (~result_valid_q | result_ready_i)",
        "if (1'b1)",
        "matches_reference_under_stalls: .*valid fell before the transfer",
    ),
    "hangs": (
        "rounded_ready    = ~result_valid_q | result_ready_i",
        "rounded_ready    = 1'b0",
        "never ready|nothing comes out",
    ),
    "survives_reset": (
        "result_valid_q <= 1'b0",
        "result_valid_q <= result_valid_q & ~result_ready_i",
        "a result is offered in reset",
    ),
}


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_of_the_stream_rules_fails(name: str) -> None:
    core = core_shape({"lanes": 3, "gradient_shift": 7, "max_gradient_shift": 7})
    files = flip_unit_files(core)
    sound, faulty, message = BREACHES[name]
    assert files["flip_unit.v"].count(sound) == 1
    files["flip_unit.v"] = files["flip_unit.v"].replace(sound, faulty)
    with pytest.raises(CheckError, match=f"^flip_unit: .*{message}"):
        verify_flip_unit(core.unit, files, words=200, seed=1)
