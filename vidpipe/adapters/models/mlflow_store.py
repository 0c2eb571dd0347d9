"""MLflow tracking store (SQLite file or server): creation, client, and translation of its errors.

MLflow is imported on first use (it takes seconds), and its global tracking URI is set here and nowhere else.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from vidpipe.adapters.http_login import (
    MLFLOW_LOGIN,
    REFUSALS,
    mlflow_authorization,
    refusal,
    request,
    without_login,
)
from vidpipe.adapters.models.mlflow_schema import RESTORE, restore_command, schema_in_words
from vidpipe.errors import NotFound, RegistryBroken, RegistryUnreachable, StorageFailed, VidpipeError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

EXPERIMENT = "vidpipe"
_AWAY = ("Max retries", "Connection refused", "timed out", "database is locked", "Connection aborted")
_FULL = (
    "database or disk is full", "disk I/O error", "readonly database", "unable to open database file",
    "No space left", "File too large",
)  # fmt: skip
_DAMAGED = ("malformed", "file is not a database", "database corruption", "no such table", "no such column")
_FULL_ERRNO = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
_REVISION = re.compile(r"(?:found version|revision identified by) '?(\w+)")
_LIBRARIES = ("mlflow", "sqlalchemy", "alembic", "sqlite3", "requests", "urllib3")
"""Packages whose errors are never shown to people as they are."""
_REDIRECTING = (
    "MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_CONTEXT", "MLFLOW_ACTIVE_MODEL_ID", "_MLFLOW_ACTIVE_MODEL_ID",
)  # fmt: skip
"""Settings of the shell by which MLflow would read or write one half of a run elsewhere.
Source: https://mlflow.org/docs/latest/api_reference/python_api/mlflow.environment_variables.html"""
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",  # retried after 0, 2, 4 and 8 s
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


class MlflowStore:
    """An MLflow store and its temporary folders."""

    def __init__(self, home: Path, tracking_uri: str | None) -> None:
        self.home = home
        self._server_uri = tracking_uri
        self.tracking_uri = tracking_uri or f"sqlite:///{home / 'mlflow.db'}"
        self._shown_uri = without_login(self.tracking_uri)

    @property
    def is_unborn(self) -> bool:
        """Whether no store exists yet, because nothing has been trained here."""
        return not self._server_uri and not (self.home / "mlflow.db").exists()

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow client; the store and vidpipe's experiment are created on first use."""
        self._drop_redirections()
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        import mlflow

        for noisy in ("mlflow", "alembic"):  # after the import, which sets levels of its own
            logging.getLogger(noisy).setLevel(logging.WARNING)
        # It logs a traceback of errors that are raised as well.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        with self.errors(), self._first_use():
            mlflow.set_tracking_uri(self.tracking_uri)
            mlflow.set_registry_uri(self.tracking_uri)
            client = mlflow.MlflowClient(self.tracking_uri, self.tracking_uri)
            if client.get_experiment_by_name(EXPERIMENT) is None:
                location = None if self._server_uri else (self.home / "artifacts").as_uri()
                client.create_experiment(EXPERIMENT, artifact_location=location)
        return client

    def _drop_redirections(self) -> None:
        """Remove MLflow's own URI variables from the environment, where VIDPIPE_MLFLOW_URI alone decides."""
        for name in _REDIRECTING:
            value = os.environ.pop(name, None)
            by_mlflow = "mlflow" in sys.modules or name == "MLFLOW_EXPERIMENT_ID"  # it exports these
            if value not in (None, "", self.tracking_uri) and not by_mlflow:
                log.warning("%s is ignored: VIDPIPE_MLFLOW_URI alone says where models are.", name)

    @contextmanager
    def _first_use(self) -> Iterator[None]:
        """Open the store under a lock: two processes that create one SQLite store crash each other.

        Who may only read a store needs none.
        """
        if self._server_uri or (not self.is_unborn and not os.access(self.home, os.W_OK, effective_ids=True)):
            yield
            return
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "init.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._create_store()
            yield

    def _create_store(self) -> None:
        """Create the SQLite store under a temporary name: MLflow's migrations cannot resume after a kill."""
        file, temp = self.home / "mlflow.db", self.home / "mlflow.new"
        if file.exists():
            return
        for leftover in (temp, Path(f"{temp}-journal")):
            leftover.unlink(missing_ok=True)
        _write_new(temp, (self.home / "artifacts").as_uri())
        temp.rename(file)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Context manager that translates errors of MLflow and its database; others pass through.

        Raises:
            RegistryUnreachable: Nobody answers, or others hold the database.
            StorageFailed: The disk is full, read-only or forbidden.
            NotFound: The store names files that are not there: the home was moved.
            ConfigurationError: The server asks for a login, refuses it, or forbids what it was asked.
            RegistryBroken: The store is damaged, of another schema, or something in it was deleted.
        """
        try:
            yield
        except VidpipeError:
            raise
        except Exception as error:  # MLflow lets errors of SQLAlchemy and safetensors through as they are
            if (ours := self._translated(error)) is None:
                raise
            raise ours from error

    def _translated(self, error: Exception) -> VidpipeError | None:
        """Translate an error of MLflow or its database; None for other errors."""
        text = str(error)
        first = without_login((text.splitlines() or [""])[0])[:200]
        if self._server_uri and (status := _refused(error)):
            is_sent = request(self._server_uri, mlflow_authorization()).has_header("Authorization")
            return refusal("MLflow", self._server_uri, status, is_sent, MLFLOW_LOGIN)
        if isinstance(error, ConnectionError) or any(sign in text for sign in _AWAY):
            return RegistryUnreachable(
                f"MLflow at {self._shown_uri} does not answer: {first}",
                next_step="start the server, or correct VIDPIPE_MLFLOW_URI.",
            )
        if getattr(error, "errno", None) in _FULL_ERRNO or any(sign in text for sign in _FULL):
            return StorageFailed(
                f"cannot write MLflow's store {self._shown_uri}: {first}",
                next_step="check free space and permissions, then run the same command again.",
            )
        if "No such artifact" in text:
            return self._files_are_gone(first)
        if type(error).__module__.partition(".")[0] not in _LIBRARIES:
            return None
        message, next_step = self._what_is_broken(text, first)
        return RegistryBroken(message, next_step=next_step)

    def _files_are_gone(self, what: str) -> NotFound:
        return NotFound(
            f"a model's files are not where {self._shown_uri} says: {what}",
            next_step="put the home back where it was made, or restore the files there.",
        )

    def _what_is_broken(self, text: str, first: str) -> tuple[str, str]:
        where = self._shown_uri
        if "database schema" in text or "Can't locate revision" in text:
            found = _REVISION.search(text)
            return schema_in_words(where, found.group(1) if found else "")
        if "deleted experiment" in text or "is in the deleted state" in text:
            return (
                f"the experiment {EXPERIMENT!r} in MLflow at {where} was deleted.",
                restore_command(where, self._experiment_id()),
            )
        if any(sign in text for sign in _DAMAGED):
            return f"MLflow's database {where} is damaged: {first}", RESTORE
        return f"MLflow at {where} refuses: {first}", "vidpipe doctor looks at the registry."

    def _experiment_id(self) -> str:
        """Id of vidpipe's experiment, deleted or not; a placeholder where it cannot be read."""
        try:
            found = self.client.get_experiment_by_name(EXPERIMENT)
        except Exception:  # any error here must not hide the first one
            found = None
        return str(found.experiment_id) if found else "ID"

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Context manager of a temporary folder in the home, where `sweep` finds leftovers of a kill."""
        with self.errors():
            (self.home / "tmp").mkdir(parents=True, exist_ok=True)
            made = tempfile.TemporaryDirectory(dir=self.home / "tmp")
        with made as folder:
            yield Path(folder)

    @contextmanager
    def download(self, artifact_uri: str) -> Iterator[Path]:
        """Context manager that downloads an artifact URI into a temporary folder."""
        import mlflow

        with self.folder() as folder:
            try:
                with self.errors():
                    local = mlflow.artifacts.download_artifacts(
                        artifact_uri=artifact_uri, dst_path=str(folder)
                    )
            except FileNotFoundError as error:
                raise self._files_are_gone(str(error)) from error
            yield Path(local)

    def sweep(self, older_than_s: float) -> tuple[int, int]:
        """Delete temporary folders that were left behind: (files, bytes)."""
        files = size_bytes = 0
        for folder in (self.home / "tmp").glob("*"):
            if time.time() - folder.stat().st_mtime >= older_than_s:
                sizes = [f.stat().st_size for f in folder.rglob("*") if f.is_file()]
                files, size_bytes = files + len(sizes), size_bytes + sum(sizes)
                shutil.rmtree(folder)
        return files, size_bytes


def _write_new(file: Path, artifacts_uri: str) -> None:
    """Write an empty SQLite store, by MLflow's migrations."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(f"sqlite:///{file}", artifacts_uri)  # type: ignore[no-untyped-call]
    store.engine.dispose()


def _refused(error: Exception) -> int | None:
    """HTTP status 401 or 403 of an error of MLflow's client; None for other errors."""
    if type(error).__module__.partition(".")[0] not in _LIBRARIES:
        return None
    said = re.search(r"\b(40[13]) Client Error\b|failed with error code (40[13])\b", str(error))
    if said:  # transfers of files, and answers that are no JSON
        return int(said.group(1) or said.group(2))
    ask = getattr(error, "get_http_status_code", None)
    status = ask() if ask else None
    return status if status in REFUSALS else None
