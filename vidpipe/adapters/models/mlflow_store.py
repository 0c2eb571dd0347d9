"""MLflow's store, a SQLite file in the home or a server: making it, reaching it, and what its errors mean.

MLflow is imported on first use (it takes seconds), and its global tracking URI is set here and nowhere else.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from vidpipe.errors import NotFound, RegistryUnreachable, StorageFailed, VidpipeError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "vidpipe"
_AWAY = ("Max retries", "Connection refused", "timed out", "database is locked", "Connection aborted")
_FULL = (
    "database or disk is full", "disk I/O error", "readonly database", "unable to open database file",
    "No space left", "File too large",
)  # fmt: skip
_FULL_ERRNO = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",  # after 0, 2, 4 and 8 s; who is away for longer gets another run
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


class MlflowStore:
    """One MLflow store, and the temporary folders of its home."""

    def __init__(self, home: Path, tracking_uri: str | None) -> None:
        self.home = home
        self._server_uri = tracking_uri
        self.tracking_uri = tracking_uri or f"sqlite:///{home / 'mlflow.db'}"

    @property
    def is_unborn(self) -> bool:
        """Nothing has ever been trained here: no reason to load MLflow and make its store."""
        return not self._server_uri and not (self.home / "mlflow.db").exists()

    @cached_property
    def client(self) -> MlflowClient:
        """The client, of a store that has our experiment; on first use the store is made."""
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        import mlflow

        for noisy in ("mlflow", "alembic"):  # after the import, which sets levels of its own
            logging.getLogger(noisy).setLevel(logging.WARNING)
        # It prints a traceback of what reaches us as an exception, and people as one line.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        with self.errors(), self._first_use():
            mlflow.set_tracking_uri(self.tracking_uri)
            client = mlflow.MlflowClient(self.tracking_uri)
            if client.get_experiment_by_name(EXPERIMENT) is None:
                location = None if self._server_uri else (self.home / "artifacts").as_uri()
                client.create_experiment(EXPERIMENT, artifact_location=location)
        return client

    @contextmanager
    def _first_use(self) -> Iterator[None]:
        """Two processes that create one SQLite store at once crash each other."""
        if self._server_uri:
            yield
            return
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "init.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._create_store()
            yield

    def _create_store(self) -> None:
        """Build the SQLite store under a temporary name: MLflow's migrations cannot go on after a kill."""
        file, temp = self.home / "mlflow.db", self.home / "mlflow.new"
        if file.exists():
            return
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        for leftover in (temp, Path(f"{temp}-journal")):
            leftover.unlink(missing_ok=True)
        uri, artifacts = f"sqlite:///{temp}", (self.home / "artifacts").as_uri()
        store = SqlAlchemyStore(uri, artifacts)  # type: ignore[no-untyped-call]
        store.engine.dispose()
        temp.rename(file)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """A server that does not answer is a reason to try again; a store that cannot be written, to stop.

        Raises:
            RegistryUnreachable: Nobody answers, or others hold the database.
            StorageFailed: The disk is full, read-only or forbidden.
            NotFound: The store names files that are not there: the home was moved.
        """
        try:
            yield
        except VidpipeError:
            raise
        except Exception as error:  # MLflow lets errors of SQLAlchemy and safetensors through as they are
            text = str(error)
            first = (text.splitlines() or [""])[0][:200]
            if isinstance(error, ConnectionError) or any(sign in text for sign in _AWAY):
                raise RegistryUnreachable(
                    f"MLflow at {self.tracking_uri} does not answer: {first}",
                    next_step="start the server, or correct VIDPIPE_MLFLOW_URI.",
                ) from error
            if getattr(error, "errno", None) in _FULL_ERRNO or any(sign in text for sign in _FULL):
                raise StorageFailed(
                    f"cannot write MLflow's store {self.tracking_uri}: {first}",
                    next_step="check free space and permissions, then run the same command again.",
                ) from error
            if "No such artifact" in text:
                raise NotFound(
                    f"a model's files are not where {self.tracking_uri} says: {first}",
                    next_step="put the home back where it was made, or restore the files there.",
                ) from error
            raise

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A temporary folder inside the home, where `sweep` finds what a kill leaves."""
        with self.errors():
            (self.home / "tmp").mkdir(parents=True, exist_ok=True)
            made = tempfile.TemporaryDirectory(dir=self.home / "tmp")
        with made as folder:
            yield Path(folder)

    @contextmanager
    def download(self, artifact_uri: str) -> Iterator[Path]:
        """The files that an artifact URI names; the folder is gone afterwards."""
        import mlflow

        with self.folder() as folder:
            yield Path(mlflow.artifacts.download_artifacts(artifact_uri=artifact_uri, dst_path=str(folder)))

    def sweep(self, older_than_s: float) -> tuple[int, int]:
        """Remove temporary folders that were left behind: (files, bytes)."""
        files = size_bytes = 0
        for folder in (self.home / "tmp").glob("*"):
            if time.time() - folder.stat().st_mtime >= older_than_s:
                sizes = [f.stat().st_size for f in folder.rglob("*") if f.is_file()]
                files, size_bytes = files + len(sizes), size_bytes + sum(sizes)
                shutil.rmtree(folder)
        return files, size_bytes
