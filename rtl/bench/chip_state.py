"""The state that a chip keeps between samples, as a file between the one who starts a bench and the bench."""

import io
from dataclasses import fields

import numpy as np

from flipcore.sim.layout import ChipState

STATE_FILE = "state.npz"  # in the bench's working directory


def pack_state(state: ChipState) -> bytes:
    """Contents of a state file."""
    buffer = io.BytesIO()
    np.savez(
        buffer, allow_pickle=False, **{one.name: getattr(state, one.name) for one in fields(state)}
    )
    return buffer.getvalue()


def unpack_state(content: bytes) -> ChipState:
    """Read a state file."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    counter = int(arrays.pop("sample_counter"))
    return ChipState(**arrays, sample_counter=counter)
