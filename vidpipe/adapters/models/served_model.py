"""MLflow pyfunc model that scores video files or features (models-from-code).

MLflow stores this file with the package, and runs it to serve the model.

Input: a table with one video a row and a column `path`, a file on this machine's disk, or a column
`features`, a list of T lists of D numbers. Output: `label`, `score`, `top` (the labels with their scores from
best to worst), and `error`, which says why a video has none and is null otherwise. Where a video may have
several labels there is `labels`, too: a JSON list of those over their thresholds.

A path is decoded and scored by the code of `vidpipe extract` and `vidpipe classify` with default settings, so
its scores have the same bits within one numerics class (device, arithmetic, torch and ffmpeg).
"""

import json
import os
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import mlflow
import numpy as np
import pandas as pd

from vidpipe.adapters.media.binaries import find_tools
from vidpipe.adapters.media.decoding import Decoding
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.adapters.models import bundle
from vidpipe.errors import ConfigurationError
from vidpipe.label_set_metrics import over_thresholds
from vidpipe.learning.inference import predict
from vidpipe.records.features import FeatureSpec, VideoFeatures
from vidpipe.records.videos import Floats, PendingVideo
from vidpipe.vision.backbones import Backbone, load_backbone
from vidpipe.vision.extraction import extract

COLUMNS = ("label", "score", "top", "error")
Found: TypeAlias = "Floats | str"
"""The features of a video, (T, D), or why there are none."""


class ServedClassifier(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined, misc]
    """Pyfunc that scores video files, or per-frame features, with the registered classifier."""

    def load_context(self, context: Any) -> None:
        """Load the registered bundle after verifying its hash.

        Raises:
            UnsafeModel: The files are not those that were registered.
        """
        expected = str(context.model_config["digest"])
        self._bundle = bundle.load(Path(context.artifacts["bundle"]), expected)

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Predict label, score, top and error for each video, one row each, in their order.

        Raises:
            ConfigurationError: The table has neither of the two columns.
        """
        found = self._features(model_input)
        good = [n for n, features in enumerate(found) if not isinstance(features, str)]
        scores = predict(self._bundle.classifier, [f for f in found if not isinstance(f, str)])
        rows: list[dict[str, Any]] = [{"error": f if isinstance(f, str) else None} for f in found]
        for n, of_video in zip(good, scores, strict=True):
            rows[n] |= _answer(self._bundle, of_video)
        # As objects: a server writes None as null, but the NaN of a column of floats as it stands.
        columns = [*COLUMNS, *([] if self._bundle.decisions is None else ["labels"])]
        return pd.DataFrame(rows, columns=columns, dtype=object).replace({np.nan: None})

    def _features(self, table: pd.DataFrame) -> list[Found]:
        """Features of each row: as given, else extracted from the file at its path."""
        if not {"path", "features"} & set(table.columns):
            raise ConfigurationError(
                "the table has neither a column path nor a column features.",
                next_step="name the column with the files `path`, or the one with features `features`.",
            )
        given, paths = _column(table, "features"), _column(table, "path")
        found = {n: _checked(value, self._bundle.spec) for n, value in given.items()}
        files = {n: Path(path) for n, path in paths.items() if n not in found and isinstance(path, str)}
        if files:
            found |= _of_files(files, self._bundle.spec, self._videos, self._backbone)
        return [found.get(n, "no features, and no path as text.") for n in range(len(table))]

    @cached_property
    def _videos(self) -> VideoFiles:
        return VideoFiles(find_tools())

    @cached_property
    def _backbone(self) -> Backbone:
        """The CNN, loaded with the first path: a table of features needs none."""
        return load_backbone(self._bundle.spec, find_file=_file_of_environment)


def _file_of_environment(spec: FeatureSpec) -> Path:
    """The backbone file that the environment names; its hash is checked when it is loaded.

    Raises:
        ConfigurationError: It names none.
    """
    file = Path(os.environ.get("VIDPIPE_BACKBONE", ""))
    if not file.is_file():
        raise ConfigurationError(
            f"this model's backbone is a file of SHA-256 {spec.weights_sha256[:16]}…, which does not travel "
            f"with it; got VIDPIPE_BACKBONE={str(file)!r}.",
            next_step="set VIDPIPE_BACKBONE to that file.",
        )
    return file


def _column(table: pd.DataFrame, name: str) -> dict[int, Any]:
    """Values of a column by row number, without empty ones."""
    return {n: v for n, v in enumerate(table.get(name, [])) if not (pd.api.types.is_scalar(v) and pd.isna(v))}


def _checked(value: Any, spec: FeatureSpec) -> Found:
    try:
        features: Floats = np.array([list(frame) for frame in value], np.float32)
    except (TypeError, ValueError):
        return f"features are not numbers of shape (T, {spec.feature_size})."
    if features.ndim != 2 or not len(features) or features.shape[1] != spec.feature_size:
        return f"features have shape {features.shape}, expected (T, {spec.feature_size}) with T of 1 or more."
    if not np.isfinite(features).all():
        return f"features of shape (T, {spec.feature_size}) hold numbers that are not finite."
    return features


def _of_files(
    files: Mapping[int, Path], spec: FeatureSpec, videos: VideoFiles, backbone: Backbone
) -> dict[int, Found]:
    """Extract features of the files; a bad file fails only its own row."""

    def decode(video: PendingVideo) -> Decoding:
        file = files[int(video.video_id)]
        facts = videos.probe(file)
        return videos.decode(
            file,
            spec.sample_fps,
            [spec.view],
            facts.duration_s,
            spec.flow,
            facts.stream_index,
            spec.keyframes,
            pixels=facts.width_px * facts.height_px,
        )

    pending = [PendingVideo(str(n), file, None, None) for n, file in files.items()]
    rows = _Rows()
    outcomes = extract(pending, decode=decode, embed=backbone, sink=rows, workers=os.cpu_count() or 1)
    return {
        int(outcome.video_id): rows.of(outcome.video_id) if outcome.stored else str(outcome.message)
        for outcome in outcomes
    }


class _Rows:
    """In-memory sink of features, instead of a Parquet part."""

    name = "memory"

    def __init__(self) -> None:
        self.rows = 0
        self._slices: dict[str, list[Floats]] = defaultdict(list)

    def append(self, features: VideoFeatures, first_frame: int = 0) -> None:
        self._slices[features.video_id].append(features.values)
        self.rows += len(features.values)

    def of(self, video_id: str) -> Floats:
        """All features of one video, (T, D)."""
        return np.concatenate(self._slices[video_id])


def _answer(model: bundle.Bundle, scores: Floats) -> dict[str, Any]:
    """Label, score and top of one video's scores (K,), and labels where it may have several."""
    labels, order = model.labels, np.argsort(-scores, kind="stable")
    top = {labels[k]: round(float(scores[k]), 6) for k in order}
    answer = {"label": labels[order[0]], "score": float(scores[order[0]]), "top": json.dumps(top)}
    if (thresholds := model.thresholds()) is not None:
        over = over_thresholds(scores, thresholds)
        answer["labels"] = json.dumps([labels[k] for k in order if over[k]])
    return answer


mlflow.models.set_model(ServedClassifier())
