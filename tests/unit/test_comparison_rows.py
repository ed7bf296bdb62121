"""The file of a comparison: what is damaged in it is said in one line."""

import json
from pathlib import Path

import pytest

from flipcore.comparison.rows import COMPARISON_FILE, comparison_document, read_comparison
from flipcore.errors import InputError

KEPT = Path(__file__).parents[2] / "docs" / "studies" / "compare" / "digits.json"


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    (tmp_path / COMPARISON_FILE).write_bytes(KEPT.read_bytes())
    comparison = read_comparison(tmp_path)
    assert comparison.row("chip-8").where == "chip"
    assert json.loads(json.dumps(comparison_document(comparison))) == json.loads(KEPT.read_text())
    with pytest.raises(KeyError):
        comparison.row("chip-17")


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no compare\.json: not the folder of a comparison"):
        read_comparison(tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("rows", 3, "accuracy_mean"), "high", "accuracy_mean='high'"),
        (("rows", 0, "peak_bytes_by_steps", "1"), 0, "greater than or equal to 1"),
        (("steps",), None, "steps=None"),
    ],
)
def test_a_damaged_field_is_named(
    tmp_path: Path, path: tuple[str | int, ...], value: object, reason: str
) -> None:
    document = json.loads(KEPT.read_text())
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (tmp_path / COMPARISON_FILE).write_text(json.dumps(document))
    with pytest.raises(InputError) as refused:
        read_comparison(tmp_path)
    text = str(refused.value)
    assert text.startswith(f"{tmp_path / COMPARISON_FILE}: damaged or not a comparison: ")
    assert reason in text
    assert "\n" not in text


def test_what_is_not_json_is_said(tmp_path: Path) -> None:
    (tmp_path / COMPARISON_FILE).write_text('{"format": 1,')
    with pytest.raises(InputError, match="damaged or not a comparison: not JSON"):
        read_comparison(tmp_path)
