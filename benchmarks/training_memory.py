"""Memory of training VGG-11 on CIFAR-10 over the number of time steps: exact bytes of all live tensors; docs/BENCHMARKS.md has the method.

Random images; what is counted does not depend on them. Run: python -m benchmarks.training_memory
"""

import argparse
import json
from dataclasses import dataclass
from typing import Any

import torch

from flipcore.training.algorithms import find_algorithm
from flipcore.training.learner import Learner
from flipcore.training.live_tensors import LiveTensors
from flipcore.training.network_spec import NetworkSpec
from flipcore.training.options import Options, Storage
from flipcore.training.recipe import load_recipe
from flipcore.training.state_bits import training_state
from flipcore.training.vgg import vgg11

MIB = 1 << 20


@dataclass(frozen=True)
class Way:
    """One way to train, with the steps it is measured at by default."""

    name: str
    algorithm: str
    storage: Storage
    kind: str


WAYS = (
    Way("T-BSO, packed, int8 momentum", "tbso", "packed-int8", "packed"),
    Way("T-BSO, packed, int4 momentum", "tbso", "packed-int4", "packed"),
    Way("BSO, float32 as published", "bso", "dense", "dense"),
    Way("latent weights, BPTT, Adam", "bptt-adam", "dense", "latent"),
)


def measure(way: Way, steps: int, batch: int) -> dict[str, Any]:
    """State and peak of the second of two batches, when all state exists that is ever kept."""
    torch.manual_seed(0)
    algorithm = find_algorithm(way.algorithm)
    options = Options(algorithm=algorithm, storage=way.storage)
    spec = NetworkSpec(
        kind=way.kind,  # type: ignore[arg-type]
        momentum_format=way.storage.removeprefix("packed-") if options.packed else "float32",
        trace="ndot" if algorithm.online else None,
        online=algorithm.online,
        num_steps=steps,
    )
    learner = Learner(
        load_recipe("cifar10-vgg11"),
        options,
        vgg11(10, in_channels=3, spec=spec),
        torch.device("cpu"),
        epochs=1,
    )
    images = torch.randn(batch, 3, 32, 32)
    labels = torch.randint(0, 10, (batch,))
    learner.learn(iter([images]), labels, 1)
    state = training_state(learner.model, learner.optimizers())
    kept = sum(part.allocated_bytes for part in state if part.name not in ("potentials", "traces"))
    with LiveTensors([*learner.state_tensors(), images], "cpu") as tracker:
        learner.learn(iter([images] * steps), labels, steps)
    return {
        "way": way.name,
        "steps": steps,
        "state_bytes": kept,
        "state_bits": sum(part.bits for part in state if part.name not in ("potentials", "traces")),
        "peak_bytes": tracker.peak_bytes(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for way in WAYS:
        for steps in arguments.steps:
            rows.append(measure(way, steps, arguments.batch))
            if not arguments.json:
                row = rows[-1]
                print(
                    f"{row['way']:32} T={steps:<3} state {row['state_bytes'] / MIB:7.1f} MiB "
                    f"({row['state_bits'] / 8 / MIB:7.1f} MiB of bits), peak {row['peak_bytes'] / MIB:8.1f} MiB",
                    flush=True,
                )
    if arguments.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
