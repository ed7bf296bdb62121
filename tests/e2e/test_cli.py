"""The commands as a user meets them: help, presets, and one line for everything that cannot be."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from flipcore.chip import load_chip, preset_names, preset_text
from tests.e2e.command import Done, environment, flipcore, one_line_of

# Each costs a tenth of a second or more to import: a help text or an unknown option must not wait.
HEAVY = ("numpy", "numba", "scipy", "pandas", "matplotlib", "optuna", "torch", "cocotb")


@pytest.mark.parametrize("words", [["--help"], ["simulate", "--help"]], ids=" ".join)
def test_help_loads_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    """The seconds are printed by `python -m benchmarks.startup`: a busy machine fails no test."""
    told = flipcore(*words, folder=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    assert told.returncode == 0
    assert "Usage:" in told.stdout
    loaded = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert "typer" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_help_names_every_command_with_examples(tmp_path: Path) -> None:
    told = flipcore("--help", folder=tmp_path).stdout
    for command in ("simulate", "sweep", "presets", "rtl"):
        assert f" {command} " in told
        more = [command, "verify"] if command == "rtl" else [command]
        assert "Example" in flipcore(*more, "--help", folder=tmp_path).stdout


def test_presets_are_listed(tmp_path: Path) -> None:
    done = flipcore("presets", folder=tmp_path)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    for name in preset_names():
        assert f" {name} " in done.stdout
    rows = json.loads(flipcore("presets", "--json", folder=tmp_path).stdout)["presets"]
    assert [row["name"] for row in rows] == preset_names()
    digits = rows[preset_names().index("digits")]
    assert (digits["inputs"], digits["layers"], digits["steps"]) == (64, [256, 10], 8)


@pytest.mark.parametrize("name", preset_names())
def test_a_printed_preset_is_a_chip_description(name: str, tmp_path: Path) -> None:
    done = flipcore("presets", name, folder=tmp_path)
    assert done.returncode == 0
    assert done.stdout == preset_text(name)
    path = tmp_path / "copy.yaml"
    path.write_text(done.stdout, encoding="utf-8")
    assert load_chip(str(path)) == load_chip(name)


def test_schema_is_json(tmp_path: Path) -> None:
    schema = json.loads(flipcore("presets", "--schema", folder=tmp_path).stdout)
    assert set(yaml.safe_load(preset_text("digits"))) <= set(schema["properties"])


@pytest.mark.parametrize("words", [[], ["--no-counters"]], ids=" ".join)
def test_generated_files_are_listed(words: list[str], tmp_path: Path) -> None:
    pytest.importorskip("jinja2", reason="jinja2 is not installed: no Verilog")
    done = flipcore("rtl", "generate", "digits", "--out", "chip", *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    listed = done.stdout.splitlines()
    assert sorted(listed) == sorted(f"chip/{path.name}" for path in (tmp_path / "chip").iterdir())
    assert {"chip/TABLES.md", "chip/digits.core", "chip/digits.f"} <= set(listed)
    assert "chip/flip_chip.v" in listed
    assert ("chip/event_counters.v" in listed) == (not words)


def test_check_tells_the_bits_of_every_store_as_json(tmp_path: Path) -> None:
    pytest.importorskip("pyverilog", reason="pyverilog is not installed")
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog (Debian package `iverilog`) is missing")
    done = flipcore("rtl", "check", "digits", "--samples", "0", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["differences"] == []
    assert [core["momentum"] for core in result["store_bits"]] == [131_072, 32_768]
    assert list(tmp_path.iterdir()) == []  # pyverilog leaves its tables elsewhere


def test_version_of_the_package_is_that_of_its_metadata(tmp_path: Path) -> None:
    program = "import flipcore, importlib.metadata as m; assert flipcore.__version__ == m.version('flipcore')"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)


# --- refusals


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all kinds of files that do not fit."""
    folder = tmp_path_factory.mktemp("files")
    np.savez(folder / "narrow.npz", x=np.ones((30, 10), np.uint8), y=np.arange(30) % 3)
    np.savez(folder / "classes.npz", x=np.ones((90, 64), np.uint8), y=np.arange(90) % 12)
    np.savez(folder / "weights.npz", weights_0=np.zeros((64, 31), np.uint8))
    (folder / "broken.npz").write_bytes(b"PK\x03\x04 and nothing else")
    (folder / "run").mkdir()
    (folder / "run" / "checkpoint.npz").write_bytes(b"not a checkpoint")
    (folder / "full").mkdir()
    (folder / "full" / "something").write_bytes(b"")
    (folder / "list.yaml").write_text("- 1\n- 2\n")
    (folder / "date.yaml").write_text("name: 2001-99-99\n")
    (folder / "twice.yaml").write_text("name: t\ninputs: 4\nsteps: 4\nsteps: 5\n")
    return folder


REFUSED = [
    ("presets digit", "digit: no such preset, did you mean `digits`?"),
    ("simulate digit", "digit: no such preset, did you mean `digits`?"),
    ("simulate none.yaml", "none.yaml: cannot be read: No such file or directory"),
    ("simulate list.yaml", "list.yaml: a chip description is a mapping of fields"),
    ("simulate date.yaml", "date.yaml: not valid YAML: month must be in 1..12"),
    (
        "simulate twice.yaml",
        "twice.yaml: not valid YAML: line 4: steps: is given twice, first in line 3",
    ),
    (
        "simulate digits --set core.momentum_bit=4",
        "digits: core.momentum_bit: unknown field, did you mean `momentum_bits`?",
    ),
    (
        "simulate digits --set core.lanes=65",
        "digits: layers.0.lanes=65: input should be less than or equal to 64 (and 1 more)",
    ),
    (
        "simulate digits --set core.lanes",
        "core.lanes: write changes as field=value, such as core.momentum_bits=4",
    ),
    (
        "simulate digits --set layers.2.neurons=4",
        "layers.2: 2 is not an index of a list of 2",
    ),
    (
        "simulate digits --dataset npz:narrow.npz",
        "narrow: 10 inputs a sample: the chip digits has inputs=64",
    ),
    (
        "simulate digits --dataset npz:classes.npz",
        "classes: 12 classes: the readout of digits has 10 neurons",
    ),
    ("simulate digits --dataset npz:none.npz", "none.npz: no such file"),
    ("simulate digits --dataset npz:broken.npz", "broken.npz: corrupt: "),
    ("simulate digits --dataset none.npz", "data set 'none.npz': unknown, did you mean npz:none.npz?"),
    ("simulate digits --dataset digitz", "data set 'digitz': unknown, did you mean digits?"),
    ("simulate digits --weights none.npz", "none.npz: no such weights file"),
    (
        "simulate digits --weights broken.npz",
        "broken.npz: damaged or not a weights file: not an .npz archive",
    ),
    (
        "simulate digits --weights weights.npz",
        "weights.npz: weights_0: uint8 [64, 31]: core 0 of digits needs uint8 [64, 32]",
    ),
    ("simulate digits --out full", "full: this run directory exists and is not empty"),
    ("simulate digits --out broken.npz", "broken.npz: cannot be created: File exists"),
    ("simulate digits --out broken.npz/x", "broken.npz/x: cannot be created: Not a directory"),
    ("simulate digits --out /proc/x", "/proc/x: cannot be created: No such file or directory"),
    ("simulate --resume full", "full/checkpoint.npz: no such checkpoint"),
    (
        "simulate --resume run",
        "run/checkpoint.npz: damaged or not a checkpoint: not an .npz archive",
    ),
    ("rtl generate digit", "digit: no such preset, did you mean `digits`?"),
    ("rtl synth digits --corner slow.lib", "--corner: needs --macros"),
    ("rtl synth digits --macros .", "--macros: needs --top flip_chip, where the memories are"),
    ("rtl synth digits --top flip_chip --macros .", "--macros: needs --target liberty:FILE"),
    ("rtl generate digits --out broken.npz", "broken.npz: cannot be written: File exists"),
]  # fmt: skip
# The same program again and again in one process, which spares the tests a second of imports each.
AGAIN = """
import contextlib, io, json, sys
from flipcore.cli import main

for words in json.load(sys.stdin):
    sys.argv = ["flipcore", *words.split()]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


@pytest.fixture(scope="module")
def answers(files: Path) -> dict[str, Done]:
    """What each refused command says and how it ends."""
    commands = [words for words, _ in REFUSED]
    before = sorted(files.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", AGAIN],
        input=json.dumps(commands),
        cwd=files,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(files.rglob("*")) == before, "something was left behind"
    lines = done.stdout.splitlines()
    return {
        words: subprocess.CompletedProcess(words, *json.loads(line))
        for words, line in zip(commands, lines, strict=True)
    }


@pytest.mark.parametrize(("words", "told"), REFUSED, ids=[words for words, _ in REFUSED])
def test_what_cannot_be_is_told_in_one_line(
    words: str, told: str, answers: dict[str, Done]
) -> None:
    assert one_line_of(answers[words]).startswith(told)


@pytest.mark.parametrize(
    ("words", "told"), REFUSED[1::8], ids=[words for words, _ in REFUSED[1::8]]
)
def test_what_cannot_be_is_told_by_a_process_of_its_own(words: str, told: str, files: Path) -> None:
    assert one_line_of(flipcore(*words.split(), folder=files)).startswith(told)


@pytest.mark.parametrize("words", ["simulate --colour", "simulate digits --epochs x", "nothing"])
def test_words_that_are_no_option_or_command_are_refused(words: str, tmp_path: Path) -> None:
    done = flipcore(*words.split(), folder=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_line_break_in_a_name_makes_no_second_line(tmp_path: Path) -> None:
    told = one_line_of(flipcore("simulate", "two\nlines", folder=tmp_path))
    assert told.startswith("two lines: no such preset")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [["presets"], ["presets", "digits"], ["presets", "--json"]])
def test_output_that_cannot_be_written_is_told_in_one_line(
    words: list[str], tmp_path: Path
) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "flipcore", *words],
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "flipcore: standard output: No space left on device\n"


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """As `flipcore presets | head -1` does it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flipcore", "presets", "--json"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    process.wait()


BLOCKED = ("torch", "numba", "matplotlib", "sklearn", "optuna", "scipy", "tensorboardX")


@pytest.mark.parametrize(
    ("words", "blocked"),
    [
        (["--help"], BLOCKED),
        (["simulate", "--help"], BLOCKED),
        (["sweep", "--help"], BLOCKED),
        (["presets"], BLOCKED),
        (["presets", "digits"], BLOCKED),
        (["simulate", "digits", "--epochs", "0"], ("torch", "optuna")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_command_loads_only_what_it_needs(
    words: list[str], blocked: tuple[str, ...], tmp_path: Path
) -> None:
    """Packages of these names that cannot be imported come first on the path."""
    fakes = tmp_path / "fakes"
    fakes.mkdir()
    for name in blocked:
        (fakes / f"{name}.py").write_text(f"raise AssertionError('{name} was imported')\n")
    program = "from flipcore.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(fakes)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
