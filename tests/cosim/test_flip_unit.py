"""The generated flip unit computes the reference's bits, and the bench sees it when it does not."""

import shutil
from typing import Any

import pytest

from flipcore.chip import Core
from flipcore.errors import CheckError
from flipcore.rtl.generate import flip_unit_files
from flipcore.rtl.verify import verify_flip_unit

pytest.importorskip("cocotb", reason="cocotb is not installed: no bench can run")
pytestmark = [
    pytest.mark.cosim,
    pytest.mark.skipif(
        shutil.which("iverilog") is None, reason="iverilog (Debian package `iverilog`) is missing"
    ),
]

WORDS = 1500

POINTS: dict[str, dict[str, Any]] = {
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


def make_core(changes: dict[str, Any]) -> Core:
    """A core whose size does not matter, as the unit sees words only."""
    return Core(axons=1, neurons=1, **changes)


@pytest.mark.parametrize("name", POINTS)
def test_every_bit_equals_the_reference(name: str) -> None:
    core = make_core(POINTS[name])
    seed = 20_000 + list(POINTS).index(name)
    check = verify_flip_unit(core, flip_unit_files(core), words=WORDS, seed=seed)
    print(f"seed {seed}: {check}")
    assert check.bit_mismatches == 0
    assert check.words > WORDS
    assert check.lane_updates > WORDS / 10
    untested = [situation for situation, count in check.coverage.items() if count == 0]
    assert not untested


FAULTS = {
    "flips_at_the_threshold": (
        "momentum_flip.v",
        "(aligned > FlipThreshold)",
        "(aligned >= FlipThreshold)",
    ),
    "keeps_the_momentum": (
        "momentum_flip.v",
        "flipped_d[l] ? {MomentumBits{1'b0}} : moved",
        "moved",
    ),
    "draws_without_trace": (
        "gradient_round.v",
        "accept & (word_trace_i != {TraceBits{1'b0}})",
        "accept",
    ),
    "clips_one_too_low": (
        "momentum_flip.v",
        "(sum < -Limit) ? -Limit",
        "(sum < -Limit) ? -Limit - 1",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_bench_catches_a_planted_fault(name: str) -> None:
    core = make_core({"lanes": 3, "gradient_shift": 7, "max_gradient_shift": 7})
    files = flip_unit_files(core)
    file, sound, faulty = FAULTS[name]
    assert files[file].count(sound) == 1
    files[file] = files[file].replace(sound, faulty)
    check = verify_flip_unit(core, files, words=200, seed=1)
    assert check.bit_mismatches > 0


BREACHES = {
    "waits_for_ready": (
        "momentum_flip.v",
        "result_valid_o       = valid_q",
        "result_valid_o       = valid_q & result_ready_i",
        "forgets_words_in_reset: .*valid waits for ready",
    ),
    "withdraws_an_offer": (
        "momentum_flip.v",
        "word_ready_o         = ~valid_q | result_ready_i",
        "word_ready_o         = 1'b1",
        "matches_reference_under_stalls: .*valid fell before the transfer",
    ),
    "hangs": (
        "momentum_flip.v",
        "word_ready_o         = ~valid_q | result_ready_i",
        "word_ready_o         = ~valid_q",
        "never ready|nothing comes out",
    ),
    "survives_reset": (
        "momentum_flip.v",
        "valid_q <= 1'b0",
        "valid_q <= valid_q & ~result_ready_i",
        "a result is offered in reset",
    ),
}


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_of_the_stream_rules_fails(name: str) -> None:
    core = make_core({"lanes": 3, "gradient_shift": 7, "max_gradient_shift": 7})
    files = flip_unit_files(core)
    file, sound, faulty, message = BREACHES[name]
    assert files[file].count(sound) == 1
    files[file] = files[file].replace(sound, faulty)
    with pytest.raises(CheckError, match=f"^flip_unit: .*{message}"):
        verify_flip_unit(core, files, words=200, seed=1)
