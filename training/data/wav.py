"""WAV files of one channel of 16 bits."""

import io
import struct
import wave
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from flipcore.errors import InputError
from flipcore.sim.data.store import told_in_one_line

LOWEST_RATE, HIGHEST_RATE = 4_000, 192_000  # Hz


class Recording(NamedTuple):
    """Sound: int16 [n], n > 0, and its sample rate in Hz."""

    signal: npt.NDArray[np.int16]
    sample_rate: int


def read_wav(content: bytes, where: str) -> Recording:
    """Read a WAV file.

    Raises:
        InputError: damaged, cut off, empty, not PCM, not mono, not 16 bits, or of an odd rate.
    """
    with told_in_one_line(where):
        try:
            with wave.open(io.BytesIO(content)) as file:
                form, data = file.getparams(), file.readframes(file.getnframes())
        except (wave.Error, RuntimeError, struct.error) as error:  # chunks beyond the file's end
            reason = str(error) or "a chunk of a wrong size"
            raise InputError(f"{where}: not a WAV file that can be read: {reason}") from error
    if form.nchannels != 1:
        raise InputError(f"{where}: {form.nchannels} channels: must be 1")
    if form.sampwidth != 2:
        raise InputError(f"{where}: {8 * form.sampwidth} bits a value: must be 16")
    if not LOWEST_RATE <= form.framerate <= HIGHEST_RATE:
        raise InputError(
            f"{where}: {form.framerate} Hz: must be {LOWEST_RATE} ... {HIGHEST_RATE} Hz"
        )
    if not form.nframes:
        raise InputError(f"{where}: holds no sound: its length is 0")
    if len(data) != 2 * form.nframes:
        raise InputError(
            f"{where}: truncated: {len(data)} bytes of sound: its header says {2 * form.nframes}"
        )
    return Recording(np.frombuffer(data, "<i2"), form.framerate)
