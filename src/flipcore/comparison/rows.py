"""What a comparison is made of: one row per way to train, with the figures of all its seeds; and the file that holds them."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from flipcore.chip.parse import first_error
from flipcore.errors import InputError

COMPARISON_FILE = "compare.json"
FORMAT = 1  # of that file

Where = Literal["software", "chip"]


@dataclass(frozen=True, kw_only=True)
class Band:
    """A figure of the cost model with its bounds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """How far learning was after so many samples.

    Attributes:
        samples_seen: training samples learnt so far, each epoch counting its own.
        accuracy_mean, accuracy_std: on the test samples, over the seeds; shares of 1.
        flip_ratio: share of binary weights whose sign was another at the point before, mean over the seeds (AGMM's pi_e).
    """

    samples_seen: int
    accuracy_mean: float
    accuracy_std: float
    flip_ratio: float


@dataclass(frozen=True, kw_only=True)
class ChipFigures:
    """What only a chip has; cycles, latency and energy are means of a sample at the chip's clock.

    Attributes:
        chip: the chip description, a document of `flipcore.chip`.
        energy_pj: training sample and inference, in `technology`, lines to other chips included.
    """

    chip: dict[str, Any]
    clock_mhz: float
    training_cycles: float
    inference_cycles: float
    training_latency_us: float
    inference_latency_us: float
    technology: str
    training_energy_pj: Band
    inference_energy_pj: Band
    area_um2: Band


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way to train, all its seeds together.

    Attributes:
        name: unique in a comparison, letters, digits and hyphens; its runs lie in `runs/<name>-seed<k>`.
        label: for people, such as "BSO, 8-bit momentum, packed".
        algorithm: of `training.algorithms`; on the chip the flip rule of its cores.
        gate: whether AGMM's gate stood in front of the layers.
        momentum_bits: of the momentum; None where there is none or it is a float.
        missing: why there are no figures; every figure is then None or empty.
        accuracies: by seed.
        accuracy_on_chip_mean: of the software's final signs in the integers of the simulated chip.
        curve: one point per epoch.
        samples_seen: training samples that each seed learnt, epochs times samples.
        training_state_bits_by_part: what training keeps from step to step; on the chip all its stores.
        training_peak_bytes: most bytes of live tensors while a batch was learnt, measured; on the chip its stores, which is all it has.
        peak_bytes_by_steps: the same for other numbers of time steps; on the chip from the description.
        seconds_per_sample: of this computer, for the chip those of its simulation.
        flips_per_sample: signs changed by a training sample, mean of the run; None where only ratios are known.
    """

    name: str
    label: str
    where: Where
    algorithm: str
    gate: bool = False
    momentum_bits: int | None = None
    missing: str | None = None
    seeds: tuple[int, ...] = ()
    accuracies: tuple[float, ...] = ()
    accuracy_mean: float | None = None
    accuracy_std: float | None = None
    accuracy_on_chip_mean: float | None = None
    curve: tuple[CurvePoint, ...] = ()
    epochs: int | None = None
    batch_size: int | None = None
    samples_seen: int | None = None
    training_state_bits: int | None = None
    training_state_bits_by_part: dict[str, int] | None = None
    training_peak_bytes: int | None = None
    peak_bytes_by_steps: dict[int, Annotated[int, Field(ge=1)]] | None = None
    seconds_per_sample: float | None = None
    flips_per_sample: float | None = None
    chip: ChipFigures | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Rows that belong together: same data, same split, same network.

    Attributes:
        name: of the chip whose network it is; `network` its sizes, inputs first.
        training_samples: of the split that every row learns from.
        test_split: "test", or "validation" where training samples were held out in its place.
        headline_row: name of the chip row that the pictures of spikes, flips, energy and floor plan show; empty if there is none.
    """

    format: int = FORMAT
    name: str
    dataset: str
    network: tuple[int, ...]
    steps: int
    training_samples: int
    test_split: str
    test_samples: int
    headline_row: str
    rows: tuple[Row, ...]
    versions: dict[str, str]

    def row(self, name: str) -> Row:
        """The row of this name.

        Raises:
            KeyError: there is none.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)


_COMPARISON: TypeAdapter[Comparison] = TypeAdapter(Comparison)
_FIELD_NAMES = frozenset(
    field.name
    for part in (Band, CurvePoint, ChipFigures, Row, Comparison)
    for field in fields(part)
)


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain data, every field written out."""
    return asdict(comparison)


def read_comparison(folder: Path) -> Comparison:
    """Read the comparison of a folder.

    Raises:
        InputError: there is none, or the file is damaged or of another format.
    """
    path = folder / COMPARISON_FILE
    try:
        return _COMPARISON.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"{folder}: no {COMPARISON_FILE}: not the folder of a comparison"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        is_json = error.errors()[0]["type"] != "json_invalid"
        reason = first_error(error, _FIELD_NAMES) if is_json else "not JSON"
        raise InputError(f"{path}: damaged or not a comparison: {reason}") from None
