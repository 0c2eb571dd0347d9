"""Copies of the backbone files that a home's features were made with, named by their hash.

    backbones/9f86d081….onnx     what features were computed with; never changed
    backbones/9f86d081….json     where it came from

A champion keeps its backbone whatever becomes of the file that it was copied from, or of the setting.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from vidpipe.adapters.atomic import LEFT_S, replacing, sweep_unfinished, sync
from vidpipe.errors import ConfigurationError, UnsafeModel
from vidpipe.records.features import FeatureSpec


@dataclass(frozen=True, slots=True)
class BackboneFolder:
    """The folder `backbones` of a home."""

    folder: Path

    def check(self, file: Path, sha256: str) -> None:
        """Check that a file is still the one that features of this home were made with, if any were.

        Raises:
            UnsafeModel: Another one was at this path.
        """
        known = [f.stem for f in sorted(self.folder.glob("*.json")) if _source(f) == str(file.absolute())]
        if known and sha256 not in known:
            copy = self._file(known[-1], file.suffix)
            raise UnsafeModel(
                f"the backbone {file} has changed: got SHA-256 {sha256[:16]}…, expected {known[-1][:16]}…, "
                "with which features of this home were made.",
                next_step=f"put it back (a copy is {copy}), or give the new one another name.",
            )

    def keep(self, file: Path, sha256: str) -> None:
        """Keep a copy of a file, before features are made with it.

        Raises:
            UnsafeModel: It changes at this moment.
        """
        copy = self._file(sha256, file.suffix)
        if copy.is_file() and copy.with_suffix(".json").is_file():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for unfinished in (copy, copy.with_suffix(".json")):
            sweep_unfinished(unfinished, LEFT_S)
        with replacing(copy) as temp:
            shutil.copyfile(file, temp)
            sync(temp)
            _check(temp, sha256, f"let it be written, then try again: {file}.")
        with replacing(copy.with_suffix(".json")) as temp:
            temp.write_text(json.dumps({"file": str(file.absolute())}), encoding="utf-8")
        sync(self.folder)

    def find(self, spec: FeatureSpec) -> Path:
        """The copy of a spec's backbone.

        Raises:
            ConfigurationError: There is none.
            UnsafeModel: It is damaged.
        """
        copy = next((f for f in self.files() if f.stem == spec.weights_sha256), None)
        if copy is None:
            raise ConfigurationError(
                f"feature set {spec.feature_set_id} needs a backbone {spec.backbone} that is missing in "
                f"{self.folder}; expected a file of SHA-256 {spec.weights_sha256[:16]}….",
                next_step="restore it from a backup of the home, or from where it was exported.",
            )
        _check(copy, spec.weights_sha256, "restore it from a backup of the home.")
        return copy

    def files(self) -> list[Path]:
        """The copies that are kept."""
        return sorted(f for f in self.folder.glob("*") if f.suffix not in (".json", ".tmp"))

    def _file(self, sha256: str, suffix: str) -> Path:
        return self.folder / f"{sha256}{suffix}"


def _source(record: Path) -> str | None:
    """Path that a copy came from; None where its record cannot be read."""
    try:
        return str(json.loads(record.read_text(encoding="utf-8"))["file"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _check(file: Path, sha256: str, next_step: str) -> None:
    with file.open("rb") as opened:
        got = hashlib.file_digest(opened, "sha256").hexdigest()
    if got != sha256:
        raise UnsafeModel(
            f"the backbone {file} has SHA-256 {got[:16]}…, expected {sha256[:16]}….", next_step=next_step
        )
