"""`flipcore report`: where the page goes, and who opens it."""

import json
import webbrowser
from pathlib import Path

import pytest

from flipcore.cli import report as command
from tests.report_folders import training


def test_it_opens_in_the_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    folder = training(tmp_path / "soft")
    command.run((folder,), tmp_path / "out", open_browser=True, as_json=True)
    assert opened == [(tmp_path / "out" / "report.html").as_uri()]
    assert json.loads(capsys.readouterr().out)["report"] == str(tmp_path / "out" / "report.html")


def test_several_folders_go_to_a_new_one_under_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folders = (training(tmp_path / "one"), training(tmp_path / "two"))
    command.run(folders, None, open_browser=False, as_json=False)
    assert capsys.readouterr().out.endswith("The report is runs/report/report.html\n")
    assert (tmp_path / "runs" / "report" / "figures" / "accuracy.svg").is_file()
