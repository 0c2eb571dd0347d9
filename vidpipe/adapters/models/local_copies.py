"""Local copies of serving model versions, used while the MLflow registry is unreachable or broken.

    <home>/models/MODEL/VERSION-DIGEST/     version.json and bundle/, the files that were registered

A copy is written under a temporary name and renamed, and read only if its hash is still the registered one.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Set
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

from vidpipe.adapters.atomic import sync
from vidpipe.adapters.models import bundle as bundles
from vidpipe.adapters.models.bundle import Bundle
from vidpipe.errors import NotFound, UnsafeModel
from vidpipe.records.features import FeatureSpec
from vidpipe.records.models import ModelVersion

log = logging.getLogger(__name__)

_FACTS = "version.json"


class LocalCopies:
    """Local copies of one registered model's versions."""

    def __init__(self, folder: Path, model: str) -> None:
        self.folder = folder / quote(model, safe="")
        self.model = model

    def put(self, version: ModelVersion, bundle: Path) -> None:
        """Copy a version whose files have been verified; an existing copy is kept.

        A home that cannot be written has no copy, and a warning says so: the version itself is good.
        """
        place = self._place(version)
        try:
            if not place.exists():
                self._write(version, bundle, place)
        except OSError as error:
            if not place.exists():  # else another worker was faster
                log.warning("no copy of version %s is kept: %s", version.version, error)

    def _write(self, version: ModelVersion, bundle: Path, place: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        temp = self.folder / f".{place.name}.{os.getpid()}.tmp"
        shutil.rmtree(temp, ignore_errors=True)
        try:
            shutil.copytree(bundle, temp / "bundle")
            facts = asdict(version) | {"spec": version.spec.to_json()}
            (temp / _FACTS).write_text(json.dumps(facts, indent=1), encoding="utf-8")
            for file in (*(temp / "bundle").iterdir(), temp / _FACTS):
                sync(file)
            temp.rename(place)
        finally:
            shutil.rmtree(temp, ignore_errors=True)

    def find(self, number: int, digest: str | None = None) -> ModelVersion:
        """Find the copy of a version; without a digest, the newest of that number.

        Raises:
            NotFound: There is none.
        """
        named = f"{number}-{digest[:16] if digest else '*'}/{_FACTS}"
        found = sorted(self.folder.glob(named), key=lambda file: file.stat().st_mtime)
        if not found:
            raise NotFound(
                f"the home has no copy of version {number} of {self.model}.",
                next_step="a night keeps one as soon as the registry can give the version again.",
            )
        return _version(found[-1])

    def load(self, version: ModelVersion) -> Bundle:
        """Load the bundle of a copy.

        Raises:
            UnsafeModel: Its files are not those that were registered.
        """
        bundle = bundles.load(self._place(version) / "bundle", version.digest)
        if (bundle.spec, bundle.labels) != (version.spec, version.labels):
            raise UnsafeModel(
                f"the copy in {self._place(version)} names other labels or features than its bundle.",
                next_step="remove that folder; the next night makes it anew.",
            )
        return bundle

    def drop_others(self, wanted: Set[int], older_than_s: float) -> tuple[int, int]:
        """Delete copies of versions that no longer serve, and unfinished ones: (files, bytes)."""
        files = size_bytes = 0
        for place in self.folder.glob("*") if self.folder.is_dir() else ():
            number = place.name.partition("-")[0]
            young = time.time() - place.stat().st_mtime < older_than_s
            if young or (number.isdecimal() and int(number) in wanted):
                continue
            sizes = [file.stat().st_size for file in place.rglob("*") if file.is_file()]
            files, size_bytes = files + len(sizes), size_bytes + sum(sizes)
            shutil.rmtree(place)
        return files, size_bytes

    def _place(self, version: ModelVersion) -> Path:
        return self.folder / f"{version.version}-{version.digest[:16]}"


def _version(file: Path) -> ModelVersion:
    """Read a version from its JSON file; raises UnsafeModel for a damaged one."""
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        facts |= {"spec": FeatureSpec.from_json(facts["spec"]), "labels": tuple(facts["labels"])}
        return ModelVersion(**facts | {"aliases": (), "is_copy": True})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnsafeModel(
            f"the copy in {file.parent} is damaged: {error}",
            next_step="remove that folder; the next night makes it anew.",
        ) from error
