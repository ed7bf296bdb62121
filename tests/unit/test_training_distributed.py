"""Several processes: nothing to join without torchrun, devices that are not there, and two that agree."""

from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from torch import distributed

from flipcore.errors import CheckError, InputError
from flipcore.training.distributed import (
    average_over_processes,
    check_agreement,
    local_device,
    made_by_first,
    process_group,
    rank,
    sum_over_processes,
    world_size,
)
from tests.trainings import CPU


def test_one_process_is_the_first_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with process_group(CPU):
        assert not distributed.is_initialized()
        assert (rank(), world_size()) == (0, 1)


def test_one_process_agrees_with_itself() -> None:
    values = [1.5, 2.0]
    assert sum_over_processes(values, CPU) == values
    statistic = torch.tensor([1.0, 2.0])
    average_over_processes([statistic])
    assert statistic.tolist() == [1.0, 2.0]
    check_agreement({"w": torch.ones(3)})
    assert made_by_first(lambda: "a") == "a"


def test_the_processor_is_a_device() -> None:
    assert local_device("cpu") == CPU


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("abacus", "device abacus: unknown: write cpu, cuda or cuda:N"),
        ("meta", "device meta: absent: torch finds no such device here; cpu always is"),
        ("cuda", "device cuda: absent: torch finds no such device here; cpu always is"),
    ],
)
def test_devices_that_are_not_there_are_refused(
    name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError) as caught:
        local_device(name)
    assert str(caught.value) == message


def test_each_process_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert local_device("cuda") == torch.device("cuda", 1)
    assert local_device("cuda:0") == torch.device("cuda", 0)
    monkeypatch.delenv("LOCAL_RANK")
    assert local_device("cuda") == torch.device("cuda", 0)
    with pytest.raises(InputError) as caught:
        local_device("cuda:2")
    assert str(caught.value) == "device cuda:2: absent: torch finds 2 of them here"


def work_together(number: int, folder: Path) -> None:
    """What each of two processes does; writes what it saw."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'meeting'}", rank=number, world_size=2
    )
    seen = [str(sum_over_processes([1.0, float(number)], CPU))]
    statistic = torch.tensor([float(number), 4.0])
    average_over_processes([statistic])
    seen.append(str(statistic.tolist()))
    seen.append(made_by_first(lambda: f"made by {number}"))
    check_agreement({"same": torch.ones(3)})
    try:
        check_agreement({"same": torch.ones(3), "w": torch.full((2,), float(number))})
    except CheckError as error:
        seen.append(str(error))
    (folder / f"process{number}").write_text("\n".join(seen))
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes(tmp_path: Path) -> None:
    context = get_context("spawn")
    processes = [context.Process(target=work_together, args=(n, tmp_path)) for n in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    first, second = (
        (tmp_path / f"process{number}").read_text().splitlines() for number in range(2)
    )
    assert first[:3] == second[:3] == ["[2.0, 1.0]", "[0.5, 4.0]", "made by 0"]
    assert first[3] == "w: processes 0 and 1 hold different weights"
    assert second[3] == "w: processes 1 and 0 hold different weights"
