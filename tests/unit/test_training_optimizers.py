"""BSO, T-BSO and Bop as torch optimisers: groups, states, schedulers, compilation, mixed precision."""

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from flipcore.errors import InputError
from flipcore.training.optimizers import BSO, TBSO, Bop, FlipOptimizer

SHAPES = [(5, 7), (33,), (4, 3, 3, 3)]
KINDS = [BSO, TBSO, Bop]


def _params(seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [
        nn.Parameter(torch.randint(0, 2, shape, generator=generator) * 2.0 - 1) for shape in SHAPES
    ]


def _give_gradients(params: list[nn.Parameter], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for param in params:
        param.grad = torch.randn(param.shape, generator=generator)


def _run(
    optimizer: FlipOptimizer, params: list[nn.Parameter], steps: range,
    step: Callable[[], Any] | None = None, after: Callable[[], Any] = lambda: None,
) -> None:  # fmt: skip
    for number in steps:
        _give_gradients(params, 1000 + number)
        optimizer.time_step = number % 3
        (step or optimizer.step)()
        after()


def _assert_same(
    first: FlipOptimizer, firsts: list[nn.Parameter],
    second: FlipOptimizer, seconds: list[nn.Parameter],
) -> None:  # fmt: skip
    for one, other in zip(firsts, seconds, strict=True):
        assert torch.equal(one, other)
        assert first.state[one].keys() == second.state[other].keys()
        for key, value in first.state[one].items():
            assert torch.equal(value, second.state[other][key])


def _saved(state: dict[str, Any]) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("foreach", [False, True])
def test_a_restored_optimizer_goes_on_as_if_never_stopped(
    kind: type[FlipOptimizer], foreach: bool
) -> None:
    params = _params()
    optimizer = kind(params, lr=0.1, gamma=0.01, foreach=foreach)
    _run(optimizer, params, range(7))
    others = [nn.Parameter(param.detach().clone()) for param in params]
    other = kind(others, lr=0.5, gamma=9.0, foreach=foreach)
    other.load_state_dict(_saved(optimizer.state_dict()))
    assert other.param_groups[0]["lr"] == 0.1
    _run(optimizer, params, range(7, 20))
    _run(other, others, range(7, 20))
    _assert_same(optimizer, params, other, others)


def test_a_second_moment_belongs_to_its_time_step() -> None:
    params = _params()[:1]
    optimizer = TBSO(params, square_rate=0.5)
    for time_step, value in [(2, 2.0), (0, 4.0), (2, 2.0)]:
        optimizer.time_step = time_step
        params[0].grad = torch.full(SHAPES[0], value)
        optimizer.step()
    assert optimizer.state[params[0]]["second_moment"].tolist() == [8.0, 0.0, 3.0]
    assert copy.deepcopy(optimizer).time_step == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["keep", "reset"])
def test_foreach_equals_one_tensor_at_a_time_bit_by_bit(
    kind: type[FlipOptimizer], policy: str
) -> None:
    pair = []
    for foreach in (False, True):
        params = _params()
        optimizer = kind(params, lr=0.1, gamma=0.01, foreach=foreach)
        optimizer.param_groups[0]["momentum_at_flip"] = policy
        _run(optimizer, params, range(15))
        pair += [optimizer, params]
    _assert_same(*pair)


def test_groups_have_settings_of_their_own() -> None:
    fast, slow, late = _params()
    optimizer = BSO([{"params": [fast], "lr": 1.0}, {"params": [slow]}], lr=0.5, gamma=0.0)
    optimizer.add_param_group({"params": [late], "gamma": 99.0})
    before = late.detach().clone()
    _run(optimizer, [fast, slow, late], range(1))
    assert torch.equal(optimizer.state[fast]["momentum"], fast.grad)
    assert torch.equal(optimizer.state[slow]["momentum"], slow.grad * 0.5)
    assert torch.equal(fast, -fast.grad.sign())
    assert torch.equal(late, before)


def test_parameters_without_gradient_are_left_alone() -> None:
    params = _params()
    optimizer = TBSO(params)
    params[1].grad = torch.ones(SHAPES[1])
    optimizer.step()
    assert set(optimizer.state) == {params[1]}
    for foreach in (False, True):
        TBSO(_params(), foreach=foreach).step()


def test_the_closure_runs_with_gradients_and_its_loss_is_returned() -> None:
    weight = nn.Parameter(torch.ones(3))
    optimizer = BSO([weight], lr=1.0, gamma=0.0)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (weight * torch.tensor([1.0, -1.0, 2.0])).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    assert weight.tolist() == [-1.0, 1.0, -1.0]


def test_the_published_settings_are_the_defaults() -> None:
    bso, tbso, bop = (kind(_params()).param_groups[0] for kind in KINDS)
    assert (bso["lr"], bso["gamma"], bso["momentum_at_flip"]) == (1e-3, 5e-7, "keep")
    assert (tbso["lr"], tbso["gamma"], tbso["square_rate"]) == (1e-3, 5e-7, 1e-5)
    assert (bop["lr"], bop["gamma"]) == (1e-4, 1e-8)


def test_schedulers_of_torch_anneal_the_rate() -> None:
    params = _params()
    optimizer = BSO(params, lr=0.5, gamma=0.25)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)
    _run(optimizer, params, range(4), after=scheduler.step)
    assert optimizer.param_groups[0]["lr"] == 0.125
    assert optimizer.param_groups[0]["gamma"] == 0.25


# Dynamo itself warns: of the profiler's marks, and of what its imports deprecate.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "foreach", "backend"),
    [
        (TBSO, False, "eager"),
        (TBSO, True, "eager"),
        pytest.param(BSO, False, "aot_eager", marks=pytest.mark.slow),
        pytest.param(TBSO, True, "aot_eager", marks=pytest.mark.slow),
    ],
)
def test_compiled_steps_equal_the_others_bit_by_bit_under_a_scheduler(
    kind: type[FlipOptimizer], foreach: bool, backend: str
) -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    pair: list[Any] = []
    for compiled in (False, True):
        params = _params()
        # A tensor: compiled steps take it as an input.
        rate = torch.tensor(0.1, dtype=torch.float64)
        optimizer = kind(params, lr=rate, gamma=0.01, foreach=foreach)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        step = torch.compile(lambda opt=optimizer: opt.step(), backend=backend)
        _run(optimizer, params, range(4), step if compiled else None, scheduler.step)
        pair += [optimizer, params]
    _assert_same(*pair)
    assert (
        torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    )  # whatever rate and time step


def test_a_rate_in_a_tensor_of_double_precision_changes_no_bit() -> None:
    pair: list[Any] = []
    for rate in (1e-3, torch.tensor(1e-3, dtype=torch.float64)):
        params = _params()
        optimizer = TBSO(params, lr=rate, gamma=0.01)
        _run(optimizer, params, range(5))
        pair += [optimizer, params]
    _assert_same(*pair)


def test_a_grad_scaler_unscales_and_skips_the_steps_that_overflowed() -> None:
    weight = nn.Parameter(torch.ones(4))
    optimizer = BSO([weight], lr=0.5, gamma=0.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale((weight * torch.tensor([1.0, -1.0, 2.0, -2.0])).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert optimizer.state[weight]["momentum"].tolist() == [0.5, -0.5, 1.0, -1.0]
    flipped = weight.detach().clone()
    optimizer.zero_grad()
    scaler.scale((weight * float("inf")).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(weight, flipped)
    assert optimizer.state[weight]["momentum"].tolist() == [0.5, -0.5, 1.0, -1.0]
    assert scaler.get_scale() == 512.0


def test_autocast_leaves_weights_and_momentum_in_float32() -> None:
    weight = nn.Parameter(torch.ones(4, 4))
    optimizer = TBSO([weight])
    with torch.autocast("cpu", torch.bfloat16):
        output = nn.functional.linear(torch.randn(3, 4), weight)
        loss = output.square().mean()
    assert output.dtype == torch.bfloat16
    loss.backward()
    optimizer.step()
    assert weight.dtype == optimizer.state[weight]["momentum"].dtype == torch.float32
    assert weight.abs().eq(1).all()


@pytest.mark.parametrize("value", [0.0, 0.5, float("nan")])
def test_parameters_that_are_not_binary_are_refused(value: float) -> None:
    bad = nn.Parameter(torch.tensor([1.0, value]))
    with pytest.raises(InputError) as refusal:
        BSO([{"params": _params()}, {"params": [nn.Parameter(torch.ones(2)), bad]}])
    assert str(refusal.value) == (
        f"group 1, parameter 1: element 1 is {value}; a binary weight is -1 or +1"
    )
    with pytest.raises(InputError, match=r"^parameter fc\.weight: element 1 is "):
        TBSO([("fc.weight", bad)])


def test_a_refused_group_is_not_added() -> None:
    optimizer = BSO(_params())
    with pytest.raises(InputError, match=r"^group 1, gamma=-1: must be finite and not below 0$"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2))], "gamma": -1})
    assert len(optimizer.param_groups) == 1


def test_parameters_of_another_type_are_refused() -> None:
    with pytest.raises(
        InputError,
        match=r"^group 0, parameter 0: dtype torch.bfloat16; a binary weight is float32$",
    ):
        BSO([nn.Parameter(torch.ones(2, dtype=torch.bfloat16))])


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -float("inf")])
@pytest.mark.parametrize("foreach", [False, True])
def test_a_gradient_that_is_not_finite_is_refused_before_anything_changes(
    value: float, foreach: bool
) -> None:
    params = _params()
    named = [("a", params[0]), ("b", params[1]), ("c", params[2])]
    optimizer = TBSO(named, lr=1.0, gamma=0.0, foreach=foreach)
    before = [param.detach().clone() for param in params]
    _give_gradients(params, 1)
    assert params[1].grad is not None
    params[1].grad[3] = value
    with pytest.raises(
        InputError, match=r"^parameter b, gradient: a value is infinite, not a number"
    ):
        optimizer.step()
    assert all(torch.equal(param, old) for param, old in zip(params, before, strict=True))
    assert not optimizer.state


def test_a_sparse_gradient_is_refused() -> None:
    table = nn.Embedding(4, 2, sparse=True)
    nn.init.ones_(table.weight)
    optimizer = BSO(table.parameters())
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(
        InputError, match=r"^group 0, parameter 0, gradient: sparse; it must be dense$"
    ):
        optimizer.step()
