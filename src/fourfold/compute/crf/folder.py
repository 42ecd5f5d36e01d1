"""A CRF version's folder: `word.crfsuite` and `character.crfsuite`, those that it has, and what reading them needs as JSON."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from fourfold.compute.calibrate import Calibration
from fourfold.compute.crf.features import Lexicon
from fourfold.compute.crf.model import CrfModel, UnitModel
from fourfold.compute.crf.template import Unit, parse_template
from fourfold.compute.crf.weights import read_weights
from fourfold.core.errors import Corrupt


class UnitFiles(Struct):
    """What `template.json` says of one unit."""

    template: list[str]
    lexicon: Lexicon


class TemplateFile(Struct):
    """`template.json`: for each unit its template and lexicon; `single_han`: Chinese words are single characters."""

    units: dict[Unit, UnitFiles]
    single_han: bool = False


class Calibrated(Struct):
    """A line of `calibration.json`: the map, when and on what it was fitted, and the calibration errors before and after."""

    calibration: Calibration
    fitted_at: str  # ISO 8601, UTC
    data: str  # which rows
    rows: int  # words or spans
    folds: int
    ece_before: float
    ece_after: float  # on folds that the map was not fitted on
    ece_by_method: dict[str, float]


def model_path(folder: Path, unit: Unit) -> Path:
    """The crfsuite file of a unit."""
    return folder / f"{unit}.crfsuite"


def write_json(path: Path, value: object) -> None:
    """Indented JSON in UTF-8, the same bytes for the same value; sets become sorted lists."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=1))


def open_model(folder: Path) -> CrfModel:
    """The model of a version's folder. Raises Corrupt if a file is missing or is not what it should be."""
    try:
        files = msgspec.json.decode((folder / "template.json").read_bytes(), type=TemplateFile)
        lines = msgspec.json.decode((folder / "calibration.json").read_bytes(), type=dict[str, Calibrated])
        units: dict[Unit, UnitModel] = {unit: _open_unit(folder, unit, each) for unit, each in files.units.items()}
    except (FileNotFoundError, msgspec.MsgspecError) as error:
        raise Corrupt(f"The CRF version in {folder.name} is not whole: {error}.", hint="Restore or train it again.") from error
    columns = units["word"].columns if "word" in units else ()
    return CrfModel(units, columns, {key: line.calibration for key, line in lines.items()}, files.single_han)


def _open_unit(folder: Path, unit: Unit, files: UnitFiles) -> UnitModel:
    features = parse_template(files.template, unit, files.lexicon.lists, f"template.json.{unit}")
    return UnitModel(unit, features, files.lexicon, read_weights(model_path(folder, unit)))
