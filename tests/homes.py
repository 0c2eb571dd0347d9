"""What several stories begin with: a small home with a champion, made once and copied."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from new_stores import made_once

from vidpipe.ports import Ports

TEXT_COLUMNS = """
    select made.name, has.name from sqlite_master as made join pragma_table_info(made.name) as has
    where made.type = 'table' and has.type like '%char%'
"""


def smallest_manifest(clips: Any, target: Path) -> Path:
    """One clip to train, one to validate and one to test, of each of two labels."""
    header, *rows = clips.manifest.read_text(encoding="utf-8").splitlines()
    kinds = [(label, split) for label in ("palace", "flower") for split in ("train", "val", "test")]
    chosen = [next(r for r in rows if f",{label}," in r and r.endswith(split)) for label, split in kinds]
    target.write_text("\n".join([header, *chosen]) + "\n", encoding="utf-8")
    return target


@pytest.fixture(scope="session")
def crowned_once(common_folder: Path, clips: Any, make_ports: Callable[[Path], Ports]) -> Path:
    """A home with six labelled clips whose version 1, of one epoch and seed 0, is champion by force."""
    from vidpipe.learning.training import TrainingConfig
    from vidpipe.steps.extract import extract
    from vidpipe.steps.ingest import ingest
    from vidpipe.steps.promote import promote
    from vidpipe.steps.train import train

    home = common_folder / "crowned" / "home"
    home.parent.mkdir(exist_ok=True)
    with made_once(home) as is_new:
        if is_new:
            ports = make_ports(home)
            manifest = smallest_manifest(clips, home.parent / "six.csv")
            ingest(ports, "clips", clips.labelled, manifest=manifest)
            extract(ports)
            train(ports, "clips", split_column="split", config=TrainingConfig(seed=0, epochs=1))
            promote(ports, force=True, reason="a test")
    return home


@pytest.fixture(scope="session")
def crowned_home(crowned_once: Path) -> Callable[[Path], Path]:
    """Make a copy of that home, with its files of models."""

    def copy(target: Path) -> Path:
        shutil.copytree(crowned_once, target)
        places = [(home / "mlflow" / "artifacts").as_uri() for home in (crowned_once, target)]
        with closing(sqlite3.connect(target / "mlflow" / "mlflow.db")) as store:
            for table, column in store.execute(TEXT_COLUMNS).fetchall():
                store.execute(f'update "{table}" set "{column}" = replace("{column}", ?, ?)', places)
            store.commit()
        return target

    return copy
