"""The short run of VGG-11 in docs/studies/training.md has the figures of its results."""

import json
from pathlib import Path

STUDIES = Path(__file__).parents[2] / "docs" / "studies"


def test_the_page_has_the_figures_of_the_run() -> None:
    result = json.loads((STUDIES / "vgg" / "cifar10.json").read_text(encoding="utf-8"))
    (row,) = result["rows"]
    assert row["seeds"] == [0, 1, 2]
    figure = f"{100 * row['accuracy_mean']:.2f} ± {100 * row['accuracy_std']:.2f} %"
    cells = ("CIFAR-10", "10,000", str(row["epochs"]), str(len(row["seeds"])), figure)
    page = (STUDIES / "training.md").read_text(encoding="utf-8")
    assert f"| {' | '.join(cells)} |" in page
