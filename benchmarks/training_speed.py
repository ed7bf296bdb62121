"""Speed of training in PyTorch beside its peers, turn by turn in one run; docs/BENCHMARKS.md has the method.

`mlp`: 784-512-10, batch 1, an update after every time step, beside the hand-written step of benchmarks.peer_torch; one processor, on MNIST.
`vgg11`: VGG-11 at batch 128, an update after every time step, beside SpikingJelly's OTTT (PyPI package `spikingjelly`); all processors, on random images.
Run: python -m benchmarks.training_speed mlp
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator

import torch

from benchmarks.peer_torch import OnlineBso
from flipcore.training.algorithms import find_algorithm
from flipcore.training.data import input_spikes, load_samples
from flipcore.training.learner import Learner
from flipcore.training.mlp import mlp
from flipcore.training.network_spec import NetworkSpec
from flipcore.training.options import Options, Storage
from flipcore.training.recipe import Recipe, load_recipe
from flipcore.training.surrogate import Surrogate
from flipcore.training.vgg import vgg11

MLP_STEPS = 4
KINDS: dict[Storage, str] = {"packed-int8": "packed", "dense": "dense"}


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _learner(recipe: Recipe, model: torch.nn.Module, storage: Storage, rule: str) -> Learner:
    options = Options(algorithm=find_algorithm(rule), storage=storage)
    return Learner(recipe, options, model, torch.device("cpu"), epochs=1)


def _spec(storage: Storage, **network: object) -> NetworkSpec:
    momentum = storage.removeprefix("packed-") if storage != "dense" else "float32"
    return NetworkSpec(kind=KINDS[storage], momentum_format=momentum, **network)  # type: ignore[arg-type]


def _mlp_contenders(dataset: str, samples: int) -> dict[str, Callable[[], object]]:
    mnist = load_samples(dataset, num_steps=MLP_STEPS)
    first = range(samples)
    trains = input_spikes(mnist.train.batch(first).flatten(1), MLP_STEPS).float().transpose(0, 1)
    labels = mnist.train.labels[:samples]
    peer = OnlineBso((784, 512, 10), 0, 1e-3, 5e-7)
    contenders: dict[str, Callable[[], object]] = {
        "PyTorch by hand, no autograd": lambda: [
            peer.learn(train, int(label)) for train, label in zip(trains, labels, strict=True)
        ]
    }
    recipe = load_recipe("mnist")
    for rule in ("bso", "tbso"):
        for storage in KINDS:
            spec = _spec(storage, trace="ottt", surrogate=Surrogate(name="rectangle"))
            model = mlp((784, 512, 10), thresholds=(28,), spec=spec)
            learner = _learner(recipe, model, storage, rule)

            def work(learner: Learner = learner) -> None:
                for train, label in zip(trains, labels.split(1), strict=True):
                    learner.learn(iter(train.split(1)), label, MLP_STEPS)

            contenders[f"flipcore {rule}, {storage}"] = work
    return contenders


def _vgg_contenders(batch: int, steps: int) -> dict[str, Callable[[], object]]:
    from benchmarks.peer_spikingjelly import OnlineVgg11

    dice = torch.Generator().manual_seed(0)
    images = torch.randn((batch, 3, 32, 32), generator=dice)
    labels = torch.randint(0, 10, (batch,), generator=dice)
    peer = OnlineVgg11(10)
    contenders: dict[str, Callable[[], object]] = {
        "SpikingJelly OTTT": lambda: peer.learn(images, labels, steps)
    }
    recipe = load_recipe("cifar10-vgg11")
    for trace in ("ottt", "ndot"):
        model = vgg11(10, in_channels=3, spec=_spec("packed-int8", trace=trace))
        learner = _learner(recipe, model, "packed-int8", "tbso")

        def frames() -> Iterator[torch.Tensor]:
            return iter([images] * steps)

        def work(learner: Learner = learner) -> None:
            learner.learn(frames(), labels, steps)

        contenders[f"flipcore tbso, packed-int8, {trace}"] = work
    return contenders


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("what", choices=("mlp", "vgg11"))
    parser.add_argument("--dataset", default="mnist", help="mlp: mnist, or idx:DIR of it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=60, help="mlp: samples of each in a round")
    parser.add_argument("--batch", type=int, default=128, help="vgg11: images of a batch")
    parser.add_argument("--steps", type=int, default=1, help="vgg11: time steps of a batch")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.what == "mlp":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        torch.set_num_threads(1)
        contenders = _mlp_contenders(arguments.dataset, arguments.samples)
        count = arguments.samples
    else:
        contenders = _vgg_contenders(arguments.batch, arguments.steps)
        count = arguments.batch * arguments.steps
    for work in contenders.values():
        work()  # memory is taken and code is loaded before the clock runs
    rows = [
        {name: count / _seconds(work) for name, work in contenders.items()}
        for _ in range(arguments.rounds)
    ]
    names = list(contenders)
    table = {name: [row[name] for row in rows] for name in names}
    for name in names[1:]:
        table[f"{name} / {names[0]}"] = [row[name] / row[names[0]] for row in rows]
    if arguments.json:
        print(json.dumps(table))
        return
    unit = "samples" if arguments.what == "mlp" else "images and steps"
    print(f"{unit} per processor second: median (range) of {arguments.rounds} rounds")
    for name, values in table.items():
        print(
            f"{name:70} {statistics.median(values):8.2f}  ({min(values):.2f} ... {max(values):.2f})"
        )


if __name__ == "__main__":
    main()
