"""File names of a bundle and their common SHA-256, without importing PyTorch."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vidpipe.records.videos import canonical_json

FILES = ("model.json", "lstm.json", "lstm.safetensors", "linear.safetensors")
FILES_OF_FORMAT_1 = (
    "model.json",
    "lstm.json",
    "lstm.safetensors",
    "mean_linear.json",
    "mean_linear.safetensors",
)


def files_of(folder: Path) -> tuple[str, ...]:
    """Names of the files of a bundle, by its format."""
    return FILES_OF_FORMAT_1 if (folder / "mean_linear.json").is_file() else FILES


def digest(folder: Path) -> str:
    """SHA-256 over the names and contents of the bundle's files."""
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files_of(folder)}
    return hashlib.sha256(canonical_json(hashes).encode()).hexdigest()
