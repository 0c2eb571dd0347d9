"""The browse page: pages of videos by filters, labels that wait, undo, and who is let in."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import concrete, rows_of, warehouse_rows
from starlette.testclient import TestClient
from stored import clouds, content_id, put_collection

from vidpipe.adapters.database.ledger import Ledger
from vidpipe.adapters.locks.file_lease import FileLease
from vidpipe.browse.app import make_app
from vidpipe.browse.gate import HEADERS
from vidpipe.browse.labelling import Labelling
from vidpipe.errors import ConfigurationError, LeaseHeld
from vidpipe.ports import Ports
from vidpipe.records.labels import WaitingLabel
from vidpipe.records.models import VersionId
from vidpipe.records.near_duplicates import NearDuplicate
from vidpipe.records.predictions import Prediction
from vidpipe.steps.browse import CHOICES, Filters, page
from vidpipe.steps.label import label
from vidpipe.steps.nightly import Night, write_labels
from vidpipe.steps.runs import recorded
from vidpipe.steps.vectors import make_vectors
from vidpipe.steps.waiting_labels import write_waiting

TOKEN = "a-token-as-long-as-it-is-random"
LABELS = {f"{n:02d}.mp4": ("cat", "dog")[n % 2] for n in range(12)}
GIVEN = {"00.mp4": "cat", "01.mp4": "dog", "02.mp4": "dog"}
"""Known labels; that of 02 contradicts the model."""
NOVEL = {"03.mp4": 1.5, "04.mp4": 0.2}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, make_ports: Callable[[Path], Ports]) -> Path:
    """Twelve videos, of which 11 has not been classified; scores are 0.5, 0.6, 0.7, 0.8 by turns."""
    folder = tmp_path_factory.mktemp("browse") / "home"
    ports = make_ports(folder)
    put_collection(ports, "yard", clouds(LABELS, ports.limits.spec.feature_size), GIVEN)
    scores = [
        Prediction(content_id(path), rank, text, score)
        for n, path in enumerate(sorted(LABELS)[:11])
        for rank, text, score in (
            (1, LABELS[path], 0.5 + n % 4 / 10),
            (2, {"cat": "dog", "dog": "cat"}[LABELS[path]], 0.5 - n % 4 / 10),
        )
    ]
    version = VersionId("m", 1, "d")
    ports.ledger.versions.recognise(version)
    ports.ledger.predictions.put_predictions(1, version, ports.limits.spec.feature_set_id, scores)
    serving = "insert into core.collection_serving select collection_key, 1, now() from core.collection"
    change(ports, serving)  # though one video lacks a score
    ports.ledger.novelty.put(version, {content_id(path): value for path, value in NOVEL.items()})
    make_vectors(ports, [ports.limits.spec])
    ports.warehouse.publish()
    return folder


def change(ports: Ports, sql: str) -> None:
    """Write into the ledger what no step would."""
    with concrete(ports.ledger, Ledger).database.session() as session:
        session.connection.execute(sql)


@pytest.fixture
def yard(built: Path, tmp_path: Path, make_ports: Callable[[Path], Ports]) -> Ports:
    """That home, to be written to."""
    return make_ports(shutil.copytree(built, tmp_path / "home", symlinks=True))


@pytest.fixture(scope="module")
def calm(built: Path, make_ports: Callable[[Path], Ports]) -> Ports:
    """That home, only to be looked at."""
    return make_ports(built)


@pytest.fixture
def labelling(yard: Ports) -> Iterator[Labelling]:
    opened = Labelling(yard, idle_s=3600)
    yield opened
    opened.close()


def page_of(ports: Ports, labelling: Labelling) -> TestClient:
    app = make_app(ports, labelling, TOKEN)
    return TestClient(app, base_url=f"http://127.0.0.1:8000/{TOKEN}/", follow_redirects=False)


@pytest.fixture
def client(yard: Ports, labelling: Labelling) -> TestClient:
    return page_of(yard, labelling)


@pytest.fixture(scope="module")
def reader(calm: Ports) -> TestClient:
    return page_of(calm, Labelling(calm))


@pytest.fixture
def night(tmp_path: Path) -> Callable[[], AbstractContextManager[None]]:
    """The lease as another process would hold it."""
    return lambda: FileLease(tmp_path / "home" / "state" / "lease").hold("nightly")


def paths(ports: Ports, **asked: str) -> list[str]:
    """All pages of five, one after the other."""
    found: list[str] = []
    after = None
    while True:
        got = page(ports, Filters.of({"collection": "yard", **asked}), after, 5)
        found += [video["path"] for video in got["videos"]]
        after = got["next"]
        if not after:
            assert len(found) == len(set(found)) == got["matching"]
            return found


def waiting(path: str) -> WaitingLabel:
    return WaitingLabel("yard", path, "emu", content_id(path), "test", "2026-01-01T00:00:00")


def given(ports: Ports) -> dict[str, str]:
    """What the published warehouse says the labels are."""
    return dict(warehouse_rows(ports, "select path, label from collection_videos where label is not null"))


# -- pages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", CHOICES["sort"])
def test_pages_hold_every_video_once_in_every_order(calm: Ports, sort: str) -> None:
    found = paths(calm, sort=sort)
    assert sorted(found) == sorted(LABELS)
    if sort in ("unsure", "sure"):
        assert found[-1] == "11.mp4", "what has no score comes last"
        first = {"unsure": ["00.mp4", "04.mp4", "08.mp4"], "sure": ["03.mp4", "07.mp4", "02.mp4"]}
        assert found[:3] == first[sort], "equal scores by path"
    if sort == "novel":
        assert found[:2] == ["03.mp4", "04.mp4"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"text": "1.M"}, {"01.mp4", "11.mp4"}),
        ({"label": "cat"}, {"00.mp4", "04.mp4", "06.mp4", "08.mp4", "10.mp4"}),
        ({"label": "dog", "state": "labelled"}, {"01.mp4", "02.mp4"}),
        ({"state": "contradicted"}, {"02.mp4"}),
        ({"state": "unlabelled", "min_score": "0.75"}, {"03.mp4", "07.mp4"}),
        ({"max_score": "0.55"}, {"00.mp4", "04.mp4", "08.mp4"}),
        ({"novelty": "novel"}, {"03.mp4"}),
        ({"novelty": "known"}, {"04.mp4"}),
        ({"since": "2020-01-01", "until": "2020-01-02"}, set()),
        ({"since": "2020-01-01"}, set(LABELS)),
        ({"verdict": "ok"}, set(LABELS)),
        ({"verdict": "blank"}, set()),
        ({"duplicate": "copies"}, set()),
        ({"text": "%"}, set()),
        ({"text": "'; drop table"}, set()),
    ],
)
def test_filters_let_through_what_they_say(calm: Ports, asked: dict[str, str], expected: set[str]) -> None:
    assert set(paths(calm, **asked)) == expected


def test_a_video_at_two_places_is_a_copy(yard: Ports) -> None:
    put_collection(yard, "street", clouds({"00.mp4": "cat"}, yard.limits.spec.feature_size))
    assert paths(yard, duplicate="copies") == ["00.mp4"]
    assert len(paths(yard, duplicate="single")) == 11


def test_near_duplicates_are_a_filter(yard: Ports) -> None:
    assert paths(yard, duplicate="near") == []
    pairs = [
        NearDuplicate(content_id(one), content_id(other), similarity, 0, 1, 0, 1, 4)
        for one, other, similarity in (("01.mp4", "07.mp4", 0.96), ("02.mp4", "03.mp4", 0.3))
    ]
    yard.ledger.near_duplicates.put(yard.limits.spec.feature_set_id, sorted(map(content_id, LABELS)), pairs)
    yard.warehouse.publish()
    assert paths(yard, duplicate="near") == ["01.mp4", "07.mp4"], "what is probably one"
    assert paths(yard, duplicate="near", label="cat") == [
        p for p in ("01.mp4", "07.mp4") if LABELS[p] == "cat"
    ]


@pytest.mark.parametrize(
    "asked",
    [
        {}, {"collection": "yard", "sort": "score desc"}, {"collection": "yard", "min_score": "high"},
        {"collection": "yard", "since": "tomorrow"}, {"collection": "yard", "colour": "red"},
    ],
)  # fmt: skip
def test_filters_that_make_no_sense_are_refused(asked: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        Filters.of(asked)


def test_answers_of_the_page(reader: TestClient) -> None:
    assert reader.get("api/collections").json()[0] | {"window_s": None} == {
        "collection": "yard", "present": 12, "classified": 11, "labelled": 3, "window_s": None,
    }  # fmt: skip
    facets = reader.get("api/facets", params={"collection": "yard"}).json()
    assert facets["labels"] == [
        {"label": "cat", "known": 1, "predicted": 6}, {"label": "dog", "known": 2, "predicted": 5},
    ]  # fmt: skip
    assert facets["verdicts"] == [{"verdict": "ok", "videos": 12}]
    found = reader.get("api/videos", params={"collection": "yard", "sort": "unsure", "most": 1}).json()
    assert (found["matching"], found["videos"][0]["path"]) == (12, "00.mp4")
    behind = reader.get("api/videos", params={"collection": "yard", "sort": "unsure", "after": found["next"]})
    assert behind.json()["videos"][0]["path"] == "04.mp4"
    one = reader.get("api/video", params={"collection": "yard", "video_id": content_id("03.mp4")}).json()
    assert (one["novelty"], one["places"], one["timeline"]) == (1.5, ["yard/03.mp4"], [])
    assert [row["label"] for row in one["scores"]] == ["dog", "cat"]
    near = reader.get("api/similar", params={"video_id": content_id("00.mp4"), "most": 3}).json()
    assert len(near) == 3 and near[0]["cosine"] >= near[2]["cosine"]
    queue = reader.get("api/queue", params={"collection": "yard", "most": 4}).json()
    assert {row["path"] for row in queue} <= LABELS.keys() - GIVEN.keys() and len(queue) == 4


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("api/videos", 400), ("api/videos?collection=yard&sort=worst", 400), ("api/video?video_id=00", 404),
        ("api/videos?collection=yard&after=[1]", 400), ("api/videos?collection=yard&most=9999", 400),
        ("api/queue?collection=nowhere", 404), ("picture/../still", 404), ("picture/00/still", 404),
        ("picture/00/movie", 404), ("%2e%2e/pyproject.toml", 404), ("pages/main.js", 404), ("api/label", 405),
    ],
)  # fmt: skip
def test_what_is_not_there_or_makes_no_sense_is_no_traceback(
    reader: TestClient, address: str, status: int
) -> None:
    answer = reader.get(address)
    assert answer.status_code == status and "Traceback" not in answer.text
    if answer.headers.get("content-type") == "application/json":
        assert answer.json()["error"]["message"]


# -- labels -----------------------------------------------------------------------------------------


def post(client: TestClient, path: str, text: str) -> Any:
    body = {"collection": "yard", "video_id": content_id(path), "label": text}
    return client.post("api/label", json=body)


def test_a_label_waits_in_a_file_is_shown_at_once_and_is_written_with_others(
    client: TestClient, yard: Ports
) -> None:
    assert post(client, "05.mp4", " emu ").json() == {
        "label": "emu", "is_new": True, "waiting": 1, "undoable": 1, "held": "",
    }  # fmt: skip
    post(client, "07.mp4", "dog")
    assert [row["path"] for row in rows_of(yard.waiting_labels.file)] == ["05.mp4", "07.mp4"]
    assert given(yard) == GIVEN, "not yet"
    assert paths(yard, state="waiting") == ["05.mp4", "07.mp4"] and paths(yard, label="emu") == ["05.mp4"]
    assert not {"05.mp4", "07.mp4"} & set(paths(yard, state="unlabelled"))
    assert "emu" in str(client.get("api/facets", params={"collection": "yard"}).json())
    assert "05.mp4" not in client.get("api/queue", params={"collection": "yard"}).text
    assert client.post("api/write", json={}).json() == {"written": 2, "waiting": 0, "undoable": 2, "held": ""}
    assert given(yard) == GIVEN | {"05.mp4": "emu", "07.mp4": "dog"}
    assert warehouse_rows(yard, "select distinct source from given_labels") == [(f"browse: {yard.actor}",)]
    assert not yard.waiting_labels.file.exists()


def test_where_a_video_may_have_several_labels_it_is_found_by_each_and_a_set_is_given(ports: Ports) -> None:
    sets = {"00.mp4": "cat|dog", "01.mp4": "dog"}
    put_collection(ports, "zoo", clouds(LABELS, ports.limits.spec.feature_size), sets, multi_label=True)
    client = page_of(ports, Labelling(ports, idle_s=3600))
    zoo = {"collection": "zoo"}
    facets = client.get("api/facets", params=zoo).json()
    assert facets["multi_label"]
    assert [(row["label"], row["known"]) for row in facets["labels"]] == [("cat", 1), ("dog", 2)]
    for name, expected in (("dog", ["00.mp4", "01.mp4"]), ("cat", ["00.mp4"])):
        found = client.get("api/videos", params={**zoo, "label": name}).json()["videos"]
        assert [video["path"] for video in found] == expected
    asked = {**zoo, "video_id": content_id("02.mp4")}
    assert client.post("api/label", json={**asked, "label": "emu | cat"}).json()["label"] == "cat|emu"
    facets = client.get("api/facets", params=zoo).json()
    assert [row["label"] for row in facets["labels"]] == ["cat", "dog", "emu"], "one that waits, too"
    refused = client.post("api/label", json={**asked, "label": "cat||emu"})
    assert refused.status_code == 400 and "empty label" in refused.json()["error"]["message"]
    client.post("api/write", json={})
    seen = "select label from collection_videos where path = '02.mp4'"
    assert warehouse_rows(ports, seen) == [("cat|emu",)]


def test_of_several_labels_filters_and_sorts_go_by_those_that_hold(ports: Ports) -> None:
    labels = dict.fromkeys(("00.mp4", "01.mp4", "02.mp4", "03.mp4", "04.mp4"), "cat")
    given = {"00.mp4": "dog|cat", "01.mp4": "cat"}
    put_collection(ports, "zoo", clouds(labels, ports.limits.spec.feature_size), given, multi_label=True)
    of_path = {"00.mp4": (0.9, 0.4), "01.mp4": (0.8, 0.35), "02.mp4": (0.7, 0.32), "03.mp4": (0.55, 0.01)}
    scores = [  # the threshold of cat is 0.6, that of dog 0.3
        Prediction(content_id(path), rank, text, score, over_threshold=score >= least)
        for path, both in of_path.items()
        for rank, text, score, least in ((1, "cat", both[0], 0.6), (2, "dog", both[1], 0.3))
    ]
    version = VersionId("m", 1, "d")
    ports.ledger.versions.recognise(version)
    ports.ledger.predictions.put_predictions(1, version, ports.limits.spec.feature_set_id, scores)
    change(ports, "insert into core.collection_serving select collection_key, 1, now() from core.collection")
    ports.warehouse.publish()

    def found(**filters: str) -> list[tuple[str, str | None, float | None]]:
        shown = page(ports, Filters.of({"collection": "zoo", **filters}))["videos"]
        return [(row["path"], row["predicted"], row["score"]) for row in shown]

    assert [row[1] for row in found()] == ["cat|dog", "cat|dog", "cat|dog", "", None]
    ((path, held, score),) = found(label="dog", state="unlabelled")
    assert (path, held) == ("02.mp4", "cat|dog") and score == pytest.approx(0.32)
    assert [row[0] for row in found(state="contradicted")] == ["01.mp4"]
    assert [row[0] for row in found(sort="unsure")] == ["03.mp4", "00.mp4", "01.mp4", "02.mp4", "04.mp4"]
    assert [row[0] for row in found(label="dog", max_score="0.34")] == ["02.mp4"]


def test_undo_goes_back_step_by_step_also_behind_what_was_written(client: TestClient, yard: Ports) -> None:
    for path, text in (("05.mp4", "cat"), ("05.mp4", "emu"), ("00.mp4", "dog"), ("00.mp4", "emu")):
        post(client, path, text)
    undone = client.post("api/undo", json={}).json()["undone"]
    assert (undone["path"], undone["label"], undone["known_label"]) == ("00.mp4", "emu", "dog")
    client.post("api/write", json={})
    assert given(yard) == GIVEN | {"05.mp4": "emu", "00.mp4": "dog"}
    undone = client.post("api/undo", json={}).json()["undone"]
    assert (undone["known_label"], undone["is_waiting"]) == ("cat", False)
    assert given(yard) == GIVEN | {"05.mp4": "emu"}
    client.post("api/undo", json={})
    assert given(yard) == GIVEN
    client.post("api/undo", json={})
    assert client.post("api/undo", json={}).json()["undone"] is None and given(yard) == GIVEN


def test_a_label_that_holds_already_is_no_step_to_undo(client: TestClient, yard: Ports) -> None:
    post(client, "05.mp4", "cat")
    client.post("api/write", json={})
    assert post(client, "05.mp4", "cat").json()["is_new"] is False
    post(client, "05.mp4", "dog")
    post(client, "05.mp4", "cat")
    client.post("api/write", json={})
    client.post("api/undo", json={})
    assert given(yard)["05.mp4"] == "cat", "what was written before that label was given stays"


def test_while_a_night_holds_the_lease_labels_wait_and_the_night_writes_them(
    client: TestClient, yard: Ports, labelling: Labelling, night: Any
) -> None:
    post(client, "04.mp4", "cat")
    client.post("api/write", json={})
    with night():
        assert post(client, "05.mp4", "emu").status_code == 200
        refused = client.post("api/write", json={})
        assert refused.status_code == 409 and "nightly" in refused.json()["error"]["message"]
        assert "nightly" in client.get("api/state").json()["held"]
        assert paths(yard, label="emu") == ["05.mp4"]
        assert client.post("api/undo", json={}).status_code == 200, "it still waits"
        assert client.post("api/undo", json={}).status_code == 409, "it has been written"
        post(client, "05.mp4", "emu")
        assert labelling.close() == 1
    with recorded(yard, "nightly"):  # publishes at its end
        write_labels(yard, Night())
    assert given(yard) == GIVEN | {"04.mp4": "cat", "05.mp4": "emu"} and not yard.waiting_labels.all()


def test_nobody_has_to_ask_for_the_writing(yard: Ports, night: Any) -> None:
    labelling = Labelling(yard, idle_s=0.05)
    with night():
        labelling.give("yard", content_id("05.mp4"), "emu")
        time.sleep(0.2)
        assert labelling.state()["waiting"] == 1
    deadline = time.monotonic() + 10
    while yard.waiting_labels.all() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert given(yard)["05.mp4"] == "emu"
    labelling.close()


@pytest.mark.parametrize("text", ["", "  ", "x" * 201, "a\nb", "a\x00b"])
def test_what_is_no_label_is_refused(client: TestClient, yard: Ports, text: str) -> None:
    assert post(client, "05.mp4", text).status_code == 400 and not yard.waiting_labels.all()


def test_labels_of_videos_that_are_not_there_are_refused(client: TestClient, yard: Ports) -> None:
    assert post(client, "nowhere.mp4", "cat").status_code == 404 and not yard.waiting_labels.all()


def test_what_waits_can_be_written_by_vidpipe_label_as_well(client: TestClient, yard: Ports) -> None:
    post(client, "05.mp4", "emu")
    assert label(yard, yard.waiting_labels.file).labelled == 1
    assert given(yard)["05.mp4"] == "emu"
    assert write_waiting(yard) == 1 and len(warehouse_rows(yard, "from given_labels")) == 1, "once"


def test_a_label_of_a_path_that_holds_another_video_by_now_is_not_written(
    client: TestClient, yard: Ports
) -> None:
    post(client, "05.mp4", "emu")
    change(yard, "update core.collection_video set video_key = 1 where path = '05.mp4'")
    write_waiting(yard)
    assert given(yard).get("05.mp4") != "emu" and not yard.waiting_labels.all()


# -- who is let in ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["/", f"/{TOKEN}", f"/{TOKEN[:-1]}/", f"/{TOKEN}x/", "/api/collections", "/tök/", f"//{TOKEN}/"],
)
def test_without_the_token_nothing_is_there(reader: TestClient, address: str) -> None:
    answer = reader.get(f"http://127.0.0.1:8000{address}")
    assert answer.status_code == 404 and "vidpipe browse" in answer.text and TOKEN not in answer.text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8000", "[", ""])
def test_another_name_of_the_host_is_refused(reader: TestClient, host: str) -> None:
    assert reader.get("api/collections", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "[::1]:8000"])
def test_names_of_loopback_are_served_at_any_port(reader: TestClient, host: str) -> None:
    assert reader.get("api/collections", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
    ],
)  # fmt: skip
def test_another_page_cannot_write_even_with_the_token(
    client: TestClient, yard: Ports, headers: dict[str, str]
) -> None:
    body = f'{{"collection": "yard", "video_id": "{content_id("05.mp4")}", "label": "emu"}}'
    own = {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}
    own["content-type"] = "application/json"
    assert client.post("api/label", content=body, headers=own | headers).status_code == 403
    assert not yard.waiting_labels.all()
    assert client.post("api/label", content=body, headers=own).status_code == 200


def test_what_is_written_is_small_and_an_object(reader: TestClient) -> None:
    kind = {"content-type": "application/json"}
    assert reader.post("api/label", content=b"x" * 70_000, headers=kind).status_code == 413
    for odd in (b"[]", b"{", b"\xff", b'"a"'):
        assert reader.post("api/label", content=odd, headers=kind).status_code == 400
    assert reader.post("api/label", json={"collection": 1, "video_id": [], "label": None}).status_code == 400


@pytest.mark.parametrize("address", ["", "main.js", "browse.css", "api/collections", "api/nothing", "../"])
def test_every_answer_tells_the_browser_to_be_strict(reader: TestClient, address: str) -> None:
    answer = reader.get(address)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert (
        "unsafe" not in HEADERS["Content-Security-Policy"]
        and "access-control-allow-origin" not in answer.headers
    )


def test_the_page_is_whole_and_asks_for_nothing_from_elsewhere(reader: TestClient) -> None:
    html = reader.get("").text
    assert "://" not in html and " style=" not in html and " on" + "click" not in html
    names = "browse.css main.js api.js grid.js labels.js pictures.js viewer.js icon.svg"
    for name in names.split():
        answer = reader.get(name)
        own = answer.text.replace("http://www.w3.org/2000/svg", "")
        assert answer.status_code == 200 and "innerHTML" not in own and "://" not in own


def test_a_night_meanwhile_is_no_reason_to_wait(yard: Ports, night: Any) -> None:
    with night(), pytest.raises(LeaseHeld):
        yard.waiting_labels.put(waiting("00.mp4"))
        write_waiting(yard)
    assert len(yard.waiting_labels.all()) == 1


def test_the_file_of_labels_that_wait_keeps_odd_names_and_says_what_is_wrong_with_it(yard: Ports) -> None:
    odd = ['a "b", c.mp4', "two\nlines.mp4", "cr\r.mp4", "=1+1.mp4", "ü.mp4", os.fsdecode(b"\xff.mp4")]
    for path in odd:
        yard.waiting_labels.put(replace(waiting("00.mp4"), path=path, video_id=path))
    assert [label.path for label in yard.waiting_labels.all()] == odd
    yard.waiting_labels.file.write_text("path,label\na.mp4,cat\n")
    with pytest.raises(OSError, match="columns are not collection, path, label"):
        yard.waiting_labels.all()
    write_labels(yard, tonight := Night())
    assert "waiting.csv" in tonight.problems[0], "a night says so, and goes on"
