"""The chip description: every refusal in its own words, and YAML that reads back to the same chip."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from flipcore.chip import (
    CORE_FIELDS,
    Chip,
    Core,
    Hinge,
    apply_change,
    chip_document,
    chip_schema,
    chip_yaml,
    load_chip,
    parse_chip,
    preset_names,
    preset_text,
    read_chip_document,
)
from flipcore.errors import InputError
from tests.random_chips import Document, chip_documents

TWO_LAYERS: Document = {"name": "t", "inputs": 4, "layers": [{"neurons": 3}, {"neurons": 2}]}
ONE_LAYER: Document = {"name": "t", "inputs": 4, "layers": [{"neurons": 2}]}


def refusal(document: object) -> str:
    with pytest.raises(InputError) as caught:
        parse_chip(document, "c.yaml")
    message = str(caught.value)
    assert message.startswith("c.yaml: ")
    assert "\n" not in message
    return message.removeprefix("c.yaml: ")


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("lanes", 0, "=0: input should be greater than or equal to 1"),
        ("lanes", 65, "=65: input should be less than or equal to 64"),
        ("lanes", "16", "='16': input should be a valid integer"),
        ("lanes", 16.0, "=16.0: input should be a valid integer"),
        ("lanes", True, "=True: input should be a valid integer"),
        ("lanes", None, "=None: input should be a valid integer"),
        ("lanes", [16], "=[16]: input should be a valid integer"),
        ("memory_ports", "2rw", "='2rw': input should be '1rw' or '1r1w'"),
        ("neuron", "alif", "='alif': input should be 'lif' or 'if'"),
        ("potential_bits", 3, "=3: input should be greater than or equal to 4"),
        ("potential_bits", 25, "=25: input should be less than or equal to 24"),
        ("threshold", 0, "=0: input should be greater than or equal to 1"),
        ("threshold", 2048, "=2048: must be below 2**(potential_bits-1) = 2048"),
        ("leak_shift", 0, "=0: input should be greater than or equal to 1"),
        ("leak_shift", 16, "=16: input should be less than or equal to 15"),
        ("reset", "none", "='none': input should be 'subtract' or 'zero'"),
        ("window", 0, "=0: input should be greater than or equal to 1"),
        ("window", 4097, "=4097: at most 2**potential_bits = 4096"),
        ("trace_bits", 0, "=0: input should be greater than or equal to 1"),
        ("trace_bits", 9, "=9: input should be less than or equal to 8"),
        ("trace_unit", 0, "=0: input should be greater than or equal to 1"),
        ("trace_unit", 32, "=32: must be below 2**trace_bits = 32"),
        (
            "trace_decay_shift",
            0,
            "=0: input should be greater than or equal to 1 or input should be 'none'",
        ),
        (
            "trace_decay_shift",
            8,
            "=8: input should be less than or equal to 7 or input should be 'none'",
        ),
        (
            "trace_decay_shift",
            "never",
            "='never': input should be a valid integer or input should be 'none'",
        ),
        ("error_bits", 13, "=13: input should be less than or equal to 12"),
        ("error_bits", 3, "=3: input should be greater than or equal to 4"),
        ("error_bits", 7, "=7: the readout needs at least 8, its errors reach 64"),
        ("error_shift", -1, "=-1: input should be greater than or equal to 0"),
        ("error_shift", 16, "=16: input should be less than or equal to 15"),
        ("rule", "adam", "='adam': input should be 'bso' or 'tbso'"),
        ("momentum_bits", 1, "=1: input should be greater than or equal to 2"),
        ("momentum_bits", 17, "=17: input should be less than or equal to 16"),
        (
            "flip_threshold",
            -1,
            "=-1: input should be greater than or equal to 0 or input should be 'auto'",
        ),
        (
            "flip_threshold",
            127,
            "=127: at most 126, as the momentum of 8 bits ends at 127 and nothing would flip",
        ),
        ("gradient_shift", -1, "=-1: input should be greater than or equal to 0"),
        ("gradient_shift", 25, "=25: input should be less than or equal to 24"),
        ("rounding", "up", "='up': input should be 'stochastic', 'nearest' or 'floor'"),
        ("random_source", "lfsr", "='lfsr': input should be 'shared' or 'per_lane'"),
        ("momentum_at_flip", "zero", "='zero': input should be 'reset' or 'keep'"),
        ("decay", "all", "='all': input should be 'none', 'scrub' or 'dense'"),
        ("decay_shift", 0, "=0: input should be greater than or equal to 1"),
        ("decay_shift", 16, "=16: input should be less than or equal to 15"),
        ("scrub_period", 0, "=0: input should be greater than or equal to 1"),
        ("scrub_period", 3, "=3: must be a power of two"),
        ("scrub_period", 1 << 21, "=2097152: input should be less than or equal to 1048576"),
        ("square_shift", 32, "=32: input should be less than or equal to 31"),
        ("square_shift", -1, "=-1: input should be greater than or equal to 0"),
        ("average_shift", 16, "=16: input should be less than or equal to 15"),
        ("average_shift", -1, "=-1: input should be greater than or equal to 0"),
        ("threshold_gain", 0, "=0: input should be greater than or equal to 1"),
        ("threshold_gain", 65536, "=65536: input should be less than or equal to 65535"),
        ("threshold_shift", 32, "=32: input should be less than or equal to 31"),
        ("threshold_shift", -1, "=-1: input should be greater than or equal to 0"),
        ("neurons", 0, "=0: input should be greater than or equal to 1"),
        ("neurons", 4097, "=4097: a core has at most 4096 neurons"),
    ],
)
def test_a_parameter_beyond_its_limit_is_refused(field: str, value: object, told: str) -> None:
    layer = {"neurons": 2, field: value}
    assert refusal({**ONE_LAYER, "layers": [layer]}) == f"layers.0.{field}{told}"


def test_every_parameter_is_refused_somewhere_above() -> None:
    (mark,) = test_a_parameter_beyond_its_limit_is_refused.pytestmark  # type: ignore[attr-defined]
    assert {case[0] for case in mark.args[1]} == {*CORE_FIELDS, "neurons"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": ""}, "name='': string should have at least 1 character"),
        ({"name": 5}, "name=5: input should be a valid string"),
        (
            {"name": "../x"},
            "name='../x': string should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]*$'",
        ),
        (
            {"name": "a\n"},
            "name='a\\n': string should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]*$'",
        ),
        (
            {"name": "n" * 101},
            f"name='{'n' * 12}...{'n' * 13}': string should have at most 100 characters",
        ),
        ({"clock_mhz": 0}, "clock_mhz=0: input should be greater than or equal to 0.001"),
        ({"clock_mhz": 10_001}, "clock_mhz=10001: input should be less than or equal to 10000"),
        ({"clock_mhz": float("inf")}, "clock_mhz=inf: input should be a finite number"),
        ({"clock_mhz": "100"}, "clock_mhz='100': input should be a valid number"),
        ({"clock_mhz": True}, "clock_mhz=True: input should be a valid number"),
        ({"inputs": 0}, "inputs=0: input should be greater than or equal to 1 (and 1 more)"),
        ({"inputs": 4097}, "inputs=4097: input should be less than or equal to 4096 (and 1 more)"),
        ({"steps": 0}, "steps=0: input should be greater than or equal to 1"),
        ({"steps": 257}, "steps=257: input should be less than or equal to 256"),
        ({"steps": [1] * 9999}, "steps=[1, 1, 1, 1, 1, 1, ...]: input should be a valid integer"),
        ({"layers": None}, "layers: must be a list with one entry per layer, input side first"),
        ({"layers": []}, "layers=[]: list should have at least 1 item after validation, not 0"),
        ({"layers": [7]}, "layers.0=7: must be a mapping with `neurons`"),
        ({"layers": [{}]}, "layers.0.neurons: is missing"),
        (
            {"layers": [{"neurons": 2, "axons": 4}]},
            "layers.0.axons: is derived and cannot be given",
        ),
        (
            {"layers": [{"neurons": 2, "max_gradient_shift": 4}]},
            "layers.0.max_gradient_shift: is derived and cannot be given",
        ),
        (
            {"layers": [{"neurons": 2, "leek_shift": 4}]},
            "layers.0.leek_shift: unknown field, did you mean `leak_shift`?",
        ),
        ({"layers": [{"neurons": 1}]}, "layers=1: the readout needs at least 2 neurons"),
        (
            {"inputs": 4096, "layers": [{"neurons": 1025}]},
            "layers.0.neurons=1025: a core has at most 4194304 synapses, 4096 axons give 4198400",
        ),
        ({"core": None}, "core=None: must be a mapping of core parameters"),
        ({"core": {"lans": 3}}, "core.lans: unknown field, did you mean `lanes`?"),
        ({"core": {"neurons": 3}}, "core.neurons: unknown field, did you mean `neuron`?"),
        ({"core": {"axons": 3}}, "core.axons: is derived and cannot be given"),
        ({"core": {"xyz": 3}}, "core.xyz: unknown field"),
        ({"core": {"a\nb": 3}}, "core.a\\nb: unknown field"),
        ({"step": 3}, "step: unknown field, did you mean `steps`?"),
        ({"foo": 3}, "foo: unknown field"),
        ({"a\nb": 3}, "a\\nb: unknown field"),
        ({1: 3}, "1=1: keys should be strings"),
        (
            {"error": "hinge"},
            "error='hinge': input should be a valid dictionary or object to extract fields from",
        ),
        (
            {"error": {"kind": "mse"}},
            "error={'kind': 'mse'}: input tag 'mse' found using 'kind' does not match any of the "
            "expected tags: 'hinge', 'softmax'",
        ),
        (
            {"error": {"kind": "hinge", "margn": 3}},
            "error.margn: unknown field, did you mean `margin`?",
        ),
        (
            {"error": {"kind": "hinge", "margin": -1}},
            "error.margin=-1: input should be greater than or equal to 0",
        ),
        (
            {"error": {"kind": "hinge", "margin": (1 << 20) + 1}},
            "error.margin=1048577: input should be less than or equal to 1048576",
        ),
        (
            {"error": {"kind": "softmax", "sharpness": 16}},
            "error.sharpness=16: input should be less than or equal to 15",
        ),
        (
            {"error": {"kind": "softmax", "of": "all"}},
            "error.of='all': input should be 'step' or 'total'",
        ),
        ({"schedule": 5}, "schedule=5: input should be a valid list"),
        ({"schedule": [{}]}, "schedule.0.after_samples: is missing"),
        (
            {"schedule": [{"after_samples": 2, "gradient_shift": 1}]},
            "schedule.0.gradient_shift: unknown field, did you mean `gradient_shift_add`?",
        ),
        (
            {"schedule": [{"after_samples": 5}, {"after_samples": 5}]},
            "schedule=[5, 5]: after_samples must ascend",
        ),
        (
            {"schedule": [{"after_samples": -1}]},
            "schedule.0.after_samples=-1: input should be greater than or equal to 0",
        ),
        (
            {"schedule": [{"after_samples": 1, "gradient_shift_add": 16}]},
            "layers.0.gradient_shift=9: with gradient_shift_add of the schedule it reaches 25, the limit is 24",
        ),
        (
            {"schedule": [{"after_samples": 1, "scrub_period_multiply": 3}]},
            "schedule.0.scrub_period_multiply=3: makes of layers.0.scrub_period a period of 3: a power of two up to 1048576",
        ),
        (
            {"core": {"scrub_period": 2},
             "schedule": [{"after_samples": 1, "scrub_period_multiply": 1 << 20}]},
            "schedule.0.scrub_period_multiply=1048576: makes of layers.0.scrub_period a period of 2097152: a power of two up to 1048576",
        ),
        (
            {"schedule": [{"after_samples": k} for k in range(65)]},
            "schedule=[{'after_samples': 0}, {'after_samples': 1}, {'after_samples': 2}, "
            "{'after_samples': 3}, {'after_samples': 4}, {'after_samples': 5}, ...]: "
            "list should have at most 64 items after validation, not 65",
        ),
        ({"workload": {"epochs": -1}},
         "workload.epochs=-1: input should be greater than or equal to 0"),
        ({"workload": {"epoch": 1}}, "workload.epoch: unknown field, did you mean `epochs`?"),
        ({"workload": {"dataset": 5}}, "workload.dataset=5: input should be a valid string"),
    ],
)  # fmt: skip
def test_a_description_that_breaks_a_rule_is_refused(changes: Document, told: str) -> None:
    assert refusal({**ONE_LAYER, **changes}) == told


def test_too_many_layers_are_refused() -> None:
    told = refusal({**ONE_LAYER, "layers": [{"neurons": 2}] * 17})
    assert told.startswith("layers=[{")
    assert told.endswith("...]: list should have at most 16 items after validation, not 17")


def test_each_layer_is_judged_by_the_layer_below() -> None:
    told = refusal({**TWO_LAYERS, "layers": [{"neurons": 4096}, {"neurons": 1025}]})
    assert told == (
        "layers.1.neurons=1025: a core has at most 4194304 synapses, 4096 axons give 4198400"
    )


def test_further_broken_fields_are_counted() -> None:
    told = refusal({**TWO_LAYERS, "core": {"lanes": 99, "reset": "x"}, "steps": 0})
    assert told == "steps=0: input should be greater than or equal to 1 (and 4 more)"


@pytest.mark.parametrize("missing", ["name", "inputs"])
def test_a_missing_field_is_named(missing: str) -> None:
    document = {key: value for key, value in ONE_LAYER.items() if key != missing}
    assert refusal(document) == f"{missing}: is missing"


@pytest.mark.parametrize("document", [None, [], "text", 3])
def test_only_a_mapping_is_a_description(document: object) -> None:
    kind = type(document).__name__
    assert refusal(document) == f"a chip description is a mapping of fields, not {kind}"


def test_tbso_ignores_the_fixed_flip_threshold() -> None:
    chip = parse_chip({**ONE_LAYER, "core": {"rule": "tbso", "flip_threshold": 500}}, "x")
    assert chip.layers[0].flip_threshold == 500


@pytest.mark.parametrize(
    ("bits", "expected"), [(2, 0), (3, 2), (4, 6), (8, 100), (16, 25600)]
)  # fmt: skip
def test_auto_flip_threshold_is_25_32nds_and_leaves_flips_possible(
    bits: int, expected: int
) -> None:
    chip = parse_chip({**ONE_LAYER, "core": {"momentum_bits": bits}}, "x")
    assert chip.layers[0].flip_threshold == "auto"
    assert chip.layers[0].flip_threshold_value == expected
    assert expected < chip.layers[0].momentum_limit


def test_layers_take_the_defaults_of_core_and_their_own_instead() -> None:
    chip = parse_chip(
        {
            **TWO_LAYERS,
            "core": {"lanes": 3},
            "layers": [{"neurons": 7, "lanes": 2}, {"neurons": 2}],
        },
        "x",
    )
    assert [core.lanes for core in chip.layers] == [2, 3]
    assert [core.axons for core in chip.layers] == [4, 7]
    assert [core.words for core in chip.layers] == [4, 1]
    assert [core.trace_words for core in chip.layers] == [2, 3]
    assert chip.classes == 2


def test_a_chip_cannot_be_changed() -> None:
    chip = load_chip("digits")
    with pytest.raises(ValueError, match="frozen"):
        chip.steps = 3


# --- changes from the command line


def changed(text: str, document: Document | None = None) -> Document:
    copied = copy.deepcopy(TWO_LAYERS if document is None else document)
    apply_change(copied, text)
    return copied


def test_a_change_sets_a_field_wherever_it_is() -> None:
    assert changed("steps=9")["steps"] == 9
    assert changed("core.momentum_bits=4")["core"] == {"momentum_bits": 4}
    assert changed("core.momentum_bits=4", {"core": None})["core"] == {"momentum_bits": 4}
    assert changed("layers.1.neurons=5")["layers"][1] == {"neurons": 5}
    assert changed("layers.-1.neurons=5")["layers"][1] == {"neurons": 5}
    assert changed("layers.0={neurons: 8}")["layers"][0] == {"neurons": 8}
    assert changed(" error.kind = softmax ")["error"] == {"kind": "softmax"}
    assert changed("description=a=b")["description"] == "a=b"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("steps", "steps: write changes as field=value, such as core.momentum_bits=4"),
        ("=3", "=3: write changes as field=value, such as core.momentum_bits=4"),
        ("core..x=3", "core..x=3: write changes as field=value, such as core.momentum_bits=4"),
        ("steps=[", "steps=[: the value is not valid YAML"),
        ("name=2001-99-99", "name=2001-99-99: the value is not valid YAML"),
        ("error={of: step, of: total}", "error={of: step, of: total}: the value is not valid YAML"),
        ("layers.2.neurons=3", "layers.2: 2 is not an index of a list of 2"),
        ("layers.-3.neurons=3", "layers.-3: -3 is not an index of a list of 2"),
        ("layers.x.neurons=3", "layers.x: x is not an index of a list of 2"),
        ("layers.2=3", "layers.2: 2 is not an index of a list of 2"),
        ("name.x=3", "name.x: name holds no fields"),
        ("name.x.y=3", "name.x: holds no fields"),
    ],
)
def test_a_change_that_fits_nowhere_is_refused(change: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        changed(change)
    assert str(caught.value) == told


def test_a_changed_chip_is_judged_like_a_written_one() -> None:
    with pytest.raises(InputError) as caught:
        load_chip("digits", ["core.momentum_bit=4"])
    assert str(caught.value) == (
        "digits: core.momentum_bit: unknown field, did you mean `momentum_bits`?"
    )
    assert load_chip("digits", ["core.momentum_bits=4"]).layers[1].momentum_bits == 4


# --- files and presets


@pytest.mark.parametrize("name", preset_names())
def test_presets_load_and_have_their_name(name: str) -> None:
    chip = load_chip(name)
    assert chip.name == name
    assert chip.description
    assert yaml.safe_load(preset_text(name))["name"] == name


def test_there_are_presets() -> None:
    assert {"digits", "mnist"} <= set(preset_names())


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_reads_back_from_its_yaml(name: str, tmp_path: Path) -> None:
    chip = load_chip(name)
    path = tmp_path / "chip.yaml"
    path.write_text(chip_yaml(chip), encoding="utf-8")
    assert load_chip(str(path)) == chip


def test_an_unknown_preset_is_refused_with_a_near_one() -> None:
    with pytest.raises(InputError) as caught:
        load_chip("digit")
    known = ", ".join(preset_names())
    assert str(caught.value) == (
        f"digit: no such preset, did you mean `digits`? (presets: {known}; a file name ends in .yaml)"
    )


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    not_text = tmp_path / "bytes.yaml"
    not_text.write_bytes(b"\xff\xfe\x00")
    for path, reason in (
        (tmp_path / "none.yaml", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (not_text, "not UTF-8 text"),
    ):
        with pytest.raises(InputError) as caught:
            load_chip(str(path))
        assert str(caught.value) == f"{path}: cannot be read: {reason}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "while parsing a flow node expected the node content"),
        ("a: 2001-99-99", "month must be in 1..12"),
        ("a: !!int x", "invalid literal for int() with base 10: 'x'"),
        ("a: !!timestamp x", "'NoneType' object has no attribute 'groupdict'"),
        ("a: !!bool x", "'x'"),
        ("[" * 5000, "maximum recursion depth exceeded"),
        ("a: " + "9" * 5000, "Exceeds the limit (4300 digits)"),
        ("a: !!python/object:os.system x", "could not determine a constructor for the tag"),
        ("? [a]\n: b", "while constructing a mapping"),
    ],
    ids=["flow", "date", "int", "timestamp", "bool", "deep", "digits", "python", "key"],
)
def test_a_file_that_is_no_yaml_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "chip.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_chip(str(path))
    assert str(caught.value).startswith(f"{path}: not valid YAML: {reason}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: a: is given twice, first in line 1"),
        ("a: 1\na: 1", "line 2: a: is given twice, first in line 1"),
        ("a: {b: 1, b: 2}", "line 1: b: is given twice, first in line 1"),
        ("l:\n  - {n: 1}\n  - n: 2\n    n: 3", "line 4: n: is given twice, first in line 3"),
        ('a: 1\n"a": 2', "line 2: a: is given twice, first in line 1"),
        ('a: 1\n"a\\nb": 2\n"a\\nb": 2', "line 3: a\\nb: is given twice, first in line 2"),
    ],
    ids=["far", "equal", "one line", "deep", "quoted", "two lines"],
)
def test_a_key_given_twice_is_refused(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "chip.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_chip(str(path))
    assert str(caught.value) == f"{path}: not valid YAML: {told}"


def test_the_same_key_in_other_mappings_is_none_given_twice(tmp_path: Path) -> None:
    path = tmp_path / "chip.yaml"
    shared = "layers:\n  - &one {neurons: 3, lanes: 4}\n  - {<<: *one, neurons: 2}\n"
    path.write_text(f"name: t\ninputs: 4\n{shared}", encoding="utf-8")
    assert [(core.neurons, core.lanes) for core in load_chip(str(path)).layers] == [(3, 4), (2, 4)]


@pytest.mark.parametrize("text", ["", "- 1", "hello", "3"])
def test_a_yaml_file_of_something_else_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "chip.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_chip_document(str(path))
    assert str(caught.value) == f"{path}: a chip description is a mapping of fields"


# --- any chip, any document


@given(chip_documents())
def test_any_chip_reads_back_from_its_yaml(document: Document) -> None:
    chip = parse_chip(document, "x")
    assert parse_chip(yaml.safe_load(chip_yaml(chip)), "y") == chip
    assert parse_chip(json.loads(json.dumps(chip_document(chip))), "z") == chip


@pytest.mark.parametrize(
    "text",
    ["naïve 芯片 🧠", "two\nlines\n", "\x85", "\u2028", "\ufeff", "\x00\x1b", "'\"#: ", "\r\n"],
)
def test_any_text_reads_back_from_yaml(text: str, tmp_path: Path) -> None:
    chip = parse_chip({**ONE_LAYER, "description": text}, "x")
    path = tmp_path / "chip.yaml"
    path.write_bytes(chip_yaml(chip).encode())
    assert load_chip(str(path)) == chip


def test_text_that_can_be_read_stays_readable() -> None:
    assert "芯片" in chip_yaml(parse_chip({**ONE_LAYER, "description": "芯片"}, "x"))


def test_shared_values_are_written_once() -> None:
    chip = parse_chip({**TWO_LAYERS, "core": {"lanes": 4}}, "x")
    document = chip_document(chip)
    assert set(document["core"]) == set(CORE_FIELDS)
    assert document["layers"] == [{"neurons": core.neurons} for core in chip.layers]


def test_an_error_without_a_kind_is_a_hinge() -> None:
    assert parse_chip({**ONE_LAYER, "error": {"margin": 3}}, "x").error == Hinge(margin=3)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
PATHS = [
    *(f"layers.0.{name}" for name in Core.model_fields),
    *(f"core.{name}" for name in CORE_FIELDS),
    *Chip.model_fields,
    "core",
    "layers.0",
    "error.kind",
    "error.margin",
    "schedule.0",
    "schedule.0.after_samples",
    "schedule.0.gradient_shift_add",
    "schedule.0.scrub_period_multiply",
    "workload.epochs",
]


@given(st.sampled_from(PATHS), VALUES)
@example("layers.0.neurons", 10**30)
@example("schedule.0.gradient_shift_add", -(10**30))
@example("schedule.0.scrub_period_multiply", 10**30)
def test_any_value_anywhere_is_taken_or_refused_in_one_line(path: str, value: Any) -> None:
    document = copy.deepcopy(
        {**TWO_LAYERS, "error": {"kind": "hinge"}, "schedule": [{"after_samples": 3}]}
    )
    apply_change(document, f"{path}=0")
    place: Any = document
    *parents, last = path.split(".")
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    place[int(last) if isinstance(place, list) else last] = value
    try:
        chip = parse_chip(document, "c.yaml")
    except InputError as error:
        told = str(error)
        assert "\n" not in told
        assert len(told) < 600
    else:
        assert parse_chip(yaml.safe_load(chip_yaml(chip)), "y") == chip


# --- the schema that editors read


def test_schema_names_what_may_be_written_and_nothing_derived() -> None:
    schema = chip_schema()
    json.dumps(schema)
    core = schema["$defs"]["Core"]
    assert set(core["properties"]) == {*CORE_FIELDS, "neurons"}
    assert core["required"] == ["neurons"]
    assert set(schema["properties"]["core"]["properties"]) == set(CORE_FIELDS)
    assert set(schema["properties"]) == {*Chip.model_fields, "core"}
    assert set(schema["required"]) == {"name", "inputs", "layers"}


@pytest.mark.parametrize("name", preset_names())
def test_every_field_of_a_preset_is_in_the_schema(name: str) -> None:
    schema = chip_schema()
    document, _ = read_chip_document(name)
    assert set(document) <= set(schema["properties"])
    assert set(document["core"]) <= set(schema["properties"]["core"]["properties"])
    for layer in document["layers"]:
        assert set(layer) <= set(schema["$defs"]["Core"]["properties"])
