"""A folder that Hugging Face `datasets` loads, as a zip archive."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from fourfold.data.dataset import SPLITS, Dataset
from fourfold.data.exporting import archive, write_parquet

NAMES = {"train": "train", "dev": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class HuggingFace:
    """`data/train-00000-of-00001.parquet`, validation and test, and a README.md whose head says which file is which split."""

    licence: str = ""

    @property
    def ending(self) -> str:
        """Of the file's name."""
        return "zip"

    def __call__(self, dataset: Dataset, path: Path, /) -> dict[str, int]:
        files: dict[str, Path | bytes] = {}
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            for split in [dataset.split] if dataset.split else SPLITS:
                target = Path(folder) / f"{split}.parquet"
                tables = (table for f in dataset.of(split).fragments() if len(table := f.table()))
                if write_parquet(target, tables):
                    files[f"data/{NAMES[split]}-00000-of-00001.parquet"] = target
            archive(path, {"README.md": self._card(files), **files})
        return {}

    def _card(self, files: dict[str, Path | bytes]) -> bytes:
        listed = [{"split": name.partition("/")[2].partition("-")[0], "path": name} for name in files]
        head = {
            **({"license": self.licence} if self.licence else {}),
            "configs": [{"config_name": "default", "data_files": listed}],
        }
        return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n".encode()
