"""Similarity search: videos whose vectors are most like that of a video, a path, or any file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import numpy as np

from vidpipe.errors import NotFound, Unreadable
from vidpipe.ports import Ports
from vidpipe.ports.features import FeatureStore
from vidpipe.ports.outcome import NamedQuery
from vidpipe.records.features import FeatureSpec, VideoFeatures
from vidpipe.records.videos import Floats, PendingVideo
from vidpipe.steps.extract import work
from vidpipe.steps.lookup import LEAST_PREFIX, full_id, require_collection, video_at
from vidpipe.steps.plan_extraction import ExtractShard
from vidpipe.steps.runs import Result
from vidpipe.steps.vectors import known_projection


@dataclass(frozen=True, slots=True)
class SimilarResult(Result):
    """Result of `vidpipe similar`: the most similar videos, the best first."""

    video_id: str
    feature_set_id: str
    """Vectors of different feature sets do not compare."""
    rows: Sequence[Mapping[str, Any]]
    """Path, video_id, cosine (-1 to 1), label (known, else predicted), collection."""


def similar(ports: Ports, video: str, *, collection: str | None = None, limit: int = 10) -> SimilarResult:
    """List present videos by the cosine of their vectors with that of one video.

    Args:
        ports: The outside world.
        video: A video's hash or its first digits, a path in a collection, or a file that may be a new one: it
            is decoded, and nothing of it is stored.
        collection: Answers, and a path that is named, from this collection only.
        limit: How many at most.

    Raises:
        NotFound: No such video, path, file or collection, or no vectors yet.
        ConfigurationError: The digits or the path fit several videos.
        VideoError: The file cannot be read as video.
    """
    require_collection(ports, collection)
    with ports.warehouse.reading() as read:
        video_id, file = _named(ports, read, video, collection)
        sets = read("vector_sets", video_id=None if file else video_id)
        if not sets:
            raise NotFound(
                f"{'no video' if file else video} has a vector yet.",
                next_step="vidpipe extract: it makes the vectors of all videos with features.",
            )
        chosen = sets[0]
        vector = _vector_of(ports, chosen, file, video_id) if file else chosen["vector"]
        rows = read(
            "similar_to_vector", feature_set_key=chosen["feature_set_key"], video_key=chosen["video_key"],
            vector=list(map(float, vector)), collection=collection, most=limit,
        )  # fmt: skip
    return SimilarResult(video_id, chosen["feature_set_id"], rows)


def _named(ports: Ports, read: NamedQuery, video: str, collection: str | None) -> tuple[str, Path | None]:
    """Id of the video that a person names, and its file where the home has no vector of it."""
    if found := video_at(ports, video, collection) or video_at(ports, video):
        return found, None
    file = Path(video).expanduser()
    if file.is_file():
        video_id = ports.catalog.hash_file(file)
        return video_id, None if read("vector_sets", video_id=video_id) else file
    if len(video) >= LEAST_PREFIX and re.fullmatch("[0-9a-f]+", video):
        return full_id(ports, video), None
    raise NotFound(
        f"{video} is no file, no path in {collection or 'a collection'}, and no video's hash.",
        next_step="vidpipe sql 'from collection_videos' lists paths and hashes.",
    )


def _vector_of(ports: Ports, chosen: Mapping[str, Any], file: Path, video_id: str) -> Floats:
    """Vector (128,) of a file that is not in the home, by the projection of a feature set."""
    spec = FeatureSpec.from_json(chosen["spec"])
    projection = known_projection(ports, spec.feature_set_id)
    assert projection is not None, "vectors were made by one"
    facts = ports.videos.probe(file)
    pending = PendingVideo(
        video_id, file, facts.duration_s, facts.frames_expected, facts.width_px * facts.height_px,
        facts.stream_index,
    )  # fmt: skip
    kept = _Kept()
    (result,) = work(replace(ports, store=cast("FeatureStore", kept)), ExtractShard((spec,), (pending,), 1.0))
    if not kept.values:
        raise Unreadable(result.videos[0].message or f"{file} gives no frame.")
    vector: Floats = projection.vectors(np.concatenate(kept.values).mean(0, keepdims=True))[0]
    return vector


@dataclass
class _Kept:
    """Feature store and part of one video whose features are kept in memory and written nowhere."""

    values: list[Floats] = field(default_factory=list)
    name: str = ""
    rows: int = 0
    size_bytes: int = 0

    def new_part(self, spec: FeatureSpec, numerics: str) -> _Kept:  # noqa: ARG002  (the port's signature)
        return self

    def __enter__(self) -> _Kept:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None: ...

    def append(self, features: VideoFeatures, first_frame: int = 0) -> None:  # noqa: ARG002
        self.values.append(features.values.astype(np.float16).astype(np.float32))  # as parts have them
        self.rows += len(features.values)

    def commit(self) -> None:
        return None
