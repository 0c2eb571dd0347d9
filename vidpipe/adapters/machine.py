"""Health checks of this machine for `vidpipe doctor`: disk, PyTorch, packages, services.

Nothing here changes anything, and nothing waits for long.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
from packaging.requirements import Requirement

from vidpipe.adapters.http_login import (
    MLFLOW_LOGIN,
    PREFECT_LOGIN,
    REFUSALS,
    mlflow_authorization,
    prefect_server,
    refusal,
    request,
    without_login,
)
from vidpipe.adapters.models import model_faults
from vidpipe.adapters.models.mlflow_schema import RESTORE
from vidpipe.adapters.models.mlflow_store import EXPERIMENT
from vidpipe.errors import ConfigurationError
from vidpipe.records.machine import (
    DiskFacts,
    ModelFault,
    NetworkFacts,
    ServiceFacts,
    StagingFacts,
    Unfinished,
)
from vidpipe.uris import is_uri

SERVICE_WAIT_S = 2.0
NETWORK_WAIT_S = 20.0
_MOUNTS = Path("/proc/self/mounts")


def disk(home: Path) -> DiskFacts:
    """Free space and file system of the home's disk, without creating the home."""
    there = _nearest(home)
    mount = next(folder for folder in (there.resolve(), *there.resolve().parents) if folder.is_mount())
    return DiskFacts(
        home, home.is_dir(), os.access(there, os.W_OK | os.X_OK), str(mount), _file_system(mount),
        shutil.disk_usage(there).free,
    )  # fmt: skip


def staging(folder: Path, limit_bytes: int) -> StagingFacts:
    """Size of the staging folder, and free space of its disk."""
    held = sum(file.stat().st_size for file in folder.iterdir()) if folder.exists() else 0
    return StagingFacts(limit_bytes, held, shutil.disk_usage(_nearest(folder)).free)


def reach(reach_bucket: Callable[[str], None], source: str) -> None:
    """Check that a source (folder or bucket) can be reached.

    Raises:
        ConfigurationError: It is not.
        StorageUnreachable: The bucket does not answer.
    """
    if is_uri(source):
        reach_bucket(source)
    elif not Path(source).is_dir():
        raise ConfigurationError(f"there is no folder {source}.", next_step="check that it is mounted.")


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(there for there in (folder, *folder.parents) if there.exists())


def _file_system(mount: Path) -> str:
    """File system type, such as ext4 or nfs4; unknown where the kernel does not say."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    types = {fields[1]: fields[2] for line in lines if len(fields := line.split()) > 2}
    return types.get(str(mount), "unknown")


def network(dtype: str, backbone: str, engine: str) -> NetworkFacts:
    """Check PyTorch and the backbone in a subprocess, since a build that this CPU cannot run crashes.

    Raises:
        ConfigurationError: It does not load.
    """
    command = [sys.executable, "-m", "vidpipe.adapters.machine", dtype, backbone, engine]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=NETWORK_WAIT_S, check=False)
    if ended.returncode != 0:
        last = (ended.stderr.strip().splitlines() or [f"it ended with code {ended.returncode}"])[-1]
        raise ConfigurationError(
            f"PyTorch does not load: {last}",
            next_step="install the package again: pip install --force-reinstall torch.",
        )
    return NetworkFacts(**json.loads(ended.stdout))


def _network_here(dtype: Any, backbone: str, engine: Any) -> NetworkFacts:
    import torch

    from vidpipe import cores
    from vidpipe.vision.fused_cnn import can_fuse
    from vidpipe.vision.lite import best_dtype

    gpu = torch.cuda.is_available()
    return NetworkFacts(
        torch=torch.__version__,
        device=torch.cuda.get_device_name() if gpu else f"cpu-{torch.backends.cpu.get_cpu_capability()}",
        dtype=best_dtype(gpu=gpu) if dtype == "auto" else dtype,
        fused=not gpu and can_fuse(),
        threads=cores.count(),
        **_engine(engine, dtype, backbone),
        **_weights(backbone),
    )


def _engine(engine: Any, dtype: Any, backbone: str) -> dict[str, Any]:
    """Engine of the backbone; what is wrong with the setting's becomes its name."""
    from vidpipe.vision.backbone_table import LITE
    from vidpipe.vision.engines import chosen_engine
    from vidpipe.vision.openvino_network import library

    if backbone not in LITE:
        return {"engine": "torch" if "onnx" not in backbone else "onnxruntime"}
    try:
        chosen = chosen_engine(engine, dtype)
        return {"engine": f"openvino {library().__version__}" if chosen == "openvino" else chosen}
    except ConfigurationError as error:
        return {"engine": error.message, "engine_repair": error.next_step}


def _weights(backbone: str) -> dict[str, Any]:
    """Fields of `NetworkFacts` about the backbone that the setting names."""
    from vidpipe.vision.backbone_choice import named_file, timm_name
    from vidpipe.vision.backbone_files import read_backbone
    from vidpipe.vision.backbone_table import built_in

    facts = {"backbone": backbone, "weights_sha256": None, "expected_sha256": ""}
    try:
        if file := named_file(backbone):
            found = read_backbone(file, timm_name(backbone)).sha256
            return facts | {"weights_sha256": found, "expected_sha256": found}
        of = built_in(backbone)
    except ConfigurationError as error:
        return facts | {"problem": error.message, "repair": error.next_step}
    installed = of.weights_file()
    got = hashlib.sha256(installed.read_bytes()).hexdigest() if installed else None
    repair = of.reinstall if installed else of.install
    return facts | {"weights_sha256": got, "expected_sha256": of.weights_sha256, "repair": repair}


def mlflow(home: Path, uri: str | None) -> ServiceFacts:
    """Check MLflow's tracking server or SQLite store, without importing MLflow, which takes seconds."""
    file = model_faults.database(home, uri)
    if file:
        return model_faults.store(file)
    behind = f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={EXPERIMENT}"
    return _service("MLflow", str(uri), behind, mlflow_authorization(), MLFLOW_LOGIN)


def models(home: Path, uri: str | None, model: str, found: Unfinished) -> list[ModelFault]:
    """Faults of the serving model versions; none where the store itself is broken."""
    champion = found.champions.get(model)
    kept = home.parent / "models" / quote(model, safe="")
    there = {facts.parent.name for facts in kept.glob("*/version.json")}
    copies = {int(name.partition("-")[0]) for name in there if not name.startswith(".")}
    if mlflow(home, uri).problem:
        return []
    on = model_faults.shelf(home, uri, model)
    if on is None:
        lost = champion is not None or found.serving
        return [ModelFault(f"{home} has no store, and version {champion} serves", RESTORE)] if lost else []
    return list(model_faults.faults(on, champion, found.serving, copies, found.digests))


def prefect(home: Path) -> ServiceFacts:
    """Check the Prefect server of the variables or of a profile; without one each flow starts its own."""
    url, authorization = prefect_server(home)
    if not url:
        return ServiceFacts(str(home), None, "embedded: each flow starts a server of its own")
    return _service("Prefect", url, "/admin/version", authorization, PREFECT_LOGIN)


def need_prefect(url: str | None, authorization: str | None) -> None:
    """Check that Prefect's server answers, before a flow is started.

    Args:
        url: Of its API; None: a flow brings a server of its own.
        authorization: Header of the login; None without one.

    Raises:
        ConfigurationError: It does not answer, or refuses the login.
    """
    if not url:
        return
    found = _service("Prefect", url, "/admin/version", authorization, PREFECT_LOGIN)
    if found.problem and found.repair:
        raise ConfigurationError(found.problem, next_step=found.repair)
    if found.problem:
        raise ConfigurationError(
            f"Prefect's server at {found.where} does not answer: {found.problem}.",
            next_step="start it, or unset PREFECT_API_URL: a flow then brings a server of its own.",
        )


def snapshot(file: Path) -> ServiceFacts:
    """Check that the published warehouse opens."""
    if not file.exists():
        return ServiceFacts(str(file), None, "nothing has been published yet")
    try:
        duckdb.connect(str(file), read_only=True).close()
    except duckdb.Error as error:
        return ServiceFacts(str(file), str(error).splitlines()[0])
    return ServiceFacts(str(file), None)


def _service(
    server: str, uri: str, behind: str, authorization: str | None, names: tuple[str, ...]
) -> ServiceFacts:
    """Check a server's health, then ask for a path behind its login, which health is not."""
    where = without_login(uri)
    if not uri.startswith(("http://", "https://")):
        return ServiceFacts(where, None, "no HTTP address: not asked")
    is_healthy = False
    try:
        for path in ("/health", behind):
            asked = request(uri.rstrip("/") + path, authorization)
            urllib.request.urlopen(asked, timeout=SERVICE_WAIT_S).close()  # noqa: S310  (as configured)
            is_healthy = True
    except urllib.error.HTTPError as error:
        if error.code in REFUSALS:
            refused = refusal(server, uri, error.code, asked.has_header("Authorization"), names)
            return ServiceFacts(where, refused.message, repair=refused.next_step)
        if not is_healthy or error.code >= 500:
            return ServiceFacts(where, str(error))
    except (OSError, ValueError) as error:
        return ServiceFacts(where, str(error))
    return ServiceFacts(where, None)


def version_conflicts(requirements: Iterable[str] | None = None) -> list[str]:
    """Installed packages out of the range that vidpipe's own metadata gives, as sentences."""
    wanted = metadata.requires("vidpipe") or [] if requirements is None else requirements
    return list(_version_conflicts(Requirement(text) for text in wanted))


def _version_conflicts(requirements: Iterable[Requirement]) -> Iterator[str]:
    for needed in requirements:
        if needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(needed.name)
        except metadata.PackageNotFoundError:
            yield f"{needed.name} is not installed, {needed.specifier or 'any version'} is needed"
            continue
        if not needed.specifier.contains(found, prereleases=True):
            yield f"{needed.name} is {found}, {needed.specifier} is needed"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(_network_here(*sys.argv[1:4]))))
