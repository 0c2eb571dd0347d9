"""Alembic schema revision of MLflow's database, and the commands that repair or upgrade a store.

Loading MLflow takes seconds, which `doctor` does not have. So the revisions that the installed release knows
are read from its Alembic scripts.
Source: https://alembic.sqlalchemy.org/en/latest/tutorial.html#create-a-migration-script
"""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

RESTORE = "restore the folder mlflow of the home from a backup; docs/operator.md says how."
_REVISION = re.compile(r"^revision\s*(?::\s*str)?\s*=\s*[\"'](\w+)[\"']", re.MULTILINE)
_BEFORE = re.compile(r"^down_revision\s*(?::[^=]+)?=\s*[\"'](\w+)[\"']", re.MULTILINE)


@cache
def revisions() -> tuple[frozenset[str], frozenset[str]]:
    """Schema revisions of the installed MLflow: (all, latest)."""
    package = find_spec("mlflow")
    assert package is not None and package.origin is not None
    known: set[str] = set()
    followed: set[str] = set()
    for script in (Path(package.origin).parent / "store" / "db_migrations" / "versions").glob("*.py"):
        text = script.read_text(encoding="utf-8")
        known.update(_REVISION.findall(text))
        followed.update(_BEFORE.findall(text))
    return frozenset(known), frozenset(known - followed)


def schema_in_words(uri: str, revision: str) -> tuple[str, str]:
    """Error text for a database of this revision, with the command that repairs it."""
    if revision in revisions()[0]:
        return (
            f"MLflow's database {uri} is of an older release (schema {revision}).",
            f"back it up, then: mlflow db upgrade {uri}",
        )
    return (
        f"MLflow's database {uri} is of a newer release (schema {revision or 'unknown'}).",
        "install the MLflow that wrote it, or restore the backup from before its upgrade.",
    )


def restore_command(uri: str, experiment_id: str) -> str:
    """Command that restores a deleted experiment."""
    return f"MLFLOW_TRACKING_URI={uri} mlflow experiments restore --experiment-id {experiment_id}"
