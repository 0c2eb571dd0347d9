"""Ledger table of model versions, identified by digest, since MLflow counts from 1 in a new model or store.

Rows of the version that has a number stand under it; those of any other version of that number are set aside,
under its negated key, where no view looks. A version takes its number when it becomes champion.
"""

from __future__ import annotations

import logging

from vidpipe.adapters.database.connection import Database
from vidpipe.adapters.database.session import Session
from vidpipe.records.models import VersionId

log = logging.getLogger(__name__)


class Versions:
    """Table of model versions, by model, number and digest.

    All methods raise what `Database` says.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def recognise(self, version: VersionId) -> bool:
        """Whether the version owns its number here; a new one gets it, unless another has it."""
        with self._database.session() as session:
            return _find(session, version)[1]

    def digest_of(self, number: int) -> str | None:
        """Digest of the version that owns a number; None where that is not known."""
        with self._database.session() as session:
            rows = session.rows("version_current", model_version=number)
        return rows[0][2] if rows else None

    def last_model(self) -> str | None:
        """The registered model of the last decision about a champion."""
        with self._database.session() as session:
            rows = session.rows("decided_last")
        return str(rows[0][0]) if rows else None


def key_of(session: Session, version: VersionId) -> int:
    """Integer key of a version."""
    return _find(session, version)[0]


def standing(session: Session, version: VersionId) -> int:
    """The `model_version` of a version's rows: its number, or the negated key."""
    key, is_current = _find(session, version)
    return version.number if is_current else -key


def take_number(session: Session, key: int) -> None:
    """Give a version its number: rows of the previous owner are set aside, its own are restored."""
    number = int(session.rows("version_number", version_key=key)[0][0])
    holders = session.rows("version_current", model_version=number)
    if holders[0][0] != key:
        _swap(session, key, number, *holders[0][:2])
    session.run("serving_of_other_models", version_key=key)


def _swap(session: Session, key: int, number: int, holder: int, model: str) -> None:
    session.run("version_move", source=number, target=-holder)
    session.run("version_move", source=-key, target=number)
    session.run("version_take", version_key=key, model_version=number)
    log.warning(
        "the number %d belongs to another version now: what version %d of %s said before is set aside, and "
        "all is scored anew", number, number, model,
    )  # fmt: skip


def _find(session: Session, version: VersionId) -> tuple[int, bool]:
    named = {"model_name": version.model, "model_version": version.number, "digest": version.digest}
    rows = session.rows("version_find", **named)
    if not rows:
        session.run("version_put", **named, created_at=version.created_at)
        rows = session.rows("version_find", **named)
    return int(rows[0][0]), bool(rows[0][1])
