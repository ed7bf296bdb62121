"""`flipcore nir` as a user runs it: a trained network out and back into the simulator, and files that fit no chip."""

import json
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from tests.e2e.command import figures_of, flipcore, one_line_of
from tests.nir_graphs import lif, plain_nodes, write_graph


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an epoch of the digits in `run`, exported to `digits.nir`."""
    folder = tmp_path_factory.mktemp("nir")
    figures_of(
        flipcore("simulate", "digits", "--epochs", "1", "--out", "run", "--json", folder=folder)
    )
    done = flipcore("nir", "export", "run", "--out", "digits.nir", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def imported(folder: Path) -> dict[str, Any]:
    """What the import of `digits.nir` into `back` says of itself."""
    return figures_of(
        flipcore("nir", "import", "digits.nir", "--out", "back", "--json", folder=folder)
    )


def test_keys_that_scripts_rely_on(folder: Path, imported: dict[str, Any]) -> None:
    figures = figures_of(
        flipcore("nir", "export", "run", "--out", "again.nir", "--json", folder=folder)
    )
    assert figures["file"] == "again.nir"
    assert figures["name"] == "digits"
    assert figures["network"] == [64, 256, 10]
    assert [note.partition(":")[0] for note in figures["notes"]] == ["reset", "leak"]
    assert (folder / "again.nir").read_bytes() == (folder / "digits.nir").read_bytes()
    assert imported == {
        "name": "digits", "network": [64, 256, 10], "chip": "back/chip.yaml",
        "weights": "back/weights.npz", "notes": [],
    }  # fmt: skip


def test_chip_and_weight_bits_come_back_the_same(folder: Path, imported: dict[str, Any]) -> None:
    assert (folder / "back/chip.yaml").read_bytes() == (folder / "run/chip.yaml").read_bytes()
    with np.load(folder / "run/weights.npz") as mine, np.load(folder / "back/weights.npz") as back:
        assert mine.files == back.files
        for c in range(2):
            assert (mine[f"weights_{c}"] == back[f"weights_{c}"]).all()
            assert not back[f"momentum_{c}"].any()  # NIR has none


def test_simulator_classifies_the_same_with_what_came_back(
    folder: Path, imported: dict[str, Any]
) -> None:
    before = json.loads((folder / "run/run.json").read_text())
    after = figures_of(
        flipcore(
            "simulate", imported["chip"], "--weights", imported["weights"], "--no-learn",
            "--out", "second", "--json", folder=folder,
        )
    )  # fmt: skip
    assert after["test_accuracy"] == before["test_accuracy"] > 0.5
    assert after["inference"] == before["inference"]


def test_what_a_user_reads(folder: Path) -> None:
    done = flipcore("nir", "export", "run", "--out", "digits.nir", folder=folder)
    first, *notes = done.stdout.splitlines()
    size = (folder / "digits.nir").stat().st_size
    assert first == f"digits.nir: digits, 64-256-10, {size:,} bytes"
    assert len(notes) == 2
    done = flipcore("nir", "import", "digits.nir", folder=folder)
    assert done.stdout.splitlines() == [
        "digits, 64-256-10: build/nir/chip.yaml, build/nir/weights.npz",
        "Go on with: flipcore simulate build/nir/chip.yaml --weights build/nir/weights.npz",
    ]


def test_chip_with_weights_goes_out_in_the_other_form(folder: Path) -> None:
    text = (folder / "run/chip.yaml").read_text()
    (folder / "if.yaml").write_text(text.replace("neuron: lif", "neuron: if"))
    for form, kind in (("if", nir.IF), ("lif", nir.LIF)):
        figures_of(
            flipcore(
                "nir", "export", "if.yaml", "--weights", "run/weights.npz", "--integrators", form,
                "--out", "if.nir", "--json", folder=folder,
            )
        )  # fmt: skip
        assert isinstance(nir.read(folder / "if.nir").nodes["neurons_0"], kind)


def test_network_of_another_tool(tmp_path: Path) -> None:
    write_graph(tmp_path / "other net.nir", plain_nodes())
    figures = figures_of(
        flipcore(
            "nir", "import", "other net.nir", "--step-seconds", "0.0002", "--set", "steps=16",
            "--out", "new/folder", "--json", folder=tmp_path,
        )
    )  # fmt: skip
    assert figures["name"] == "other-net"
    shown = flipcore("estimate", figures["chip"], "--json", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "leak_shift: 1" in (tmp_path / "new/folder/chip.yaml").read_text()


def test_what_cannot_be_exported(folder: Path) -> None:
    def refused(*words: str) -> str:
        return one_line_of(flipcore("nir", "export", *words, "--out", "x.nir", folder=folder))

    assert refused("digits") == "digits: no such run directory; a chip needs its --weights"
    assert refused(".") == ".: no run.json: not the directory of a finished run"
    assert refused("mnist", "--weights", "run/weights.npz").startswith(
        "run/weights.npz: weights_0: uint8 [64, 32]: core 0 of mnist needs uint8 ["
    )
    assert refused("digits", "--weights", "none.npz") == "none.npz: no such weights file"
    assert refused("run", "--weights", "run/weights.npz").startswith("run: no such preset")
    assert not (folder / "x.nir").exists()
    line = one_line_of(flipcore("nir", "export", "run", "--out", "no/where.nir", folder=folder))
    assert line == "no/where.nir: cannot be written: No such file or directory"


def test_what_cannot_be_imported(tmp_path: Path) -> None:
    def refused(*words: str) -> str:
        return one_line_of(flipcore("nir", "import", *words, folder=tmp_path))

    assert refused("none.nir") == "none.nir: no such NIR file"
    (tmp_path / "text.nir").write_text("not HDF5")
    assert refused("text.nir").startswith("text.nir: damaged or not a NIR file: ")
    write_graph(tmp_path / "net.nir", plain_nodes() | {"lif1": lif(tau=np.full(4, 0.0025))})
    assert refused("net.nir").startswith("net.nir: node lif1 (LIF): tau=0.0025 s: leaks 0.04 ")
    write_graph(tmp_path / "net.nir", plain_nodes())
    assert refused("net.nir", "--set", "core.leek_shift=3").startswith("net.nir: core.leek_shift: ")
    (tmp_path / "file").touch()
    assert refused("net.nir", "--out", "file") == "file: cannot be created: File exists"
    assert not (tmp_path / "build").exists()


@pytest.mark.realdata
def test_real_file_is_refused_in_one_line(data_dir: Path, tmp_path: Path) -> None:
    path = data_dir / "nir" / "cnn_sinabs.nir"
    line = one_line_of(flipcore("nir", "import", path, folder=tmp_path))
    assert line == f"{path}: node 0 (Conv2d): a core of a chip is fully connected"


def test_help_has_examples(tmp_path: Path) -> None:
    for command in ("export", "import"):
        done = flipcore("nir", command, "--help", folder=tmp_path)
        assert done.returncode == 0
        assert f"flipcore nir {command}" in done.stdout
