"""`vidpipe browse` in a real Chromium: seen, filtered and labelled by keyboard alone, without a complaint."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import warehouse_rows
from servers import chromium, until

from vidpipe.adapters.locks.file_lease import FileLease
from vidpipe.ports import Ports

pytestmark = pytest.mark.services
FOCUS = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.id"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, home_of_clips: Any) -> Path:
    """A home of labelled clips, and four without a label."""
    folder: Path = tmp_path_factory.mktemp("page") / "home"
    ports: Ports = home_of_clips(folder, 1)
    source = Path(warehouse_rows(ports, "select source from collections")[0][0])
    inbox = folder.parent / "inbox"
    inbox.mkdir()
    for n, (path,) in enumerate(
        warehouse_rows(ports, "select path from collection_videos order by 1 limit 4")
    ):
        shutil.copy(source / path, inbox / f"{n}{Path(path).suffix}")
    run(folder, "ingest", str(inbox), "--collection", "inbox")
    first, *_ = sorted(file.name for file in inbox.iterdir())
    (folder.parent / "sets.csv").write_text(f"path,label\n{first},crowd|rain\n", encoding="utf-8")
    named = ("--collection", "sets", "--manifest", str(folder.parent / "sets.csv"), "--multi-label")
    run(folder, "ingest", str(inbox), *named)
    run(folder, "extract")
    return folder


def run(home: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "vidpipe", *arguments], env=environment(home), check=True)


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "VIDPIPE_HOME": str(home)}


@pytest.fixture(scope="module")
def served(home: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The printed address, and the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vidpipe", "browse", "--json"], env=environment(home), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr
    lines = (re.search(r"http://127\.0\.0\.1:\d+/\S+/", line) for line in process.stderr)
    yield next(found.group() for found in lines if found), process
    process.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Any, served: tuple[str, Any]) -> Iterator[Any]:
    opened = browser.new_page(viewport={"width": 1280, "height": 800})
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(served[0])
    opened.wait_for_selector("#grid .card img")
    yield opened
    opened.close()
    assert [said for said in complaints if "404" not in said and "409" not in said] == []


def test_a_grid_of_pictures_is_filtered_and_walked_by_keyboard(page: Any) -> None:
    total = page.locator("#grid .card").count()
    assert page.locator("#count").inner_text() == f"{total} videos" and total > 4
    page.keyboard.press("/")
    assert page.evaluate(FOCUS) == "text"
    page.keyboard.type("no such video")
    page.wait_for_selector("#nothing:visible")
    page.locator("#text").fill("")
    page.wait_for_selector("#grid .card")
    page.locator("#labels button").first.press("Enter")
    page.locator("#labels button[aria-pressed=true]").wait_for()
    until("the grid is filtered", lambda: page.locator("#grid .card").count() < total, 20)
    assert page.locator("#labels button[aria-pressed=true]").count() == 1
    assert "label=" in page.url, "reloading shows the same"
    page.locator("#grid .card").first.focus()
    first = page.evaluate(FOCUS)
    page.wait_for_selector("#grid .card .loop")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(FOCUS) != first and "known label" in page.evaluate(FOCUS)
    assert page.locator('#grid .card[tabindex="0"]').count() == 1, "the grid is one stop of the Tab key"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid", "the focus is seen"


def test_the_queue_is_labelled_by_keyboard_undone_and_written(page: Any, home: Path, make_ports: Any) -> None:
    ports = make_ports(home)
    names = [name for (name,) in warehouse_rows(ports, "select distinct label from collection_videos "
                                                "where label is not null order by 1")]  # fmt: skip
    page.locator("#collection").select_option("inbox")
    until("the inbox is shown", lambda: page.locator("#grid .card").count() == 4, 20)
    lease = FileLease(home / "state" / "lease")
    with lease.hold("nightly"):
        page.keyboard.press("l")
        page.wait_for_selector("#viewer[open]")
        page.keyboard.press("n")
        page.keyboard.type(names[0])
        page.keyboard.press("Enter")
        page.locator("#viewer-place", has_text="2 of").wait_for()
        page.keyboard.press("1")
        page.locator("#viewer-place", has_text="3 of").wait_for()
        assert "2 labels wait" in page.locator("#saving").text_content()
        page.keyboard.press("u")
        page.locator("#viewer-place", has_text="2 of").wait_for()
        page.keyboard.press("s")
        page.keyboard.press("Escape")
        page.wait_for_selector("#viewer:not([open])", state="attached")
        page.click("#saving button")
        page.locator("#saving", has_text="nightly").wait_for()
        assert warehouse_rows(ports, "from given_labels") == []
    page.click("#saving button")
    until("all is written", lambda: page.locator("#saving").text_content() == "", 20)
    assert warehouse_rows(ports, "select collection, label from given_labels") == [("inbox", names[0])]


def test_where_a_video_may_have_several_labels_a_digit_adds_one_and_takes_it_away(page: Any) -> None:
    page.locator("#collection").select_option("sets")
    until("the sets are shown", lambda: page.locator("#grid .card").count() == 1, 20)
    page.locator("#grid .card").first.press("Enter")
    page.wait_for_selector("#viewer[open]")
    held = page.locator("#viewer-choices button[aria-pressed=true] .name")
    until("both hold", lambda: held.all_inner_texts() == ["crowd", "rain"], 20)
    page.keyboard.press("1")
    until("one holds", lambda: held.all_inner_texts() == ["rain"], 20)
    page.keyboard.press("2")
    page.locator("body", has_text="rain is the only label").wait_for()
    page.keyboard.press("n")
    page.keyboard.type("wind | crowd")
    page.keyboard.press("Enter")
    until("three hold", lambda: held.all_inner_texts() == ["crowd", "rain", "wind"], 20)
    page.keyboard.press("u")
    until("undone", lambda: held.all_inner_texts() == ["rain"], 20)
    page.keyboard.press("u")
    until("as it was", lambda: held.all_inner_texts() == ["crowd", "rain"], 20)


def test_one_video_has_its_filmstrip_facts_and_similar_videos(page: Any) -> None:
    page.locator("#grid .card").first.press("Enter")
    page.wait_for_selector("#similar .card")
    page.wait_for_selector("#viewer-picture .loop")
    assert page.locator("#viewer-facts dt").count() > 5
    assert page.get_by_role("dialog").get_attribute("aria-labelledby") == "viewer-path"
    assert page.get_by_role("button", name="Next video").is_visible()
    one = page.locator("#viewer-path").inner_text()
    page.locator("#similar .card").first.click()
    until("another video", lambda: page.locator("#viewer-path").inner_text() != one, 20)
    page.keyboard.press("ArrowLeft")
    until("back again", lambda: page.locator("#viewer-path").inner_text() == one, 20)
    page.keyboard.press("Escape")
    assert page.locator('#grid .card[data-at="0"]').evaluate("it => it === document.activeElement")


def test_nothing_moves_for_people_who_want_no_motion_and_contrast_holds_in_the_dark(
    browser: Any, served: tuple[str, Any]
) -> None:
    page = browser.new_page(reduced_motion="reduce", color_scheme="dark")
    page.goto(served[0])
    page.locator("#grid .card").first.press("Enter")
    page.wait_for_selector("#similar .card")
    assert page.locator(".loop").count() == 0
    for chosen in ("#count", "#viewer-facts dt", "#viewer-label b", ".card .where"):
        colours = page.locator(chosen).first.evaluate(
            "it => { let at = it; const none = 'rgba(0, 0, 0, 0)';"
            "while (getComputedStyle(at).backgroundColor === none) at = at.parentElement;"
            "return [getComputedStyle(it).color, getComputedStyle(at).backgroundColor]; }"
        )
        assert contrast(*colours) >= 4.5, (chosen, colours)
    page.close()


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two `rgb(r, g, b)`. Source: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_a_signal_ends_it_with_one_object(served: tuple[str, subprocess.Popen[str]]) -> None:
    _, process = served
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0 and json.loads(out).keys() == {"port", "seconds", "waiting"}
