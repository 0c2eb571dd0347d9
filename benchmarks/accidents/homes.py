"""What happens to a home between two nights: backups of different days, damage, moves, strangers' files."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from benchmarks.accidents.stage import Accident, Stage

PARTS_OF_A_BACKUP = {
    "the ledger": ("state",),
    "the parts": ("features",),
    "MLflow's store": ("mlflow",),
    "the ledger and the parts": ("state", "features"),
    "the ledger and MLflow's store": ("state", "mlflow"),
    "the parts and MLflow's store": ("features", "mlflow"),
    "the published warehouse": ("warehouse.duckdb",),
    "everything": ("state", "features", "mlflow", "warehouse.duckdb", "models", "reports"),
}


def accidents() -> Iterator[Accident]:
    """All of them."""
    for what, names in PARTS_OF_A_BACKUP.items():
        yield Accident(f"{what} restored from the day before", partial(_restored, names))
    for what, do in DAMAGE.items():
        same: Literal["all", "served"] = "served" if "of the registry" in what else "all"
        yield Accident(what, partial(_damaged, do), same=same)
    yield Accident("a home moved to another path", _moved)
    yield Accident("a home moved and back, with a night between", _moved_and_back)


def _restored(names: tuple[str, ...], on: Stage) -> None:
    """Of yesterday these, of today the rest."""
    on.night()
    for name in names:
        _remove(on.home / name)
        old = on.prepared / "home" / name
        (shutil.copytree if old.is_dir() else shutil.copy2)(old, on.home / name)
    on.night()


def _damaged(do: Callable[[Path], object], on: Stage) -> None:
    do(on.home)
    on.night()
    if not (on.home / "features").is_dir() or not any(on.home.glob("features/*/part-*")):
        on.verb("gc", "--lost-parts")


def _moved(on: Stage) -> None:
    elsewhere = on.root / "elsewhere"
    on.home.rename(elsewhere)
    on.home, back = elsewhere, on.home
    try:
        on.night()
    finally:
        on.home = back
        elsewhere.rename(back)


def _moved_and_back(on: Stage) -> None:
    _moved(on)
    on.night()
    _moved(on)


# -- damage -----------------------------------------------------------------------------------------


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _part(home: Path) -> Path:
    return min(home.glob("features/*/part-*.parquet"))


def _write(home: Path, name: str, content: bytes) -> None:
    file = home / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.write_bytes(content)


def _flip(file: Path) -> None:
    """One bit in the middle."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(content)


def _cut(file: Path) -> None:
    file.chmod(0o644)
    os.truncate(file, file.stat().st_size // 2)


def _each(do: Callable[[Path], None], files: Iterable[Path]) -> None:
    for file in list(files):
        do(file)


def _file_for_folder(folder: Path) -> None:
    _remove(folder)
    folder.touch()


def _model_files(home: Path) -> list[Path]:
    return sorted(home.glob("mlflow/artifacts/**/*.safetensors"))


def _lock_sqlite(home: Path) -> None:
    """A journal as a crashed writer leaves it."""
    with sqlite3.connect(home / "mlflow" / "mlflow.db") as store:
        store.execute("pragma journal_mode=wal")
    store.close()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "the published warehouse deleted": lambda home: _remove(home / "warehouse.duckdb"),
    "the published warehouse damaged": lambda home: _write(home, "warehouse.duckdb", b"no database at all"),
    "the published warehouse cut short": lambda home: _cut(home / "warehouse.duckdb"),
    "a stray write-ahead log beside the warehouse": lambda home: _write(home, "warehouse.duckdb.wal", b"x"),
    "all feature parts deleted, and given up": lambda home: _remove(home / "features"),
    "one feature part deleted": lambda home: _remove(_part(home)),
    "reports deleted": lambda home: _remove(home / "reports"),
    "a file where reports belong": lambda home: _file_for_folder(home / "reports"),
    "the models' local copies deleted": lambda home: _remove(home / "models"),
    "the models' local copies damaged": lambda home: _each(_flip, home.glob("models/**/*.safetensors")),
    "the lease's file deleted": lambda home: _remove(home / "state" / "lease"),
    "a lease of a process long gone": lambda home: _write(
        home, "state/lease", json.dumps({"verb": "nightly", "pid": 999_999}).encode()
    ),
    "a stranger's files in the home": lambda home: _write(home, "features/notes.txt", b"mine"),
    "a part that nobody names": lambda home: shutil.copy2(
        _part(home), _part(home).with_name("part-x.parquet")
    ),
    "leftovers of a crash in staging": lambda home: _write(home, "staging/half.tmp", b"x" * 4096),
    "a temporary part left over": lambda home: _write(
        home, f"features/{_part(home).parent.name}/a.tmp", b"x"
    ),
    "model files of the registry deleted": lambda home: _remove(home / "mlflow" / "artifacts"),
    "model files of the registry damaged": lambda home: _each(_flip, _model_files(home)),
    "model files of the registry cut short": lambda home: _each(_cut, _model_files(home)),
    "MLflow's store in another journal mode": _lock_sqlite,
}
