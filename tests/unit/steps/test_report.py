"""The report: its numbers are those of the SQL, everything in it is text, and a browser has no complaint."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from conftest import certain

from vidpipe.adapters.database import sqlfiles
from vidpipe.adapters.database.views import create_views
from vidpipe.adapters.database.warehouse import Warehouse
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.adapters.reports import Reports
from vidpipe.adapters.sources.staging import Staging
from vidpipe.errors import NoFrames, NotFound, StorageFailed, Vanished, VideoError
from vidpipe.ports import Ports
from vidpipe.report.page import SECTIONS, Picture, clock, label_mix, short, span, timeline
from vidpipe.steps import nightly as night_steps
from vidpipe.steps.ingest import ingest
from vidpipe.steps.nightly import nightly
from vidpipe.steps.report import MAX_PICTURE_BYTES, report

NIGHT = datetime(2026, 3, 2, 2)
SCRIPT = "<script>alert(1)</script>.mp4"
MEGABYTE = 1_000_000
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or "chromium"

TALE = """
insert into core.collection (collection_key, name, source, created_at) values
    (1, 'yard <b>&amp;</b>', $source, $night), (2, 'street', $source, $night);
insert into core.video (video_key, video_id, bytes, container, video_codec, duration_s, frames_expected,
    frames_decoded, decode_errors, verdict)
select k, lpad(k::varchar, 64, '0'), 1000 + k, 'mov,mp4', 'h264', if(k < 40, 3605 - k * 60, 10), 100, 100, 0,
    ['ok', 'ok', 'ok', 'partial', 'no_frames'][1 + k % 5]
from range($videos) as made (k);
insert into core.collection_video (collection_key, path, video_key, present, first_seen_at, last_seen_at)
select
    1 + k % 2, if(k = 0, $script, repeat('a long folder/', $depth::bigint) || 'clip ' || k || '.mp4'), k,
    true, if(k % 4 = 0, $night - interval 5 day, $night + interval 1 minute), $night
from range($videos) as made (k);
insert into core.feature_set values (1, 'f1', '{}', $night);
insert into core.model values (1, 'clips');
insert into core.label select k, 'label <i>' || k from range($labels) as made (k);
insert into core.run (run_id, kind, status, started_at, finished_at, videos, frames, failed, seconds, detail)
values
    (1, 'nightly', 'ok', $night - interval 1 day, $night - interval 23 hour, 5, 50, 0, 60, '{}'),
    (2, 'classify', 'ok', $night - interval 24 hour, $night - interval 23 hour, 5, 0, 0, 10, '{}'),
    (3, 'nightly', 'over_budget', $night, $night + interval 1 hour, 7, 400, 3, 3600.5,
     '{"ingested": 7, "extracted": 6, "classified": 5, "remaining": 4, "problems": ["street: <u>gone</u>"],
       "shadow": {"version": 2, "champion": 1, "videos": 9, "compared": 8, "agreeing": 6}}'),
    (4, 'ingest', 'ok', $night, $night + interval 1 minute, 7, 0, 0, 20,
     '{"collection": "street", "new": 7, "removed": 2}'),
    (5, 'extract', 'ok', $night, $night + interval 2 minute, 6, 400, 3, 100, '{}'),
    (6, 'classify', 'ok', $night, $night + interval 3 minute, 5, 0, 0, 8, '{}'),
    (7, 'train', 'ok', $night, $night + interval 4 minute, 5, 0, 0, 8, '{}'),
    (8, 'nightly', 'running', $night + interval 1 day, null, null, null, null, null, null);
insert into core.prediction
select k, 1, v, 1, r, (k * v + r - 1) % $labels, if(r = 1, 0.3 + (k % 70) / 100, 0.2 - (k % 9) / 100),
    if(v = 2, 3, if(k % 4 = 0, 2, 6)), $night, if(k < 40, 10, null), if(k < 40, 5, null), null
from range($videos) as made (k), range(1, 3) as version (v), range(1, 3) as ranked (r);
insert into core.window_prediction
select k, 1, v, 1, 5 * w, 5 * w + 10, 1, hash(k, w // 4, v) % least($labels, 11), 0.3 + (w % 70) / 100, 6,
    $night, null
from range($videos) as made (k), range(1, 3) as version (v), range(720) as windows (w)
where k < 40 and 5 * w + 10 <= 3605 - k * 60
order by k, v, w;
insert into core.collection_serving values (1, 1, $night), (2, 1, $night);
insert into core.version values (1, 'clips', 1, 'd', true);
insert into core.video_novelty select k, 1, 0.5 + (k % 3) / 3 from range($videos) as made (k);
insert into core.failure
select 1, 'bad <em> ' || k || '.mp4', null, 'probe', 'Unreadable', repeat('moov <atom> not found ', 40), 2,
    if(k % 2 = 0, 'retry', 'quarantined'), $night, $night + interval 1 minute
from range($failures) as made (k);
insert into core.promotion values
    (1, 'clips', null, 1, 'promoted', $evidence, 'e1', null, 'ann <s>', $night - interval 3 day, true, null),
    (2, 'clips', 1, 2, 'refused', $evidence, 'e1', 'worse <s>', 'bob', $night - interval 2 day, true, null);
"""

SCORES = {
    "accuracy": 0.875, "macro_f1": 0.5, "per_label": {"label <i>1": {"recall": 0.75, "support": 4}},
}  # fmt: skip
EVIDENCE = {
    "challenger": SCORES, "champion": None, "baseline": None, "difference": None, "mcnemar": None,
    "calibration_error": {"challenger": 0.1}, "p_chance": 0.001, "warnings": ["few <b> videos"],
    "eval_set": {"frozen": True, "eval_set_hash": "e1", "videos": 8},
}  # fmt: skip


LOCAL = Staging(Path("nowhere"), 0, lambda wanted, file: None)
"""For files, which need none."""


def warehouse_of(folder: Path, *, videos: int, labels: int, failures: int, depth: int = 1) -> Warehouse:
    """A snapshot that tells of a night in which much went on."""
    file = folder / "warehouse.duckdb"
    values = {
        "source": str(folder), "night": NIGHT, "videos": videos, "labels": labels, "failures": failures,
        "script": SCRIPT, "depth": depth, "evidence": json.dumps(EVIDENCE),
    }  # fmt: skip
    with duckdb.connect(file, config={"storage_compatibility_version": "v1.5.0"}) as con:
        for _, _, text in sqlfiles.migrations():
            con.execute(text)
        create_views(con)
        for part in duckdb.extract_statements(TALE):
            con.execute(part, {k: v for k, v in values.items() if k in part.named_parameters})
    return Warehouse(file, file, None)  # type: ignore[arg-type]


class FakeVideos(VideoFiles):
    """Every video shows the same; sizes are as the warehouse says, so that no file is needed."""

    def __init__(self, jpeg: bytes = b"\xff\xd8jpeg") -> None:
        self.jpeg = jpeg

    def thumbnail(self, file: Path, longer_px: int = 160) -> bytes:
        return self.jpeg


class Page(HTMLParser):
    """What a page holds: tables by caption, all text, all elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._cell: str | None = None
        self._caption: str | None = None
        self._skip = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        self._skip += tag == "style"
        if tag == "caption":
            self._caption = ""
        elif tag == "tr":
            self.tables[self.caption].append([])
        elif tag in ("td", "th"):
            self._cell = ""

    def handle_endtag(self, tag: str) -> None:
        self._skip -= tag == "style"
        if tag == "caption":
            self.caption, self._caption = certain(self._caption).strip(), None
            self.tables[self.caption] = []
        elif tag in ("td", "th"):
            self.tables[self.caption][-1].append(certain(self._cell).strip())
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._skip:
            return
        self.text += data
        if self._cell is not None:
            self._cell += data
        if self._caption is not None:
            self._caption += data

    def table(self, start: str) -> list[list[str]]:
        """The body of the one table whose caption starts so."""
        (found,) = [rows for caption, rows in self.tables.items() if caption.startswith(start)]
        return found[1:]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A small tale, its page, and a way to ask the warehouse behind it."""
    folder = tmp_path_factory.mktemp("told")
    warehouse = warehouse_of(folder, videos=400, labels=30, failures=60)
    for key in range(400):  # those that might be shown
        (folder / f"clip {key}.mp4").write_bytes(b"")
    made = report(warehouse, FakeVideos(), Reports(folder / "reports"), staging=LOCAL)
    text = Path(made.report).read_text(encoding="utf-8")
    return SimpleNamespace(
        made=made, file=Path(made.report), text=text, page=Page(text), folder=folder, warehouse=warehouse,
        ask=lambda sql: warehouse.query(sql).rows,
    )  # fmt: skip


# -- the numbers --------------------------------------------------------------------------------

SPAN = f"between timestamp '{NIGHT}' and timestamp '{NIGHT + timedelta(hours=1)}'"


def test_the_last_night_that_has_ended_is_told(told: Any) -> None:
    assert (told.made.run_id, told.file.name) == (3, "3.html")
    assert "over budget" in told.page.text and "street: <u>gone</u>" in told.page.text


def test_what_came_in_is_what_the_sql_says(told: Any) -> None:
    rows = {row[0]: row for row in told.page.table("Collections and what came")}
    counted = told.ask(
        f"select collection, count(*) from collection_videos where first_seen_at {SPAN} group by collection"
    )
    assert {name: row[1] for name, row in rows.items()} == {name: str(n) for name, n in counted}
    assert rows["street"][4:] == ["7", "2", "7"]


def test_what_was_classified_is_what_the_sql_says(told: Any) -> None:
    rows = told.page.table("Videos classified")
    expected = told.ask(
        "select cv.collection, p.model_version, count(*), count(distinct p.label), avg(p.score) "
        "from predictions p join collection_videos cv using (video_id) where p.rank = 1 and p.run_id = 6 "
        "group by all order by all"
    )
    assert [row[:5] for row in rows] == [
        [c, str(v), str(n), str(k), f"{m:.3f}"] for c, v, n, k, m in expected
    ]
    unknown = told.ask(
        "select collection, count(*) from latest_predictions "
        "join predictions p using (video_id, model_version) "
        "where p.rank = 1 and p.run_id = 6 and not is_known group by all order by all"
    )
    assert {row[0]: row[6] for row in rows} == {c: str(n) for c, n in unknown}


def test_the_label_mix_is_what_the_sql_says_and_the_rare_are_counted_together(told: Any) -> None:
    rows = told.page.table("Share of each label")
    now = dict(
        told.ask("select label, count(*) from predictions where rank = 1 and run_id = 6 group by label")
    )
    total = sum(now.values())
    assert len(rows) == 16 and rows[-1][0] == "15 other labels"
    assert sum(int(row[3]) for row in rows) == total
    for label, share, _, videos, *_ in rows[:-1]:
        assert (int(videos), share) == (now[label], f"{100 * now[label] / total:.1f} %")


def test_the_lowest_scores_come_first(told: Any) -> None:
    (lowest,) = told.ask("select min(score) from predictions where rank = 1 and run_id = 6")[0]
    section = told.text.split('id="unsure"')[1].split("</section>")[0]
    scores = [float(s) for s in re.findall(r"<b>([\d.]+)</b>", section)]
    assert len(scores) == 12 and scores == sorted(scores)
    assert scores[0] == pytest.approx(lowest, abs=5e-4)


def test_long_videos_are_told_by_the_segments_that_the_sql_says(told: Any) -> None:
    shown = [a["data-video"] for tag, a in told.page.elements if tag == "article"]
    expected = told.ask(
        "select p.video_id from predictions p join videos v using (video_id) where p.run_id = 6 "
        "and p.rank = 1 and p.model_version = 1 and v.duration_s > p.window_s "
        "order by v.duration_s desc limit 12"
    )
    assert shown == [video_id for (video_id,) in expected] and len(shown) == 12
    assert "the 12 longest of 30 videos" in told.page.text

    (path,) = told.ask(f"select path from latest_predictions where video_id = '{shown[0]}'")[0]
    rows = told.page.table(f"Segments of {path}, in order")
    segments = told.ask(
        f"select start_s, end_s, label, peak_score from timeline where video_id = '{shown[0]}'"
    )
    assert f"The 12 longest of {len(segments)} segments" in told.page.text
    assert len(rows) == 12
    assert {tuple(row[:4]) for row in rows} <= {
        (clock(s), clock(e), k, f"{p:.3f}") for s, e, k, p in segments
    }
    assert "4 other labels" in told.page.text  # eleven in all


def test_the_pieces_of_a_line_lie_side_by_side_and_gaps_stay_open() -> None:
    video = {"collection": "c", "path": "p", "video_id": "v", "label": "a", "score": 0.5}
    spans = [(0, 20, "a"), (15, 30, "b"), (25, 40, "a"), (80, 100, "z")]
    segments = [{"start_s": s, "end_s": e, "label": k, "peak_score": 1, "mean_score": 1} for s, e, k in spans]

    line = timeline(video, segments, {"a": 0, "b": 1})

    assert [(p.colour, p.left, p.width) for p in line.drawn] == [
        (0, 0, 17.5), (1, 17.5, 10), (0, 27.5, 12.5), (None, 80, 20),
    ]  # fmt: skip
    many = [{**segments[0], "start_s": k, "end_s": k + 1 + (k == 7)} for k in range(500)]
    line = timeline(video, many, {})
    assert (line.segments, len(line.listed)) == (500, 12) and many[7] in line.listed
    assert [(p.left, round(p.width, 6)) for p in line.drawn] == [(0, 100)], "all of them are grey"
    line = timeline(video, [s | {"label": "ab"[k % 2]} for k, s in enumerate(many)], {"a": 0, "b": 1})
    assert len(line.drawn) <= 160 and sum(p.width for p in line.drawn) == pytest.approx(100)
    line = timeline(video, [s for k, s in enumerate(many) if not 100 <= k < 300], {})
    assert [(round(p.left), round(p.width)) for p in line.drawn] == [(0, 20), (60, 40)]
    assert [clock(s) for s in (0, 59.6, 3599, 7205)] == ["0:00", "1:00", "59:59", "2:00:05"]


def test_a_night_without_long_videos_says_how_to_have_some(tmp_path: Path) -> None:
    warehouse = warehouse_of(tmp_path, videos=0, labels=3, failures=0)
    made = report(warehouse, FakeVideos(), Reports(tmp_path / "reports"), staging=LOCAL)
    assert "No long video was classified" in Path(made.report).read_text(encoding="utf-8")


def test_disagreements_are_those_of_tonights_shadow(told: Any) -> None:
    assert "Of 8 that both have scored, 6 (75.0 %) were given the same label" in told.page.text
    section = told.text.split('id="disagreements"')[1].split("</section>")[0]
    assert section.count(">challenger<") == 12
    both = re.findall(r">champion<.*?<bdi>(.*?)</bdi>.*?>challenger<.*?<bdi>(.*?)</bdi>", section, re.S)
    assert all(mine != theirs for mine, theirs in both)


def test_failures_verdicts_and_speed_are_what_the_sql_says(told: Any) -> None:
    assert told.page.table("What failed, by reason")[0][:4] == ["probe", "Unreadable", "60", "30"]
    assert len(told.page.table("Failures with")) == 40 and "the first 40" in told.page.text
    verdicts = told.ask("select replace(verdict, '_', ' '), count(*) from videos group by verdict")
    assert {row[0]: row[2] for row in told.page.table("Verdicts")} == {v: str(n) for v, n in verdicts}
    stages = {row[0]: row for row in told.page.table("The run and its parts")}
    assert set(stages) == {"nightly", "ingest street", "extract", "classify"}  # training is no part of it
    assert stages["extract"][6] == "4.0"


def test_the_model_is_told_with_what_it_became_champion_on(told: Any) -> None:
    rows = {row[0]: row[1:] for row in told.page.table("What it became champion on")}
    assert rows["accuracy"] == ["0.875"] and rows["recall of label <i>1"] == ["0.750"]
    decisions = told.page.table("Decisions")
    assert [row[1:] for row in decisions] == [["refused", "1", "2", "bob", "worse <s>"],
                                              ["promoted", "", "1", "ann <s>", ""]]  # fmt: skip


def test_another_run_can_be_told_and_one_that_does_not_exist_is_an_error(told: Any) -> None:
    made = report(told.warehouse, FakeVideos(), Reports(told.folder / "other"), 2, staging=LOCAL)
    assert Path(made.report).name == "2.html"
    for unknown in (8, 99):  # running, never begun
        with pytest.raises(NotFound):
            report(told.warehouse, FakeVideos(), Reports(told.folder / "other"), unknown, staging=LOCAL)


def test_labels_of_nights_without_any_before() -> None:
    rows = [{"run_id": 5, "label": "cat", "videos": 3}, {"run_id": 5, "label": "dog", "videos": 1}]

    (cat, dog) = label_mix(rows, 5)

    assert (cat.label, cat.share, cat.before, cat.course) == ("cat", 0.75, None, [0.75])
    assert (dog.label, dog.share) == ("dog", 0.25)
    assert label_mix([], 5) == []


def test_a_label_that_is_no_longer_given_shows_its_fall() -> None:
    rows = [{"run_id": 4, "label": "dog", "videos": 2}]

    (dog,) = label_mix(rows, 5)

    assert (dog.share, dog.before, dog.course) == (0.0, 1.0, [1.0, 0.0])


# -- text stays text ----------------------------------------------------------------------------


def test_a_video_named_script_stays_text(tmp_path: Path) -> None:
    warehouse = warehouse_of(tmp_path, videos=12, labels=3, failures=3)
    made = report(
        warehouse, FakeVideos(), Reports(tmp_path / "reports"), 2, staging=LOCAL
    )  # its scores are the lowest there

    text = Path(made.report).read_text(encoding="utf-8")
    page = Page(text)
    assert SCRIPT in page.text
    assert {tag for tag, _ in page.elements} & {"script", "b", "u", "i", "em", "s", "atom"} <= {"b"}
    assert "<script" not in text and "label <i>0" in page.text
    assert not [a for _, attributes in page.elements for a in attributes if a.startswith("on")]


def test_the_page_forbids_itself_scripts_and_the_network(told: Any) -> None:
    policies = [a.get("content") for tag, a in told.page.elements if a.get("http-equiv")]
    assert policies and "default-src 'none'" in str(policies[0])
    links = [a.get("src") or a.get("href") for _, a in told.page.elements if a.get("src") or a.get("href")]
    assert {str(link).split(":")[0].split("#")[0] for link in links} <= {"", "data"}


def test_control_characters_and_long_text_are_tamed() -> None:
    assert short("a\x00b\u202ec") == "a\ufffdb\ufffdc"
    assert len(short("x" * 5000)) <= 170
    assert short(None) == ""
    assert [span(s) for s in (0.25, 61, 3725, None)] == ["0.2 s", "1 min 01 s", "1 h 02 min", ""]


# -- who cannot see it, who has a phone -----------------------------------------------------------


def test_tables_have_captions_and_scopes_pictures_have_words_and_sections_have_names(told: Any) -> None:
    elements = told.page.elements
    tags = [tag for tag, _ in elements]
    assert tags.count("caption") == tags.count("table") >= 8
    assert all(a.get("scope") in ("row", "col") for tag, a in elements if tag == "th")
    assert all(a.get("alt") for tag, a in elements if tag == "img")
    assert all(a.get("aria-hidden") == "true" for tag, a in elements if tag == "svg")
    assert {"header", "nav", "main", "footer", "h1"} <= set(tags)
    ids = {a["id"] for _, a in elements if a.get("id")}
    targets = {a["href"][1:] for tag, a in elements if tag == "a" and a["href"].startswith("#")}
    assert targets <= ids and {f"{name}-heading" for name in SECTIONS} <= ids
    assert elements[0] == ("html", {"lang": "en"})


# -- weight -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Ten thousand videos with long names, a thousand labels, the heaviest pictures that are let in."""
    folder = tmp_path_factory.mktemp("heavy")
    warehouse = warehouse_of(folder, videos=10_000, labels=1000, failures=3000, depth=15)
    made = report(warehouse, FakeVideos(bytes(MAX_PICTURE_BYTES)), Reports(folder), staging=LOCAL)
    return SimpleNamespace(made=made, file=Path(made.report))


def test_a_night_of_ten_thousand_videos_stays_under_a_megabyte(heavy: Any) -> None:
    assert heavy.made.bytes == heavy.file.stat().st_size < MEGABYTE


def test_with_the_heaviest_pictures_everywhere_it_still_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = warehouse_of(tmp_path, videos=10_000, labels=1000, failures=3000, depth=15)
    heaviest = Picture(bytes(MAX_PICTURE_BYTES), "")
    monkeypatch.setattr("vidpipe.steps.report._picture", lambda *_: heaviest)

    made = report(warehouse, FakeVideos(), Reports(tmp_path), staging=LOCAL)

    assert made.pictures == 24 and 500_000 < made.bytes < MEGABYTE


# -- pictures -----------------------------------------------------------------------------------


def test_a_thumbnail_is_a_small_jpeg_from_the_middle(videos: VideoFiles, clips: Any) -> None:
    from PIL import Image

    file = sorted(clips.incoming.glob("*.mp4"))[0]
    jpeg = videos.thumbnail(file)

    picture = Image.open(BytesIO(jpeg))
    assert picture.format == "JPEG" and max(picture.size) == 160
    assert len(jpeg) < MAX_PICTURE_BYTES


def test_what_gives_no_frame_gives_an_error_of_ours(videos: VideoFiles, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n")
    for name in ("text.mp4", "list.m3u8"):
        with pytest.raises(VideoError):
            videos.thumbnail(tmp_path / name)
    with pytest.raises(Vanished):
        videos.thumbnail(tmp_path / "gone.mp4")


class BrokenVideos(FakeVideos):
    def thumbnail(self, file: Path, longer_px: int = 160) -> bytes:
        raise NoFrames(f"{file.name}: no frame decodes.")


def test_a_video_that_is_gone_changed_or_damaged_has_words_in_place_of_a_picture(tmp_path: Path) -> None:
    warehouse = warehouse_of(tmp_path, videos=12, labels=3, failures=0)
    folder = tmp_path / "a long folder"
    folder.mkdir()
    for key in range(1, 12, 4):
        (folder / f"clip {key}.mp4").write_bytes(bytes(1000 + key))  # as the warehouse has it
    (folder / "clip 2.mp4").write_bytes(b"changed")
    warehouse.file.chmod(0o644)
    with duckdb.connect(str(warehouse.file)) as connection:
        connection.execute("update core.collection_video set size_bytes = 9, mtime_ns = 1, inode = 1")
        for key in range(1, 12, 4):
            found = (folder / f"clip {key}.mp4").stat()
            stamp = [found.st_size, found.st_mtime_ns, found.st_ino, f"%clip {key}.mp4"]
            connection.execute(
                "update core.collection_video set size_bytes = ?, mtime_ns = ?, inode = ? where path like ?",
                stamp,
            )

    made = report(warehouse, BrokenVideos(), Reports(tmp_path / "reports"), staging=LOCAL)

    text = Path(made.report).read_text(encoding="utf-8")
    assert made.pictures == 0
    for reason in ("the file is gone", "the file has changed since", "no frame can be shown"):
        assert f'<div class="placeholder">{reason}</div>' in text


# -- the night and the verb ---------------------------------------------------------------------


@pytest.fixture
def two_clips(ports: Ports, tmp_path: Path, clips: Any) -> Ports:
    source = tmp_path / "source"
    source.mkdir()
    for file in sorted(clips.incoming.glob("*.mp4"))[:2]:
        (source / file.name).write_bytes(file.read_bytes())
    ingest(ports, "two", source)
    return ports


def test_a_night_writes_its_page(two_clips: Ports) -> None:
    night = nightly(two_clips)

    assert night.report and night.report.endswith(f"reports/{night.run_id}.html")
    page = Page(Path(night.report).read_text(encoding="utf-8"))
    assert "no champion" in page.text
    assert {row[0] for row in page.table("The run and its parts")} == {"nightly", "ingest two", "extract"}


def test_a_page_that_cannot_be_written_spoils_no_night(
    two_clips: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: Any) -> Any:
        raise RuntimeError("surprise")

    monkeypatch.setattr(night_steps, "report", failing)

    night = nightly(two_clips)

    assert (night.status, night.report) == ("no_champion", None)


def test_a_forgotten_video_is_on_no_page_any_more(told: Any) -> None:
    pages = Reports(told.folder / "pages")
    for run_id in (2, 3):
        report(told.warehouse, FakeVideos(), pages, run_id, staging=LOCAL)
    shown = re.findall(r'data-video="(\w+)"', (told.folder / "pages" / "3.html").read_text())

    assert pages.forget("f" * 64) == 0
    assert pages.forget(shown[0]) == 1
    assert [f.name for f in (told.folder / "pages").iterdir()] == ["2.html"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file stands in the way")
    with pytest.raises(StorageFailed):
        Reports(tmp_path / "reports").write(1, "page")


def test_the_verb_writes_the_page_anew_and_prints_where(vidpipe: Any, tmp_path: Path, clips: Any) -> None:
    assert "no night has ended" in json.loads(_after_ingest(vidpipe, clips).stdout)["error"]["message"]
    told = json.loads(vidpipe("nightly", "--json").stdout)
    Path(told["report"]).unlink()

    ended = vidpipe("report")

    assert (ended.returncode, ended.stdout.strip()) == (0, told["report"])
    assert Path(told["report"]).is_file()


def _after_ingest(vidpipe: Any, clips: Any) -> subprocess.CompletedProcess[str]:
    vidpipe("ingest", str(clips.incoming), "--collection", "incoming")
    ended: subprocess.CompletedProcess[str] = vidpipe("report", "--json")
    return ended


# -- a real browser: `make test-services` --------------------------------------------------------


@pytest.fixture
def browse(tmp_path: Path) -> Iterator[Any]:
    """Opens a page in headless Chromium: (DOM after loading, what the console said)."""

    def call(file: Path) -> tuple[str, list[str]]:
        ended = subprocess.run(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
             f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--v=0", file.as_uri()],
            capture_output=True, text=True, timeout=120, check=True,
            env={**os.environ, "HOME": str(tmp_path)},
        )  # fmt: skip
        return ended.stdout, [line for line in ended.stderr.splitlines() if "CONSOLE" in line]

    yield call


@pytest.mark.services
def test_chromium_has_no_complaint_and_sees_the_same_text(told: Any, browse: Any) -> None:
    dom, console = browse(told.file)

    assert console == []
    assert Page(dom).table("What failed, by reason") == told.page.table("What failed, by reason")
    assert [tag for tag, _ in Page(dom).elements if tag == "script"] == []


@pytest.mark.services
def test_chromium_would_complain_about_a_script_or_a_request(told: Any, browse: Any, tmp_path: Path) -> None:
    spoiled = tmp_path / "spoiled.html"
    spoiled.write_text(
        told.text.replace("<main", "<script>alert(1)</script><img src='http://127.0.0.1:1/x'><main")
    )

    _, console = browse(spoiled)

    assert len(console) >= 2 and all("Content Security Policy" in line for line in console[:2])


@pytest.mark.services
def test_chromium_opens_ten_thousand_videos(heavy: Any, browse: Any) -> None:
    dom, console = browse(heavy.file)

    assert console == []
    assert len(dom) < MEGABYTE * 1.2
