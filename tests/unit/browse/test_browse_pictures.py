"""Pictures of videos: made once of real files, kept in a bounded folder, gone when the video is forgotten."""

from __future__ import annotations

import io
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import certain
from PIL import Image

from vidpipe.adapters.media.stills import STRIP_FRAMES, joined, strip_times
from vidpipe.adapters.pictures import KEPT_S, Pictures
from vidpipe.ports import Ports
from vidpipe.steps.forget import forget
from vidpipe.steps.ingest import ingest
from vidpipe.steps.pictures import STILL, STRIP, NoPicture, picture


def size_of(jpeg: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(jpeg)).size


def test_pictures_are_made_once_and_go_when_the_video_is_forgotten(
    ports: Ports, tmp_path: Path, clips: Any
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    file = shutil.copy(sorted(clips.incoming.glob("*.mp4"))[0], folder / "a.mp4")
    (folder / "b.mp4").write_bytes(b"nonsense")
    ingest(ports, "in", folder)
    video_id = ports.ledger.sources.labels_at("in", ["a.mp4"])["a.mp4"][0]
    still, strip = picture(ports, video_id, STILL), picture(ports, video_id, STRIP)
    width, height = size_of(still)
    assert max(width, height) == 320 and size_of(strip) == (STRIP_FRAMES * width, height)
    bad = ports.ledger.sources.labels_at("in", ["b.mp4"]).get("b.mp4")
    if bad:
        with pytest.raises(NoPicture, match="no frame"):
            picture(ports, bad[0], STILL)
    hidden = Path(file).rename(tmp_path / "hidden.mp4")
    assert picture(ports, video_id, STRIP) == strip, "from the cache"
    assert ports.pictures.forget(video_id) == 2
    with pytest.raises(NoPicture, match="gone"):
        picture(ports, video_id, STILL)
    Path(file).write_bytes(b"another video")
    with pytest.raises(NoPicture, match="changed"):
        picture(ports, video_id, STILL)
    hidden.rename(file)
    picture(ports, video_id, STILL)
    forget(ports, video_id)
    assert ports.pictures.get(video_id, STILL) is None
    with pytest.raises(NoPicture, match="no collection"):
        picture(ports, video_id, STILL)


def test_a_strip_covers_the_video_and_lacks_no_tile() -> None:
    np = pytest.importorskip("numpy")
    assert strip_times(10.0) == [0.5 + n for n in range(10)] and strip_times(None) == [0.0] * 10
    tile = np.full((6, 8, 3), 200, np.uint8)
    assert size_of(joined([None, tile, None, tile])) == (32, 6)
    assert joined([None, None]) == b""


def test_the_cache_evicts_what_was_not_looked_at_for_longest(tmp_path: Path) -> None:
    cache = Pictures(tmp_path / "pictures", limit_bytes=1000)
    for n in range(3):
        cache.put(f"{n}{n}aa", STILL, bytes(300))
        old = time.time() - 100_000 + n
        os.utime(tmp_path / "pictures" / f"{n}{n}" / f"{n}{n}aa.still.jpg", (old, old))
    assert cache.get("00aa", STILL) == bytes(300), "looked at now"
    cache.put("33aa", STILL, bytes(300))
    left = [name for name in ("00aa", "11aa", "22aa", "33aa") if cache.get(name, STILL)]
    assert left == ["00aa", "22aa", "33aa"]
    again = Pictures(tmp_path / "pictures", limit_bytes=1000)
    again.put("44aa", STILL, bytes(300))
    assert sum(file.stat().st_size for file in (tmp_path / "pictures").glob("*/*")) <= 1000


def test_gc_collects_old_pictures_and_unfinished_ones(tmp_path: Path) -> None:
    cache = Pictures(tmp_path)
    for name in ("aaaa", "bbbb"):
        cache.put(name, STRIP, b"12345")
    unfinished = tmp_path / "aa" / ".aaaa.strip.jpg.1.tmp"
    unfinished.write_bytes(b"123")
    long_ago = time.time() - KEPT_S - 60
    os.utime(tmp_path / "bb" / "bbbb.strip.jpg", (long_ago, long_ago))
    assert cache.sweep(3600) == (1, 5), "a young temporary file may belong to somebody"
    assert cache.sweep(0) == (1, 3) and certain(cache.get("aaaa", STRIP)) == b"12345"
    assert cache.forget("aaaa") == 1 and cache.sweep(0) == (0, 0)
