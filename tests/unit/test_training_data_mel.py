"""The mel front end against published formulas, an independent scalar computation, and librosa."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from flipcore.training.data.mel import hertz_to_mel, mel_filters, mel_image, mel_to_hertz

RATES = [8000, 16000, 44100]


def tone(frequency: float, rate: int, seconds: float = 1.0) -> npt.NDArray[np.int16]:
    time = np.arange(round(seconds * rate)) / rate
    return (12000 * np.sin(2 * np.pi * frequency * time)).astype(np.int16)


def fft_size(rate: int) -> int:
    return 1 << math.ceil(math.log2(0.064 * rate))


def test_the_scale_is_the_published_one() -> None:
    # O'Shaughnessy's formula has 1000 mel at 1000 Hz; the others by hand from log10.
    assert hertz_to_mel(1000.0) == pytest.approx(1000, abs=0.02)
    assert hertz_to_mel([0, 700, 6300]).tolist() == pytest.approx(
        [0, 2595 * math.log10(2), 2595], abs=1e-9
    )
    frequencies = np.linspace(0, 20000, 50)
    assert np.allclose(mel_to_hertz(hertz_to_mel(frequencies)), frequencies)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_filters_are_triangles_even_on_the_mel_scale(rate: int) -> None:
    size = fft_size(rate)
    filters = mel_filters(rate, size)
    top = 2595 * math.log10(1 + rate / 2 / 700)
    corners = [700 * (10 ** (top * k / 33 / 2595) - 1) for k in range(34)]
    assert filters.shape == (32, size // 2 + 1)
    for m in range(32):
        low, middle, high = corners[m : m + 3]
        for k in range(size // 2 + 1):
            f = k * rate / size
            rise, fall = (f - low) / (middle - low), (high - f) / (high - middle)
            assert filters[m, k] == pytest.approx(max(0.0, min(rise, fall)), abs=1e-9)
        assert filters[m].sum() > 1.5  # no filter falls between the bins


@pytest.mark.slow
@pytest.mark.parametrize("rate", RATES)
def test_filters_are_librosas(rate: int) -> None:
    librosa = pytest.importorskip("librosa", reason="librosa comes with the extra `events`")
    size = fft_size(rate)
    wanted = librosa.filters.mel(sr=rate, n_fft=size, n_mels=32, fmin=0, htk=True, norm=None)
    assert np.allclose(mel_filters(rate, size), wanted, atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("frequency", [300, 1000, 3000])
def test_a_tone_lights_its_own_row(rate: int, frequency: float) -> None:
    image = mel_image(tone(frequency, rate), rate)
    assert (image.dtype, image.shape) == (np.uint8, (32, 32))
    top = 2595 * math.log10(1 + rate / 2 / 700)
    expected = round(2595 * math.log10(1 + frequency / 700) / top * 33) - 1
    assert set(image[:, 4:28].argmax(axis=0).tolist()) == {expected}
    assert image.max() == 255


def test_an_image_by_hand() -> None:
    rate, length = 8000, 512
    signal = np.random.default_rng(3).integers(-9000, 9000, 3001).astype(np.int16)
    image = mel_image(signal, rate)
    powers = np.zeros((32, 32))
    for k in range(32):
        centre = (2 * k + 1) * 3001 // 64
        frame = np.array(
            [
                float(signal[i]) if 0 <= i < 3001 else 0.0
                for i in range(centre - length // 2, centre + length // 2)
            ]
        )
        window = np.sin(np.pi * np.arange(length) / length) ** 2
        turn = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(length)) / length)
        powers[:, k] = mel_filters(rate, length) @ np.abs(turn @ (frame * window)) ** 2
    decibels = np.clip(10 * np.log10(powers / powers.max()) + 80, 0, 80)
    assert np.abs(image - decibels * 255 / 80).max() <= 0.5 + 1e-6


def test_loudness_and_duration_do_not_matter() -> None:
    signal = tone(500, 8000, 0.5) + tone(1500, 8000, 0.5) // 4
    image = mel_image(signal, 8000)
    assert np.array_equal(mel_image(2 * signal, 8000), image)
    longer = mel_image(tone(500, 8000, 1.0) + tone(1500, 8000, 1.0) // 4, 8000)
    differences = np.abs(image.astype(int) - longer)
    assert differences[:, 5:27].max() <= 1  # frames at the ends hold silence


def test_time_goes_from_left_to_right() -> None:
    signal = np.concatenate([tone(400, 8000, 0.5), tone(2500, 8000, 0.5)])
    rows = mel_image(signal, 8000).argmax(axis=0)
    assert rows[:14].max() < rows[18:].min()


def test_silence_is_dark_and_a_single_value_is_an_image() -> None:
    assert not mel_image(np.zeros(4000, np.int16), 8000).any()
    assert mel_image(np.array([-32768], np.int16), 8000).shape == (32, 32)
    half = np.concatenate([np.zeros(4000, np.int16), tone(400, 8000, 0.5)])
    image = mel_image(half, 8000)
    assert not image[:, :14].any()
    assert image[:, 18:].max() == 255
