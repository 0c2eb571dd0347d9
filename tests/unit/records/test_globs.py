"""Glob patterns: which files of a source are taken, remembered by the collection, and what is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidpipe.adapters.sources.folders import Catalog
from vidpipe.errors import ConfigurationError
from vidpipe.ports import Ports
from vidpipe.records.globs import Globs, counted
from vidpipe.records.videos import SourceFile
from vidpipe.steps.ingest import ingest, ingest_again


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("*.mp4", "deep/er/A.MP4", True),
        ("*.mp4", "a.mp4.txt", False),
        ("thumbs", "a/thumbs/b.mp4", True),
        ("thumbs", "a/thumbs.mp4", False),
        ("a/thumbs/", "a/thumbs/deep/b.mp4", True),
        ("a/*.mp4", "a/b/c.mp4", True),
        ("a/*.mp4", "b/a/c.mp4", False),
        ("**/cache/**", "cache/x.mp4", True),
        ("**/cache/**", "a/cache/x.mp4", True),
        ("img_00[1-3]?.*", "IMG_0024.MOV", True),
    ],
)
def test_a_pattern_without_a_slash_names_files_and_folders_one_with_a_slash_paths(
    glob: str, path: str, matches: bool
) -> None:
    assert Globs(include=(glob,)).take(path) is matches
    assert Globs(exclude=(glob,)).take(path) is not matches


def test_exclude_is_stronger_and_empty_patterns_are_none() -> None:
    assert not Globs.of(["*.mp4"], ["a*"]).take("a.mp4")
    assert Globs.of([""], [""]) == Globs.of(None, None) == Globs()


def test_only_a_pattern_that_ends_in_a_suffix_makes_such_files_videos() -> None:
    assert Globs.of(["*.dat"], []).name_suffix_of("a/x.DAT")
    assert not Globs.of(["north/*", "*.*", "*.da?"], []).name_suffix_of("north/x.dat")


def test_what_was_passed_over_in_words() -> None:
    assert counted({".xmp": 3, ".txt": 9}) == "12 files: 9 .txt, 3 .xmp"
    assert counted({"": 1}) == "1 file: 1 without a suffix"


def folder(source: Path, *names: str) -> Path:
    for name in names:
        file = source / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    return source


def test_a_bucket_says_what_it_passes_over_as_a_folder_does(tmp_path: Path) -> None:
    names = ("a.mp4", "b/thumbs/c.mp4", "notes.TXT", "d.dat", ".hidden/e.mp4", "README")
    globs = Globs.of(None, ["thumbs"])
    of_folder = Catalog().list_folder(folder(tmp_path, *names), globs=globs)
    objects = [SourceFile(name, 1, None, None) for name in names]
    of_bucket = Catalog().pick_videos(objects, globs=globs)
    for listing in (of_folder, of_bucket):
        assert [file.path for file in listing.files] == ["a.mp4"]
        assert listing.passed_over == {".mp4": 1, ".txt": 1, ".dat": 1, "": 1}


@pytest.mark.slow
def test_a_collection_remembers_its_patterns_until_it_is_given_others(ports: Ports, tmp_path: Path) -> None:
    source = folder(tmp_path / "videos", "a.mp4", "b.mkv", "c.dat", "old/d.mp4", "notes.txt", "x.txt")
    first = ingest(ports, "yard", source, include=["*.mp4", "*.dat"], exclude=["old"])
    assert (first.videos, first.passed_over) == (2, {".mkv": 1, ".mp4": 1, ".txt": 2})
    assert ingest_again(ports, "yard").passed_over == first.passed_over
    wider = ingest(ports, "yard", source, include=[""])
    assert (wider.videos, wider.removed, wider.passed_over) == (2, 1, {".dat": 1, ".mp4": 1, ".txt": 2})
    everything = ingest(ports, "yard", source, exclude=[""])
    assert (everything.videos, everything.passed_over) == (3, {".dat": 1, ".txt": 2})
    narrow = ingest(ports, "yard", source, exclude=["*.mp4"])
    assert (narrow.videos, narrow.removed) == (1, 2), "what a pattern leaves out is not lost"


def test_a_manifest_is_narrowed_by_the_patterns_too(ports: Ports, tmp_path: Path) -> None:
    source = folder(tmp_path / "videos", "a.mp4", "b.mp4")
    (source / "list.csv").write_text("path,label\na.mp4,x\nb.mp4,y\ngone/c.mp4,z\n")
    report = ingest(ports, "yard", source / "list.csv", exclude=["b.*", "gone"])
    assert (report.videos, report.passed_over) == (1, {".mp4": 1})


def test_a_folder_without_a_video_says_so_instead_of_asking_for_a_mount(ports: Ports, tmp_path: Path) -> None:
    source = folder(tmp_path / "papers", *(f"{n}.txt" for n in range(9)), "a.xmp", "b.xmp", "c.xmp")
    with pytest.raises(ConfigurationError, match=r"no video among 12 files: 9 \.txt, 3 \.xmp") as raised:
        ingest(ports, "papers", source)
    assert "mounted" not in str(raised.value.next_step)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="lists 0 videos"):
        ingest(ports, "empty", tmp_path / "empty")
