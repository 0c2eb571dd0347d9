"""Ports of the feature store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from vidpipe.records.features import (
    FeatureSpec,
    StoredFeatures,
    VideoFeatures,
)

if TYPE_CHECKING:  # torch takes a second to load and numpy 0.1, which `vidpipe status` does not have
    import numpy as np
    import numpy.typing as npt


class Part(Protocol):
    """Writer of one part."""

    name: str
    rows: int
    size_bytes: int

    def __enter__(self) -> Part: ...
    def __exit__(self, *details: Any) -> None: ...
    def append(self, features: VideoFeatures, first_frame: int = 0) -> None: ...
    def commit(self) -> str | None: ...


class FeatureStore(Protocol):
    """Store of features in Parquet parts."""

    def new_part(self, spec: FeatureSpec, numerics: str) -> Part: ...
    def read(self, feature_set_id: str, wanted: Iterable[StoredFeatures]) -> Iterator[VideoFeatures]: ...
    def times(self, feature_set_id: str, stored: StoredFeatures) -> npt.NDArray[np.float64]: ...
    def pieces(self, feature_set_id: str, stored: StoredFeatures) -> Iterator[VideoFeatures]: ...
    def rewrite(self, feature_set_id: str, kept: Sequence[StoredFeatures]) -> list[StoredFeatures]: ...
    def sweep(self, named: set[tuple[str, str]], older_than_s: float) -> tuple[int, int]: ...
    def gone(self, named: set[tuple[str, str]]) -> set[tuple[str, str]]: ...
