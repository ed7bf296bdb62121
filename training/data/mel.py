"""Mel spectrograms of recorded words, as images that a network takes like any other."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

NUM_MELS = 32
NUM_FRAMES = 32
FRAME_SECONDS = 0.064
DYNAMIC_RANGE_DB = 80.0

Float64s = npt.NDArray[np.float64]
UInt8s = npt.NDArray[np.uint8]


def mel_image(signal: npt.NDArray[np.int16], sample_rate: int) -> UInt8s:
    """Turn one recording into a mel spectrogram of a fixed size, whatever its length and loudness.

    32 frames of 64 ms, their centres spread evenly over the recording, silence beyond its ends: a
    word of one second is analysed every 31 ms, a shorter one more densely. Each frame goes through
    a Hann window, the squared magnitude of its Fourier transform and the mel filters; decibels from
    80 below the recording's maximum up to it become 0 ... 255, rounded half up.

    Args:
        signal: int16 [n], n > 0.
        sample_rate: in Hz.

    Returns:
        uint8 [32, 32]: row m is mel filter m, the lowest first; column k is frame k. All 0 for a
        recording of nothing but zeros.
    """
    frames = _frames(signal, round(FRAME_SECONDS * sample_rate))
    length = frames.shape[1]
    fft_size = 1 << (length - 1).bit_length()
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)
    power = np.abs(np.fft.rfft(frames * hann, fft_size)) ** 2
    mels = mel_filters(sample_rate, fft_size) @ power.T
    loudest = mels.max()
    if not loudest:
        return np.zeros((NUM_MELS, NUM_FRAMES), np.uint8)
    floor = loudest * 10.0 ** (-DYNAMIC_RANGE_DB / 10.0)
    share = np.log10(np.maximum(mels, floor) / floor) / (DYNAMIC_RANGE_DB / 10.0)
    image: UInt8s = np.floor(share * 255.0 + 0.5).astype(np.uint8)
    return image


@lru_cache(maxsize=4)
def mel_filters(sample_rate: int, fft_size: int) -> Float64s:
    """Triangular filters whose corners lie evenly on the mel scale from 0 to half the sample rate.

    Filter m rises from corner m to corner m + 1, where it is 1, and falls to corner m + 2.

    Returns:
        float64 [32, fft_size // 2 + 1], read only.
    """
    corners = mel_to_hertz(np.linspace(0.0, hertz_to_mel(sample_rate / 2), NUM_MELS + 2))
    bins = np.arange(fft_size // 2 + 1) * sample_rate / fft_size
    widths = np.diff(corners)[:, None]
    rising = (bins - corners[:-2, None]) / widths[:-1]
    falling = (corners[2:, None] - bins) / widths[1:]
    filters = np.maximum(0.0, np.minimum(rising, falling))
    filters.flags.writeable = False
    return filters


def hertz_to_mel(frequency_hz: npt.ArrayLike) -> Float64s:
    """Pitch on the mel scale, 2595 log10(1 + f / 700).

    O'Shaughnessy, Speech Communication, 1987; the HTK Book, eq. 5.13.
    """
    return np.asarray(2595.0 * np.log10(1.0 + np.asarray(frequency_hz, np.float64) / 700.0))


def mel_to_hertz(mel: npt.ArrayLike) -> Float64s:
    """Inverse of `hertz_to_mel`."""
    return np.asarray(700.0 * (10.0 ** (np.asarray(mel, np.float64) / 2595.0) - 1.0))


def _frames(signal: npt.NDArray[np.int16], length: int) -> Float64s:
    """Cut out the frames, float64 [32, length]."""
    centres = (2 * np.arange(NUM_FRAMES) + 1) * len(signal) // (2 * NUM_FRAMES)
    padded = np.pad(signal.astype(np.float64), length)
    starts = centres + length - length // 2
    frames: Float64s = padded[starts[:, None] + np.arange(length)]
    return frames
