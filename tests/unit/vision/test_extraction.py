"""The streaming engine: the same bits in any company, a bad video costs one outcome, bounded memory."""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import certain, concrete
from hypothesis import given, settings
from hypothesis import strategies as st

from vidpipe.adapters.features.store import FeatureStore
from vidpipe.adapters.media.binaries import Tools
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.errors import StorageFailed, Unreadable
from vidpipe.records.features import DecodeReport, ExtractedVideo, VideoFeatures
from vidpipe.records.videos import Floats, PendingVideo, Pixels
from vidpipe.vision import decode_ahead, extraction
from vidpipe.vision.backbones import Backbone, load_backbone
from vidpipe.vision.decode_ahead import Decoding
from vidpipe.vision.extraction import extract
from vidpipe.vision.feature_specs import default_spec

SPEC = default_spec(4.0)


@dataclass
class MemorySink:
    """Keeps what it is given, in order."""

    name: str = "part-test.parquet"
    rows: int = 0
    slices: list[tuple[VideoFeatures, int]] = field(default_factory=list)

    def append(self, features: VideoFeatures, first_frame: int = 0) -> None:
        self.slices.append((features, first_frame))
        self.rows += len(features.values)

    def of(self, outcome: ExtractedVideo) -> Floats:
        """The rows that an outcome names."""
        values = np.concatenate([features.values for features, _ in self.slices])
        stored = certain(outcome.stored)
        return values[stored.row_offset : stored.row_offset + stored.n_frames]

    @property
    def ids(self) -> list[str]:
        """The video of each row."""
        return [features.video_id for features, _ in self.slices for _ in features.values]


class FakeDecoding:
    """Frames of one pixel whose red, green say whose they are; may end in an error."""

    flow = None

    def __init__(self, number: int, frames: int, error: BaseException | None = None) -> None:
        self.report: DecodeReport | None = None
        self._number, self._frames, self._error = number, frames, error
        self.closed = False

    def __iter__(self) -> Generator[tuple[float, Pixels], None, None]:
        try:
            for index in range(self._frames):
                yield index / 4, np.array([[[self._number, index % 256, index // 256]]], np.uint8)
            if self._error:
                raise self._error
            self.report = DecodeReport(self._frames, 0, "")
        finally:
            self.closed = True


class OneThread:
    """What the engine asks of an embedder beside the features."""

    workers = 1

    def threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.workers)

    def features(self, row: Floats, before: Floats | None, flow: Floats | None = None) -> Floats:
        return row


class Differences(OneThread):
    """Features that need the frame before: its index, or -1."""

    batch_frames = 4
    workers = 2

    def __call__(self, frames: Pixels) -> Floats:
        return frames.reshape(-1, 3).astype(np.float32)

    def features(self, row: Floats, before: Floats | None, flow: Floats | None = None) -> Floats:
        assert before is None or before[0] == row[0], "of the same video"
        return np.array([row[0], -1 if before is None else before[1]], np.float32)


class FakeEmbedder(OneThread):
    """Features that are the first pixel itself."""

    def __init__(self, batch_frames: int, workers: int = 1) -> None:
        self.batch_frames, self.workers = batch_frames, workers

    def __call__(self, frames: Pixels) -> Floats:
        assert (len(frames), frames.shape[3]) == (self.batch_frames, 3)
        return frames[:, 0, 0].astype(np.float32)


def pending(number: int, file: Path = Path("fake.mp4"), expected: int | None = None) -> PendingVideo:
    return PendingVideo(f"{number:064x}", file, None, expected)


def fake_extract(
    decodings: Sequence[FakeDecoding], batch_frames: int = 4, workers: int = 2
) -> tuple[list[ExtractedVideo], MemorySink]:
    sink = MemorySink()
    outcomes = extract(
        [pending(i) for i in range(len(decodings))],
        decode=lambda video: decodings[int(video.video_id, 16)],
        embed=FakeEmbedder(batch_frames, workers),
        sink=sink,
        workers=workers,
    )
    return outcomes, sink


def test_features_know_the_frame_before_across_batches_and_never_that_of_another_video(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extraction, "FLUSH_FRAMES", 3)
    sink = MemorySink()
    lengths = [7, 1, 2, 9]
    decodings = [FakeDecoding(number, length) for number, length in enumerate(lengths)]

    outcomes = extract(
        [pending(number) for number in range(4)], decode=lambda video: decodings[int(video.video_id, 16)],
        embed=Differences(), sink=sink, workers=2,
    )  # fmt: skip

    for outcome, length in zip(outcomes, lengths, strict=True):
        assert sink.of(outcome)[:, 1].tolist() == list(range(-1, length - 1))


def decoder_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("decode")]


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


# -- the real engine on real files --------------------------------------------------------------


@pytest.fixture(scope="session")
def backbone() -> Backbone:
    return load_backbone(SPEC)


@pytest.fixture(scope="session")
def encode(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    folder = tmp_path_factory.mktemp("encoded")

    def make(name: str, source: str, *options: str) -> Path:
        command = [tools.ffmpeg, "-nostdin", "-loglevel", "error", "-y", "-f", "lavfi", "-i", source]
        subprocess.run([*command, *(options or ("-c:v", "libx264")), str(folder / name)], check=True)
        return folder / name

    return make


@pytest.fixture(scope="session")
def real(encode: Callable[..., Path]) -> list[PendingVideo]:
    """Five videos of 1, 3, 4, 6 and 10 sampled frames: more than one batch, none of them a multiple."""
    shown = {"testsrc2": 0.2, "mandelbrot": 0.7, "testsrc": 1.0, "smptebars": 1.5, "rgbtestsrc": 2.5}
    return [
        pending(i, encode(f"{name}.mp4", f"{name}=s=160x120:r=12,trim=duration={seconds},format=yuv420p"))
        for i, (name, seconds) in enumerate(shown.items())
    ]


@pytest.fixture(scope="session")
def run(backbone: Backbone, videos: VideoFiles) -> Callable[..., dict[str, Floats]]:
    def extract_all(chosen: Sequence[PendingVideo], workers: int = 2) -> dict[str, Floats]:
        sink = MemorySink()
        outcomes = extract(
            chosen,
            decode=lambda v: videos.decode(
                concrete(v.file, Path), SPEC.sample_fps, [SPEC.view], v.duration_s, SPEC.flow
            ),
            embed=backbone,
            sink=sink,
            workers=workers,
        )
        assert [o.video_id for o in outcomes] == [v.video_id for v in chosen]
        return {o.video_id: sink.of(o) for o in outcomes}

    return extract_all


@pytest.fixture(scope="session")
def alone(real: list[PendingVideo], run: Callable[..., dict[str, Floats]]) -> dict[str, Floats]:
    """Features of each real video computed with no company at all."""
    return {video_id: rows for video in real for video_id, rows in run([video], workers=1).items()}


def same_bits(a: dict[str, Floats], b: dict[str, Floats]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def test_the_real_videos_are_worth_comparing(alone: dict[str, Floats]) -> None:
    assert [len(rows) for rows in alone.values()] == [1, 3, 4, 6, 10]
    first_rows = np.stack([rows[0] for rows in alone.values()])
    assert len(np.unique(first_rows, axis=0)) == 5


def test_features_are_the_same_bits_all_together_as_alone(
    real: list[PendingVideo], run: Callable[..., dict[str, Floats]], alone: dict[str, Floats]
) -> None:
    assert same_bits(run(real), alone)


@pytest.mark.parametrize(("seed", "workers"), [(1, 1), (2, 3)])
def test_features_are_the_same_bits_in_any_order_and_any_split(
    seed: int,
    workers: int,
    real: list[PendingVideo],
    run: Callable[..., dict[str, Floats]],
    alone: dict[str, Floats],
) -> None:
    shuffled = random.Random(seed).sample(real, len(real))
    cut = random.Random(seed).randint(1, len(real) - 1)

    assert same_bits(run(shuffled[:cut], workers) | run(shuffled[cut:], workers), alone)


def test_a_bad_video_in_the_middle_costs_only_its_outcome(
    real: list[PendingVideo], backbone: Backbone, videos: VideoFiles, alone: dict[str, Floats], tmp_path: Path
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video at all")
    chosen = [real[1], replace(pending(99), file=text), real[2]]
    sink = MemorySink()
    seen: list[PendingVideo] = []

    outcomes = extract(
        chosen,
        decode=lambda v: videos.decode(concrete(v.file, Path), SPEC.sample_fps, [SPEC.view], None, SPEC.flow),
        embed=backbone, sink=sink, workers=2, on_frame=seen.append,
    )  # fmt: skip

    first, bad, last = outcomes
    assert (bad.stored, bad.report, bad.verdict, bad.error_class) == (None, None, "unreadable", "Unreadable")
    assert "moov atom not found" in certain(bad.message)
    assert [first.verdict, last.verdict] == ["ok", "ok"]
    assert np.array_equal(sink.of(first), alone[first.video_id])
    assert np.array_equal(sink.of(last), alone[last.video_id])
    assert sink.rows == 7
    assert seen == [chosen[0]] * len(sink.of(first)) + [chosen[2]] * len(sink.of(last))


def test_a_video_cut_short_is_partial(
    encode: Callable[..., Path], backbone: Backbone, videos: VideoFiles, tmp_path: Path
) -> None:
    whole = encode("whole.avi", "testsrc2=s=64x48:r=25:d=4", "-c:v", "mpeg4")
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    chosen = [pending(i, file, 100) for i, file in enumerate([whole, cut])]

    outcomes = extract(
        chosen,
        decode=lambda v: videos.decode(concrete(v.file, Path), SPEC.sample_fps, [SPEC.view], 4.0, SPEC.flow),
        embed=backbone, sink=MemorySink(), workers=2,
    )  # fmt: skip

    assert [o.verdict for o in outcomes] == ["ok", "partial"]
    of_whole, of_cut = (certain(certain(outcome.report).frames_decoded) for outcome in outcomes)
    assert of_whole == 100 > of_cut > 20


@pytest.fixture(scope="session")
def endless(encode: Callable[..., Path]) -> Path:
    """Long enough to be still decoding when something goes wrong."""
    return encode("endless.mp4", "testsrc2=s=320x240:r=25:d=40", "-c:v", "libx264", "-preset", "ultrafast")


@pytest.mark.parametrize("where", ["decoder", "backbone", "sink"])
def test_an_unexpected_error_stops_everything_and_leaves_no_thread_and_no_process(
    where: str, endless: Path, videos: VideoFiles
) -> None:
    reached: list[int] = []

    class Embedder(OneThread):
        batch_frames = 8

        def __call__(self, frames: Pixels) -> Floats:
            reached.extend(processes_naming(str(endless)))
            if where == "backbone":
                raise RuntimeError("the backbone broke")
            return np.zeros((8, 4), np.float32)

    class Sink(MemorySink):
        def append(self, features: VideoFeatures, first_frame: int = 0) -> None:
            if where == "sink":
                raise StorageFailed("the sink broke")

    def decode(video: PendingVideo) -> Decoding:
        if where == "decoder" and video.video_id == pending(1).video_id:
            raise RuntimeError("the decoder broke")
        fps = 0.5 if where == "sink" and video.video_id == pending(0).video_id else 25.0
        return videos.decode(concrete(video.file, Path), fps, [SPEC.view], 40.0, SPEC.flow)

    with pytest.raises((RuntimeError, StorageFailed), match=f"the {where} broke"):
        extract(
            [pending(i, endless) for i in range(6)], decode=decode, embed=Embedder(), sink=Sink(), workers=2
        )

    assert reached, "decoders were running by then"
    assert decoder_threads() == []
    assert processes_naming(str(endless)) == []


# -- rows and outcomes, on fakes ----------------------------------------------------------------

VIDEO = st.tuples(st.integers(0, 13), st.booleans())


@settings(max_examples=60, deadline=None)
@given(st.lists(VIDEO, max_size=9), st.integers(1, 5), st.integers(1, 3), st.integers(1, 6))
def test_whatever_comes_rows_are_whole_contiguous_and_in_order(
    chosen: list[tuple[int, bool]], batch_frames: int, workers: int, flush_frames: int
) -> None:
    decodings = [
        FakeDecoding(i, n, Unreadable("broke off") if bad else None) for i, (n, bad) in enumerate(chosen)
    ]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extraction, "FLUSH_FRAMES", flush_frames)
        outcomes, sink = fake_extract(decodings, batch_frames, workers)

    assert [o.video_id for o in outcomes] == [pending(i).video_id for i in range(len(chosen))]
    named = 0
    for number, ((n_frames, bad), outcome) in enumerate(zip(chosen, outcomes, strict=True)):
        assert (outcome.stored is None) == (bad or n_frames == 0) == (outcome.error_class is not None)
        if outcome.stored:
            assert outcome.stored.part == sink.name
            expected = [(number, index, 0) for index in range(n_frames)]
            assert [tuple(row) for row in sink.of(outcome).tolist()] == expected
            assert set(sink.ids[outcome.stored.row_offset :][:n_frames]) == {outcome.video_id}
            assert outcome.stored.row_offset >= named, "rows lie in the order of the videos"
            named = outcome.stored.row_offset + n_frames
    assert all(d.closed for d in decodings)
    assert decoder_threads() == []


def test_a_long_video_is_written_in_slices_that_count_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "FLUSH_FRAMES", 10)

    outcomes, sink = fake_extract([FakeDecoding(0, 3), FakeDecoding(1, 25), FakeDecoding(2, 20)])

    assert [(f.video_id[-1], first, len(f.values)) for f, first in sink.slices] == [
        ("0", 0, 3), ("1", 0, 10), ("1", 10, 10), ("1", 20, 5), ("2", 0, 10), ("2", 10, 10),
    ]  # fmt: skip
    assert [(s.row_offset, s.n_frames) for s in (certain(o.stored) for o in outcomes)] == [
        (0, 3),
        (3, 25),
        (28, 20),
    ]


def test_times_travel_with_their_rows() -> None:
    _, sink = fake_extract([FakeDecoding(0, 3), FakeDecoding(1, 2)])

    assert [f.times_s.tolist() for f, _ in sink.slices] == [[0.0, 0.25, 0.5], [0.0, 0.25]]


def test_a_long_video_in_slices_reads_back_whole_from_a_real_part(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(extraction, "FLUSH_FRAMES", 10)
    store, spec = FeatureStore(tmp_path), replace(SPEC, feature_size=3)
    decodings = [FakeDecoding(0, 3), FakeDecoding(1, 25, Unreadable("broke off")), FakeDecoding(2, 25)]

    with store.new_part(spec, "test") as part:
        outcomes = extract(
            [pending(i) for i in range(3)],
            decode=lambda video: decodings[int(video.video_id, 16)],
            embed=FakeEmbedder(4), sink=part, workers=2,
        )  # fmt: skip
        part.commit()

    first, bad, last = outcomes
    assert bad.stored is None
    stored = [certain(last.stored), certain(first.stored)]
    found = {f.video_id: f for f in store.read(spec.feature_set_id, stored)}
    assert found[last.video_id].values.tolist() == [[2, index, 0] for index in range(25)]
    assert found[last.video_id].times_s.tolist() == [index / 4 for index in range(25)]
    assert found[first.video_id].values.tolist() == [[0, index, 0] for index in range(3)]


def test_a_video_without_a_frame_and_without_an_error_is_still_a_failure() -> None:
    (outcome,), sink = fake_extract([FakeDecoding(0, 0)])

    assert outcome.stored is None
    assert (outcome.error_class, outcome.verdict) == ("VideoError", "unreadable")
    assert "no frame" in certain(outcome.message)
    assert sink.rows == 0


@pytest.mark.parametrize(("is_damaged", "verdict"), [(False, "ok"), (True, "partial")])
def test_the_verdict_is_what_the_decoder_met_not_what_a_clock_promised(
    is_damaged: bool, verdict: str
) -> None:
    class Reported(FakeDecoding):
        def __iter__(self) -> Generator[tuple[float, Pixels], None, None]:
            for time_s, pixels in super().__iter__():
                yield time_s, np.concatenate([pixels, 255 - pixels], 1)  # of one value it would be blank
            self.report = DecodeReport(3, 0, "", is_damaged=is_damaged)

    (outcome,) = extract(
        [pending(0, expected=90_000)],
        decode=lambda video: Reported(0, 3), embed=FakeEmbedder(4), sink=MemorySink(), workers=1,
    )  # fmt: skip

    assert outcome.verdict == verdict


# -- bounded look-ahead -------------------------------------------------------------------------


class Meter:
    """Counts frames that decoders have made and that the CNN has not taken."""

    def __init__(self) -> None:
        self.ahead = self.most = 0
        self._lock = threading.Lock()

    def move(self, by: int) -> None:
        with self._lock:
            self.ahead += by
            self.most = max(self.most, self.ahead)

    def settle(self) -> None:
        """Wait until the decoders have run as far ahead as they may."""
        seen = -1
        while seen != self.ahead:
            seen = self.ahead
            time.sleep(0.1)


@pytest.mark.parametrize("frames", [200, 4], ids=["long videos", "short videos"])
def test_decoders_run_ahead_of_the_cnn_but_only_so_far(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    workers, ahead_frames = 2, 6
    monkeypatch.setattr(decode_ahead, "AHEAD_FRAMES", ahead_frames)
    meter = Meter()

    class Metered(FakeDecoding):
        def __iter__(self) -> Generator[tuple[float, Pixels], None, None]:
            for frame in super().__iter__():
                meter.move(1)
                yield frame

    class SlowEmbedder(FakeEmbedder):
        calls = 0

        def __call__(self, frames: Pixels) -> Floats:
            meter.move(-1)
            self.calls += 1
            if self.calls in (1, 30, 700):
                meter.settle()
            return super().__call__(frames)

    outcomes = extract(
        [pending(i) for i in range(20)],
        decode=lambda video: Metered(0, frames),
        embed=SlowEmbedder(1), sink=MemorySink(), workers=workers,
    )  # fmt: skip

    assert all(certain(o.stored).n_frames == frames for o in outcomes)
    in_batches = 2  # one being computed, one behind it
    assert meter.most <= (2 * workers + 1) * (ahead_frames + 1) + in_batches
    assert meter.most >= workers * min(frames, ahead_frames), "they do run ahead"


def test_a_consumer_that_waits_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first video is the slowest: the others are ready before it, and yet come after it."""
    monkeypatch.setattr(decode_ahead, "AHEAD_FRAMES", 2)

    class Late(FakeDecoding):
        def __iter__(self) -> Generator[tuple[float, Pixels], None, None]:
            time.sleep(0.3)
            yield from super().__iter__()

    outcomes, sink = fake_extract([Late(0, 3), FakeDecoding(1, 3), FakeDecoding(2, 3)], workers=3)

    assert [certain(o.stored).row_offset for o in outcomes] == [0, 3, 6]
    assert sink.ids == [pending(i).video_id for i in (0, 0, 0, 1, 1, 1, 2, 2, 2)]


def test_batches_computed_side_by_side_come_back_in_order() -> None:
    class Uneven(FakeEmbedder):
        def __call__(self, frames: Pixels) -> Floats:
            time.sleep(0.02 * (int(frames[0, 0, 0, 0]) % 3))  # the later ones are ready first
            return super().__call__(frames)

    frames = {number: FakeDecoding(number, 5) for number in range(12)}
    alone, together = MemorySink(), MemorySink()
    for workers, sink in ((1, alone), (4, together)):
        extract(
            [pending(i) for i in frames],
            decode=lambda video: frames[int(video.video_id, 16)],
            embed=Uneven(2, workers), sink=sink, workers=2,
        )  # fmt: skip
    assert together.ids == alone.ids
    for (mine, _), (theirs, _) in zip(together.slices, alone.slices, strict=True):
        assert np.array_equal(mine.values, theirs.values)


def test_an_embedder_that_breaks_beside_others_stops_the_batch() -> None:
    class Breaking(FakeEmbedder):
        def __call__(self, frames: Pixels) -> Floats:
            raise RuntimeError("the backbone broke")

    with pytest.raises(RuntimeError, match="broke"):
        extract(
            [pending(0)], decode=lambda video: FakeDecoding(0, 9), embed=Breaking(2, 3), sink=MemorySink(),
            workers=2,
        )  # fmt: skip


def test_the_threads_setting_is_as_before_when_the_cnn_has_done(backbone: Backbone) -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), backbone.threads() as pool:
        assert [pool.submit(torch.get_num_threads).result() for _ in range(3)] == [1] * 3
        _ = 1 / 0
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == before == torch.get_num_threads()
