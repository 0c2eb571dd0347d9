"""Vectors and similarity search: one projection for good, and answers for a video, a path and a new file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import concrete, warehouse_rows
from stored import clouds, content_id, put_collection

from vidpipe.adapters.features.store import FeatureStore
from vidpipe.errors import ConfigurationError, NotFound, Unreadable, UnsafeModel
from vidpipe.learning.video_vectors import SIZE, Projection, fit_projection
from vidpipe.ports import Ports
from vidpipe.records.videos import Collection, SourceFile
from vidpipe.steps.extract import extract
from vidpipe.steps.forget import forget
from vidpipe.steps.ingest import ingest
from vidpipe.steps.similar import similar
from vidpipe.steps.vectors import make_vectors

LABELS = {f"{n:02d}.mp4": ("cat", "dog")[n % 2] for n in range(12)}


@pytest.fixture
def yard(ports: Ports) -> Ports:
    put_collection(ports, "yard", clouds(LABELS, ports.limits.spec.feature_size), LABELS)
    make_vectors(ports, [ports.limits.spec])
    ports.warehouse.publish()
    return ports


@pytest.mark.parametrize(("N", "D", "shared"), [(2, 3000, 0.4), (300, 3000, 0.1), (40, 90, 0.1)])
def test_a_projection_keeps_cosines_also_of_videos_that_it_has_not_seen(
    N: int, D: int, shared: float
) -> None:
    draw = np.random.default_rng(0)
    seen, unseen = draw.normal(size=(N, D)), draw.normal(size=(60, D))
    projection = fit_projection(seen.astype(np.float32), [D])
    vectors = projection.vectors(unseen.astype(np.float32))
    assert vectors.shape == (60, SIZE) and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=2e-3)
    near = projection.vectors((unseen + 0.3 * draw.normal(size=unseen.shape)).astype(np.float32))
    assert ((vectors * near).sum(1) > 0.85).all(), "a near copy stays near"
    others = (vectors @ vectors.T)[~np.eye(60, dtype=bool)]
    assert abs(float(others.mean())) < shared, "a centre of two videos is one of the many"
    assert float(np.abs(others).max()) < 0.7
    again = fit_projection(seen.astype(np.float32), [D])
    assert again.to_bytes() == projection.to_bytes()


def test_a_projection_whose_bytes_have_changed_is_refused() -> None:
    with pytest.raises(UnsafeModel, match="SHA-256"):
        Projection.from_bytes(b"other", "0" * 64)


def test_videos_of_one_kind_are_found_by_path_and_by_hash(yard: Ports) -> None:
    by_path = similar(yard, "00.mp4", limit=5)
    assert {row["label"] for row in by_path.rows} == {"cat"}
    assert [row["cosine"] for row in by_path.rows] == sorted(
        (r["cosine"] for r in by_path.rows), reverse=True
    )
    assert similar(yard, content_id("00.mp4")[:10], limit=5) == by_path
    assert len(similar(yard, "00.mp4", limit=50).rows) == 11, "not itself"
    macro = f"select path, video_id, cosine, label from similar_videos('{content_id('00.mp4')}', 5)"
    shown = [(r["path"], r["video_id"], r["cosine"], r["label"]) for r in by_path.rows]
    assert warehouse_rows(yard, macro) == shown


def test_the_projection_is_never_fitted_again(yard: Ports) -> None:
    spec = yard.limits.spec
    before, vectors = yard.ledger.vectors.projection(spec.feature_set_id), "from video_vectors order by all"
    old = warehouse_rows(yard, vectors)
    more = clouds({f"new{n}.mp4": "emu" for n in range(5)}, spec.feature_size, apart=3.0)
    put_collection(yard, "street", more)
    assert make_vectors(yard, [spec]) == 5 and make_vectors(yard, [spec]) == 0
    yard.warehouse.publish()
    assert yard.ledger.vectors.projection(spec.feature_set_id) == before
    assert set(old) < set(warehouse_rows(yard, vectors))
    rows = similar(yard, "new0.mp4", limit=20).rows
    assert {row["collection"] for row in rows[:4]} == {"street"}
    inside = similar(yard, "new0.mp4", collection=None, limit=20).rows
    assert len(inside) == 16
    forget(yard, content_id("new1.mp4")[:12])
    assert "new1.mp4" not in {row["path"] for row in similar(yard, "new0.mp4", limit=20).rows}


def test_a_part_that_is_away_costs_its_own_videos_their_vectors_and_nothing_else(
    yard: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    spec = yard.limits.spec
    for name in ("street", "lane"):
        put_collection(yard, name, clouds({f"{name}{n}.mp4": "emu" for n in range(3)}, spec.feature_size))
    lacking = yard.ledger.vectors.lacking(spec.feature_set_id)
    parts = sorted({stored.part for stored in lacking})
    assert len(parts) == 2
    file = concrete(yard.store, FeatureStore).folder(spec.feature_set_id) / parts[0]
    away = file.rename(file.with_suffix(".away"))
    assert make_vectors(yard, [spec]) == 3 and str(file) in caplog.text
    away.rename(file)
    assert make_vectors(yard, [spec]) == 3, "once it is back"


def test_no_projection_is_fitted_on_what_cannot_be_read(ports: Ports) -> None:
    spec = ports.limits.spec
    put_collection(ports, "yard", clouds(LABELS, spec.feature_size), LABELS)
    for part in concrete(ports.store, FeatureStore).folder(spec.feature_set_id).iterdir():
        part.write_bytes(b"")
    assert make_vectors(ports, [spec]) == 0 and ports.ledger.vectors.projection(spec.feature_set_id) is None


def test_who_is_not_there_is_said_with_the_next_step(ports: Ports, tmp_path: Path) -> None:
    put_collection(ports, "yard", clouds({"a.mp4": "cat"}, ports.limits.spec.feature_size))
    with pytest.raises(NotFound, match="has a vector yet") as raised:
        similar(ports, "a.mp4")
    assert "vidpipe extract" in raised.value.next_step
    with pytest.raises(NotFound, match="is no file, no path"):
        similar(ports, "nowhere.mp4")
    with pytest.raises(NotFound, match="no collection"):
        similar(ports, "a.mp4", collection="nowhere")
    with pytest.raises(NotFound, match="no video"):
        similar(ports, "0123456789abcdef")


def test_a_file_from_anywhere_is_decoded_and_nothing_of_it_stored(
    ports: Ports, clips: Any, tmp_path: Path
) -> None:
    source = tmp_path / "videos"
    source.mkdir()
    files = sorted(clips.incoming.glob("*.mp4"))[:3]
    for file in files:
        shutil.copy(file, source)
    ingest(ports, "inbox", source)
    extract(ports)
    assert warehouse_rows(ports, "select count(*) from video_vectors") == [(3,)]
    (tmp_path / "other.mp4").write_bytes(files[0].read_bytes() + b"\0")  # another hash, the same pictures
    before = set((tmp_path / "home" / "features").rglob("*"))
    report = similar(ports, str(tmp_path / "other.mp4"))
    assert (report.rows[0]["path"], report.rows[0]["cosine"] > 0.999) == (files[0].name, True)
    assert set((tmp_path / "home" / "features").rglob("*")) == before
    assert similar(ports, str(source / files[1].name)).rows[0]["path"] != files[1].name
    (tmp_path / "notes.mp4").write_text("no video")
    with pytest.raises(Unreadable):
        similar(ports, str(tmp_path / "notes.mp4"))


def test_a_path_of_several_videos_needs_a_collection(yard: Ports) -> None:
    yard.ledger.sources.put_collection(Collection("other", "/videos/other"))
    listed = SourceFile("00.mp4", 1, 1, 1)
    yard.ledger.sources.put_videos("other", [(listed, content_id("01.mp4"))], [], [])
    yard.warehouse.publish()
    with pytest.raises(ConfigurationError, match="path of several videos"):
        similar(yard, "00.mp4")
    assert similar(yard, "00.mp4", collection="yard").video_id == content_id("00.mp4")
    assert [r["path"] for r in similar(yard, "02.mp4", collection="other").rows] == ["00.mp4"]
