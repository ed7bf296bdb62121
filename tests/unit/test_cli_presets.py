"""`flipcore presets` as JSON."""

from pathlib import Path

import pytest

from flipcore.chip import load_chip, preset_names
from flipcore.cli.presets import show


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_as_json_is_a_chip_description_too(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show(name, schema=False, as_json=True)
    path = tmp_path / "copy.yaml"  # JSON is YAML
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    assert load_chip(str(path)) == load_chip(name)
