"""The demo's clips: honest labels, groups that stay together, and an order that only time tells."""

import csv
import subprocess
from collections import Counter
from pathlib import Path

import imageio_ffmpeg
import pytest

from vidpipe.demo.clips import DemoCollection, make_collection
from vidpipe.demo.script import LABELS, incoming_clips, labelled_clips
from vidpipe.errors import ConfigurationError, StopError

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
TAKES = 3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> DemoCollection:
    return make_collection(tmp_path_factory.mktemp("demo"), FFMPEG, takes=TAKES)


def rows_of(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def frame_hashes(video: Path) -> list[str]:
    """What plain ffmpeg decodes, one MD5 a frame."""
    command = [FFMPEG, "-v", "error", "-xerror", "-i", str(video), "-f", "framemd5", "-"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split()[-1] for line in lines if not line.startswith("#")]


def files_under(root: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in root.rglob("*")
        if path.is_file()
    }


def test_the_manifest_names_every_labelled_file_once(made: DemoCollection) -> None:
    rows = rows_of(made.manifest)
    assert list(rows[0]) == ["path", "label", "group", "split"]
    on_disk = sorted(str(path.relative_to(made.labelled)) for path in made.labelled.rglob("*.mp4"))
    assert sorted(row["path"] for row in rows) == on_disk
    assert all(row["path"].split("/")[0] == row["label"] for row in rows)
    assert Counter(row["label"] for row in rows) == dict.fromkeys(LABELS, TAKES)


def test_the_incoming_names_tell_nothing_and_the_truth_lies_outside(made: DemoCollection) -> None:
    rows = rows_of(made.truth)
    assert sorted(row["path"] for row in rows) == sorted(p.name for p in made.incoming.iterdir())
    assert Counter(row["label"] for row in rows) == dict.fromkeys(LABELS, 3)
    assert not any(label in row["path"] for row in rows for label in LABELS)
    assert [row["label"] for row in rows] != sorted(row["label"] for row in rows)


@pytest.mark.parametrize("takes", [3, 4, 12, 24])
def test_no_group_straddles_a_split_and_every_split_has_every_label(takes: int) -> None:
    clips = labelled_clips(0, takes)
    split_of = {clip.group: clip.split for clip in clips}
    assert all(split_of[clip.group] == clip.split for clip in clips)
    seen = {(clip.split, clip.label) for clip in clips}
    assert seen == {(split, label) for split in ("train", "val", "test") for label in LABELS}


def test_clips_of_different_groups_never_share_a_camera_position() -> None:
    groups = {(shot.region, clip.group) for clip in labelled_clips(0) for shot in clip.shots}
    assert len({region for region, _ in groups}) == len(groups)


def test_the_full_collection_has_the_promised_sizes() -> None:
    counts = Counter((clip.label, clip.split) for clip in labelled_clips(0))
    for label in LABELS:
        assert [counts[label, split] for split in ("train", "val", "test")] == [14, 4, 6]
    seconds = [sum(s.quarters for s in c.shots) / 4 for c in labelled_clips(0) + incoming_clips(0)]
    assert min(seconds) >= 2
    assert max(seconds) <= 3.5
    assert len(set(seconds)) > 3


def test_every_clip_decodes_to_its_whole_length(made: DemoCollection) -> None:
    for clip in labelled_clips(0, TAKES):
        frames = frame_hashes(made.labelled / clip.path)
        assert len(frames) == sum(shot.quarters for shot in clip.shots) * 6, clip.path
        assert len(set(frames)) > len(frames) * 0.9, f"{clip.path} stands still"


def test_twins_hold_the_same_frames_in_another_order(made: DemoCollection) -> None:
    for take in range(1, TAKES + 1):
        one, other = (frame_hashes(made.labelled / label / f"{label}_{take:02d}.mp4") for label in LABELS[2:])
        assert one != other
        assert sorted(one) == sorted(other)


def test_a_second_call_changes_nothing(made: DemoCollection) -> None:
    before, calls = files_under(made.labelled.parent), []
    again = make_collection(
        made.labelled.parent, FFMPEG, takes=TAKES, progress=lambda *call: calls.append(call)
    )
    assert again == made
    assert files_under(made.labelled.parent) == before
    assert calls == [(24, 24)]


def test_a_lost_clip_comes_back_with_the_same_bytes(made: DemoCollection) -> None:
    lost = made.labelled / "flower_then_palace" / "flower_then_palace_02.mp4"
    content, calls = lost.read_bytes(), []
    lost.unlink()
    make_collection(made.labelled.parent, FFMPEG, takes=TAKES, progress=lambda *call: calls.append(call))
    assert lost.read_bytes() == content
    assert calls == [(23, 24), (24, 24)]


def test_the_seed_changes_the_pictures_and_never_what_a_name_means() -> None:
    def names(seed: int) -> list[tuple[str, str, str, str]]:
        clips = labelled_clips(seed) + incoming_clips(seed)
        return [(clip.path, clip.label, clip.group, clip.split) for clip in clips]

    assert labelled_clips(7) == labelled_clips(7)
    assert labelled_clips(7) != labelled_clips(8)
    assert incoming_clips(7) != incoming_clips(8)
    assert names(7) == names(8)


def test_a_failing_ffmpeg_stops_with_its_last_line_and_leaves_no_clip(tmp_path: Path) -> None:
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\necho first >&2\necho 'Unknown encoder libx264' >&2\nexit 8\n")
    broken.chmod(0o755)
    with pytest.raises(StopError, match="Unknown encoder libx264"):
        make_collection(tmp_path / "demo", broken, takes=TAKES)
    assert not any(path.is_file() for path in (tmp_path / "demo").rglob("*"))
    assert not list((tmp_path / "demo").glob(".making-*"))


def test_an_ffmpeg_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StopError, match="no-such-ffmpeg"):
        make_collection(tmp_path, tmp_path / "no-such-ffmpeg", takes=TAKES)


def test_too_few_takes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="got 2"):
        make_collection(tmp_path, FFMPEG, takes=2)
