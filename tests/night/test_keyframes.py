"""Key frames alone: which frames they are, when they are too sparse, what is recorded of such a pass."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidpipe.adapters.media.binaries import Tools
from vidpipe.adapters.media.decoding import Decoding
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.errors import ConfigurationError
from vidpipe.ports import Ports
from vidpipe.records.features import FeatureSpec, FrameTransform, KeyframeRule, View
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.steps.plan_extraction import decode_passes
from vidpipe.vision.feature_specs import block_sizes, default_spec
from vidpipe.vision.sampling import KeyframeGaps, expected_cost
from vidpipe.wiring import Home

RULE = KeyframeRule(most_gap_s=2.0)
FULL, KEYS = default_spec(4.0), default_spec(4.0, "keyframes")
VIEW = View(FrameTransform(32, None, "bicubic"), 2)
SOURCE = "testsrc2=size=64x48:rate=10:duration=6"


@pytest.fixture(scope="module")
def make(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Six seconds at 10 frames/s, a key frame every so many."""
    folder = tmp_path_factory.mktemp("keys")

    def run(name: str, every: int, *more: str) -> Path:
        gop = ("-g", str(every), "-keyint_min", str(every), "-sc_threshold", "0")
        codec = () if "-c:v" in more else ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2")
        command = [tools.ffmpeg, "-loglevel", "error", "-y", "-f", "lavfi", "-i", SOURCE, *codec, *gop, *more]
        subprocess.run([*command, folder / name], check=True)
        return folder / name

    return run


def decoded(videos: VideoFiles, file: Path, rule: KeyframeRule | None = RULE, fps: float = 4.0) -> Any:
    decoding: Decoding = videos.decode(file, fps, [VIEW], 6.0, keyframes=rule)
    times_s, pictures = zip(*decoding, strict=True)
    assert decoding.report is not None
    return [round(t, 3) for t in times_s], np.stack(pictures), decoding.report


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.ts", "x.flv"])
def test_the_samples_are_the_key_frames_with_their_own_times_and_pixels(
    name: str, make: Callable[..., Path], videos: VideoFiles
) -> None:
    file = make(name, 10)

    times_s, pictures, report = decoded(videos, file)
    all_s, all_pictures, _ = decoded(videos, file, None, fps=10.0)

    assert [round(t - times_s[0], 3) for t in times_s] == [0, 1, 2, 3, 4, 5]
    same = [all_pictures[all_s.index(t)] for t in times_s]
    assert (pictures == np.stack(same)).all()
    assert (report.sampling, report.frames_decoded, report.frames_expected) == ("keyframes", None, None)
    assert not report.is_damaged


def test_denser_key_frames_are_thinned_to_the_rate(make: Callable[..., Path], videos: VideoFiles) -> None:
    times_s, _, report = decoded(videos, make("dense.mp4", 2), fps=1.0)

    assert times_s == [0, 1, 2, 3, 4, 5]
    assert report.sampling == "keyframes"


@pytest.mark.parametrize(
    ("name", "every", "more"),
    [
        ("sparse.mp4", 30, ()),
        ("once.mp4", 600, ()),
        ("intra.mkv", 1, ("-c:v", "mjpeg")),  # nothing to skip
        ("reordered.avi", 10, ()),  # no presentation times
        ("raw.264", 10, ()),  # no times, so nobody knows how far apart they are
        ("refresh.mp4", 600, ("-x264-params", "intra-refresh=1:keyint=20")),
        ("refresh_often.mp4", 600, ("-x264-params", "intra-refresh=1:keyint=10")),
        ("open.mkv", 20, ("-x264-params", "open-gop=1")),  # order numbers wrap among the skipped frames
        ("vp9.webm", 10, ("-c:v", "libvpx-vp9", "-cpu-used", "8")),  # its decoder skips nothing
        ("vp9_short.webm", 10, ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-t", "0.9")),
    ],
)
def test_a_video_is_decoded_in_full_where_key_frames_say_too_little(
    name: str, every: int, more: Sequence[str], make: Callable[..., Path], videos: VideoFiles
) -> None:
    file = make(name, every, *more)

    times_s, pictures, report = decoded(videos, file)
    full_s, full_pictures, full = decoded(videos, file, None)

    assert report == full
    assert (report.sampling, report.frames_decoded) == ("full", 9 if "short" in name else 60)
    assert times_s == full_s
    assert (pictures == full_pictures).all()


def test_key_frames_that_an_edit_list_hides_are_not_counted(
    make: Callable[..., Path], tools: Tools, videos: VideoFiles
) -> None:
    whole = make("whole.mp4", 20)
    cut = whole.with_name("cut.mp4")
    subprocess.run(
        [tools.ffmpeg, "-loglevel", "error", "-y", "-ss", "1.5", "-i", whole, "-c", "copy", cut], check=True
    )

    times_s, _, report = decoded(videos, cut)

    assert report.sampling == "keyframes"
    assert times_s == [0.5, 2.5]


def test_key_frames_that_are_not_shown_are_damage(make: Callable[..., Path], videos: VideoFiles) -> None:
    """The later half of a stream is of another encoder, whose key frames the decoder shows out of order."""
    own, others = make("own.ts", 10), make("open.ts", 20, "-x264-params", "open-gop=1")
    joined = own.with_name("joined.ts")
    command = [videos.tools.ffmpeg, "-loglevel", "error", "-y", "-i", f"concat:{own}|{others}", "-c", "copy"]
    subprocess.run([*command, joined], check=True)

    _, _, report = decoded(videos, joined)

    assert (report.sampling, report.is_damaged) == ("keyframes", True)


def gaps(times_s: Sequence[float], end_s: float) -> KeyframeGaps:
    """A key frame at each time, and packets between and after them."""
    found = KeyframeGaps(2.0)
    for time_s in times_s:
        found.add(time_s, 0.1, is_key=True)
        found.add(time_s + 0.1, 0.1, is_key=False)
    found.add(end_s - 0.1, 0.1, is_key=False)
    return found


def test_the_bound_holds_between_key_frames_and_to_the_end() -> None:
    assert gaps([0, 2, 4], 6).suffice
    assert not gaps([0, 2.1, 4], 6).suffice
    assert not gaps([0, 2, 4], 6.2).suffice
    assert not gaps([], 1).suffice
    assert gaps([5, 0.5, 2], 3).is_sparse  # a clock that jumps back says nothing of what follows
    late = KeyframeGaps(2.0)
    late.add(0, 0.1, is_key=False)
    late.add(2.1, 0.1, is_key=True)
    assert late.is_sparse
    only_keys = KeyframeGaps(2.0)
    only_keys.add(0, 0.1, is_key=True)
    assert not only_keys.suffice


def test_the_rule_is_part_of_the_spec_and_old_specs_keep_their_hash() -> None:
    assert "keyframes" not in FULL.to_json()
    assert FeatureSpec.from_json(KEYS.to_json()) == KEYS
    assert KEYS.feature_set_id != replace(KEYS, keyframes=None).feature_set_id
    assert KEYS.feature_set_id != replace(KEYS, keyframes=KeyframeRule(3.0)).feature_set_id
    assert KEYS.flow is None and sum(block_sizes(KEYS)) == KEYS.feature_size
    with pytest.raises(ConfigurationError, match="no optical flow"):
        replace(FULL, keyframes=RULE)


def test_specs_of_both_rules_come_from_two_decodes() -> None:
    no_flow = replace(FULL, flow=None, feature_size=KEYS.feature_size)
    passes = decode_passes([FULL, KEYS, no_flow])

    assert passes[FULL.feature_set_id] == passes[no_flow.feature_set_id] != passes[KEYS.feature_set_id]


def test_a_video_costs_what_its_rule_decodes() -> None:
    full, keys = (expected_cost(40, 1200, 1920 * 1080, 4.0, key_frames=only) for only in (False, True))

    assert full > 4 * keys


@pytest.mark.slow
def test_a_home_says_of_each_video_which_frames_were_decoded(
    make: Callable[..., Path], ports: Ports, home: Home
) -> None:
    make("x.mp4", 10), make("sparse.mp4", 30)
    folder = make("x.mp4", 10).parent
    keys = replace(ports, limits=replace(ports.limits, spec=KEYS))
    query = (
        "select cv.path, vf.sampling, vf.n_frames, v.frames_decoded, v.verdict from video_features as vf "
        "inner join videos as v using (video_id) inner join collection_videos as cv using (video_id) "
        "where cv.path in ('x.mp4', 'sparse.mp4') order by cv.path, vf.sampling"
    )

    ingest(keys, "keys", folder)
    extract(keys)
    home.warehouse.publish()

    assert [tuple(row) for row in home.warehouse.query(query).rows] == [
        ("sparse.mp4", "full", 24, 60, "ok"),
        ("x.mp4", "keyframes", 6, None, "ok"),
    ]
    assert extract(keys).videos == 0
