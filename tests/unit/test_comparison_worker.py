"""Jobs of a comparison: stopped in the middle they go on bit for bit; what is of another run is refused."""

import json
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flipcore.comparison.jobs import Job, job_title, open_jobs, write_peaks
from flipcore.comparison.line import Line, Stopped, receive
from flipcore.comparison.request import Request, create_folder, load_request_data, make_request
from flipcore.comparison.worker import run_job
from flipcore.errors import InputError
from flipcore.sim.data import Dataset
from tests.datasets import striped_pixels
from tests.trainings import CHIP

TIMES = ("seconds", "seconds_per_sample", "samples_per_second", "run_dir")


class Caller:
    """The other end of a line: wants the job to stop after so many questions, and hears how far it is."""

    def __init__(self, questions: int | None = None) -> None:
        self._left = questions
        self.heard: list[dict[str, Any]] = []

    def poll(self) -> bool:
        """Whether to stop."""
        if self._left is None:
            return False
        self._left -= 1
        return self._left < 0

    def send_bytes(self, content: bytes) -> None:
        """Hear."""
        self.heard.append(json.loads(content))


def line(questions: int | None = None) -> Line:
    return Line(Caller(questions))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Request, Dataset]:
    """A comparison of software and chip."""
    folder = tmp_path_factory.mktemp("prepared")
    pixels, labels = striped_pixels(300, 12, 3, seed=0)
    np.savez(
        folder / "data.npz",
        x_train=pixels[:270], y_train=labels[:270], x_test=pixels[270:], y_test=labels[270:],
    )  # fmt: skip
    (folder / "tiny.yaml").write_text(CHIP)
    request = make_request(
        str(folder / "tiny.yaml"),
        algorithms=["bso", "chip"],
        seeds=1,
        epochs=2,
        dataset=f"npz:{folder / 'data.npz'}",
    )
    return request, load_request_data(request)


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(one) for key, one in value.items() if key not in TIMES}
    return [without_times(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("entry", [0, 1])
def test_a_job_that_was_stopped_goes_on_bit_for_bit(
    entry: int, prepared: tuple[Request, Dataset], tmp_path: Path
) -> None:
    request, dataset = prepared
    job = Job("train", entry, seed=0)
    run_job(request, tmp_path / "whole", dataset, job, line())
    for questions in (1, 2):
        with pytest.raises(Stopped):
            run_job(request, tmp_path / "broken", dataset, job, line(questions))
    run_job(request, tmp_path / "broken", dataset, job, line())
    title = job_title(request, job)
    whole, broken = (
        json.loads((tmp_path / name / "runs" / title / "run.json").read_text())
        for name in ("whole", "broken")
    )
    assert without_times(whole) == without_times(broken)
    # What is done is done.
    create_folder(tmp_path / "asked", request)
    left = open_jobs(request, tmp_path / "broken", has_torch=True)
    assert job not in left
    assert {one.entry for one in left if one.kind == "train"} == {1 - entry}


def test_a_run_of_other_settings_is_not_continued(
    prepared: tuple[Request, Dataset], tmp_path: Path
) -> None:
    request, dataset = prepared
    with pytest.raises(Stopped):
        run_job(request, tmp_path, dataset, Job("train", 1, seed=0), line(0))
    (tmp_path / "runs" / "chip-seed0").rename(tmp_path / "runs" / "chip-seed1")
    with pytest.raises(InputError) as caught:
        run_job(request, tmp_path, dataset, Job("train", 1, seed=1), line())
    assert str(caught.value) == (
        f"{tmp_path / 'runs' / 'chip-seed1'}: the checkpoint is of another run than the comparison's"
    )


def test_open_jobs_are_the_longest_first_and_no_software_without_torch(
    prepared: tuple[Request, Dataset], tmp_path: Path
) -> None:
    request, _ = prepared
    assert open_jobs(request, tmp_path, has_torch=True) == [
        Job("train", 0),
        Job("train", 1),
        Job("memory", 0),
    ]
    assert open_jobs(request, tmp_path, has_torch=False) == [Job("train", 1)]
    write_peaks(tmp_path, {"bso": {"peak_bytes": {"1": 5}, "left_out": []}})
    assert Job("memory", 0) not in open_jobs(request, tmp_path, has_torch=True)
    assert job_title(request, Job("memory", 0)) == "memory of bso"


def test_a_line_tells_now_and_then_and_hears_the_end() -> None:
    here, there = Pipe()
    spoken = Line(there)
    assert not spoken.should_stop()
    for k in range(100):
        spoken.tell(k / 100)
    assert receive(here) == {"fraction": 0.0}
    assert not here.poll()  # the rest came too soon after it
    here.close()
    assert spoken.should_stop()
    spoken.tell(1.0)  # nobody hears it, and nothing breaks
