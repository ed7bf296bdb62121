"""What a run's counts say is wrong with a chip, in words: silent or saturated layers, thresholds that nothing reaches."""

from flipcore.chip import Chip
from flipcore.events import EventCounts

BUSY = 0.9  # share of neurons that spike in a step
CLIPPED_POTENTIALS = 0.01  # share of potential updates
CLIPPED_MOMENTUM = 0.1  # share of momentum updates
ENOUGH_UPDATES = 1000  # momentum updates after which a flip is expected


def diagnose(chip: Chip, train: EventCounts, inference: EventCounts) -> list[str]:
    """Say what users want to be warned of, one sentence each with layer and figure."""
    counts = inference if inference.samples else train
    warnings = []
    if counts.samples and int(counts.per_core("events")[0]) == 0:
        warnings.append("the input never spikes: are all samples dark?")
    for c, core in enumerate(chip.layers[:-1]):
        chances = core.neurons * chip.steps * counts.samples
        if not chances:
            continue
        name = f"layer {c} ({core.neurons} neurons)"
        spikes = int(counts.per_core("spikes")[c])
        if spikes == 0:
            warnings.append(
                f"{name} never spikes in {counts.samples} samples: nothing reaches its threshold of {core.threshold}"
            )
        elif spikes > BUSY * chances:
            warnings.append(
                f"{name} spikes in {spikes / chances:.0%} of all steps: its threshold of {core.threshold} holds nothing back"
            )
        clipped = int(counts.per_core("potential_saturations")[c])
        if clipped > CLIPPED_POTENTIALS * chances:
            warnings.append(
                f"{name}: {clipped / chances:.1%} of its potentials saturate at {core.potential_bits} bits"
            )
    for c in range(len(chip.layers)):
        warnings.extend(_diagnose_learning(chip, c, train))
    return warnings


def _diagnose_learning(chip: Chip, c: int, train: EventCounts) -> list[str]:
    core = chip.layers[c]
    name = f"layer {c} ({core.neurons} neurons)"
    updates = int(train.per_core("momentum_updates")[c])
    clipped = int(train.per_core("momentum_saturations")[c])
    warnings = []
    if train.samples and c < len(chip.layers) - 1:
        reached = int(train.per_core("live_steps")[c])
        if reached == 0 and int(train.per_core("live_steps")[c + 1]) > 0:
            warnings.append(
                f"{name}: no error reaches it from above: its window of {core.window} around the threshold is never hit"
            )
    if updates > CLIPPED_MOMENTUM**-1 and clipped > CLIPPED_MOMENTUM * updates:
        warnings.append(
            f"{name}: {clipped / updates:.0%} of its momentum updates saturate at {core.momentum_bits} bits"
        )
    if updates >= ENOUGH_UPDATES and int(train.per_core("flips")[c]) == 0:
        rule = (
            "its adaptive flip threshold"
            if core.rule == "tbso"
            else f"its flip threshold of {core.flip_threshold_value}"
        )
        warnings.append(
            f"{name}: not one flip in {updates} momentum updates: nothing reaches {rule}"
        )
    return warnings
