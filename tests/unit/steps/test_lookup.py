"""A video is named by its hash, by a path in a collection, or by a file; what is ambiguous is refused."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from vidpipe.errors import ConfigurationError, NotFound
from vidpipe.ports import Ports
from vidpipe.steps.forget import forget
from vidpipe.steps.ingest import ingest
from vidpipe.steps.lookup import video_named


@pytest.fixture
def cameras(ports: Ports, clips, tmp_path: Path) -> dict[str, Path]:  # type: ignore[no-untyped-def]
    """Two collections: `a.mp4` is a different video in each, `b.mp4` the same."""
    one, two, *_ = sorted(clips.incoming.glob("*.mp4"))
    for name, files in (("east", {"a.mp4": one, "b.mp4": two}), ("west", {"a.mp4": two, "b.mp4": two})):
        (tmp_path / name).mkdir()
        for path, file in files.items():
            shutil.copy(file, tmp_path / name / path)
        ingest(ports, name, tmp_path / name)
    return {"one": one, "two": two}


def _id(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_video_is_named_by_path_by_file_and_by_digits(
    cameras: dict[str, Path], ports: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one, two = _id(cameras["one"]), _id(cameras["two"])

    assert video_named(ports, "b.mp4") == two
    assert video_named(ports, "east/a.mp4") == video_named(ports, str(cameras["one"])) == one
    assert video_named(ports, one[:8]) == video_named(ports, one) == one


def test_a_path_of_several_videos_is_refused_with_their_hashes(
    cameras: dict[str, Path], ports: Ports
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        forget(ports, "a.mp4")
    assert f"{_id(cameras['one'])[:12]} (east)" in str(caught.value)
    assert f"{_id(cameras['two'])[:12]} (west)" in str(caught.value)


def test_of_a_path_the_video_that_is_there_is_meant_and_else_the_last_one(
    cameras: dict[str, Path], ports: Ports, tmp_path: Path
) -> None:
    (tmp_path / "west" / "a.mp4").unlink()
    ingest(ports, "west", tmp_path / "west")
    assert video_named(ports, "a.mp4") == _id(cameras["one"])
    (tmp_path / "east" / "a.mp4").unlink()
    ingest(ports, "east", tmp_path / "east", allow_missing=True)
    with pytest.raises(ConfigurationError, match="several"):
        video_named(ports, "a.mp4")
    (tmp_path / "west" / "b.mp4").unlink()
    ingest(ports, "west", tmp_path / "west", allow_missing=True)
    assert forget(ports, "b.mp4").video_id == _id(cameras["two"])


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("x.mp4", NotFound, "no file, no path in a collection, and no video's hash"),
        ("0" * 64, NotFound, "no video 0000"),
        ("abc", ConfigurationError, "too short"),
        ("", NotFound, "no file"),
    ],
)
def test_a_name_of_nothing_says_what_was_tried(
    name: str, error: type[Exception], said: str, cameras: dict[str, Path], ports: Ports
) -> None:
    with pytest.raises(error, match=said):
        video_named(ports, name)


def test_a_file_that_no_collection_has_had_is_not_found(ports: Ports, tmp_path: Path) -> None:
    (tmp_path / "new.mp4").write_bytes(b"new")
    with pytest.raises(NotFound, match="no collection has had"):
        video_named(ports, str(tmp_path / "new.mp4"))
