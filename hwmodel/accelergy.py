"""Interchange with Accelergy: action counts, energy and area reference tables (ERT, ART) in its YAML, version 0.3."""

from typing import Any

import yaml

from flipcore.chip import Chip
from flipcore.hwmodel.area import AreaRow
from flipcore.hwmodel.energy import ActionCost, Energy

VERSION = 0.3


def accelergy_files(chip: Chip, energy: Energy, area: tuple[AreaRow, ...]) -> dict[str, str]:
    """YAML of the files by name: counts of all samples, pJ per action, um2 per component.

    The sum of counts times energies is the total of `energy`.
    """
    return {
        "action_counts.yaml": _yaml({"action_counts": _action_counts(chip, energy)}),
        "ERT.yaml": _yaml({"ERT": _energy_table(chip, energy)}),
        "ART.yaml": _yaml({"ART": _area_table(chip, area)}),
    }


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False)


def _component(chip: Chip, core: int, component: str) -> str:
    """Path of a component: the chip is the root, its cores the levels below."""
    return f"{chip.name}.core[{core}].{component}"


def _action_counts(chip: Chip, energy: Energy) -> dict[str, Any]:
    numbers: dict[str, dict[str, int]] = {}
    for row in energy.rows:
        cost = row.cost
        actions = numbers.setdefault(_component(chip, cost.core, cost.component), {})
        actions[cost.action] = actions.get(cost.action, 0) + row.number
    return {
        "version": VERSION,
        "local": [
            {
                "name": name,
                "action_counts": [
                    {"name": action, "counts": number} for action, number in actions.items()
                ],
            }
            for name, actions in numbers.items()
        ],
    }


def _energy_table(chip: Chip, energy: Energy) -> dict[str, Any]:
    costs: dict[str, dict[str, ActionCost]] = {}
    for row in energy.rows:
        name = _component(chip, row.cost.core, row.cost.component)
        costs.setdefault(name, {})[row.cost.action] = row.cost
    return {
        "version": VERSION,
        "tables": [
            {
                "name": name,
                "actions": [
                    {"name": action, "arguments": None, "energy": cost.each_pj.value}
                    for action, cost in actions.items()
                ],
            }
            for name, actions in costs.items()
        ],
    }


def _area_table(chip: Chip, area: tuple[AreaRow, ...]) -> dict[str, Any]:
    return {
        "version": VERSION,
        "tables": [
            {"name": _component(chip, row.core, row.component), "area": row.area_um2.value}
            for row in area
        ],
    }
