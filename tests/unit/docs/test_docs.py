"""The documentation is held to the truth: commands run, links lead somewhere, the reference is the code's.

The commands of all pages are played in one home, in their order, on small clips: `~` is a temporary folder
with `videos`, `inbox` and `later.mp4`. What needs servers, Docker or hours is run elsewhere, and `ELSEWHERE`
says by whom.
"""

from __future__ import annotations

import csv
import importlib.util
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import chdir, suppress
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
from conftest import ROOT, rows_of, tree, write_part
from typer.testing import CliRunner

from vidpipe.adapters.database import sqlfiles
from vidpipe.adapters.database.views import create_views
from vidpipe.adapters.sources.folders import VIDEO_EXTENSIONS
from vidpipe.cli.main import app
from vidpipe.errors import VideoError
from vidpipe.learning.training import TrainingConfig

DOCS = ROOT / "docs"
TOLD = {
    file.name: file.read_text(encoding="utf-8") for file in [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
}


class Expected(NamedTuple):
    """How a command ends."""

    shows: str
    """Pattern that its output has."""
    code: int = 0


PLAYED: Mapping[str, Mapping[str, Expected]] = {
    "tutorial.md": {
        "vidpipe ingest ~/videos --collection tags --manifest ~/videos/labels.csv": Expected(r"new +24\n"),
        "vidpipe extract": Expected(r"videos +24\n(.*\n)* +failed +0\n"),
        "vidpipe train --collection tags --split-column split": Expected(r"version +1\n"),
        "vidpipe evaluate": Expected(r"accuracy_interval .*\n"),
        "vidpipe promote": Expected(r"version 1: promoted"),
        "vidpipe ingest ~/inbox --collection inbox": Expected(r"new +12\n"),
        "vidpipe nightly": Expected(r"status +ok\n(.*\n)* +extracted +12\n"),
        "cp ~/later.mp4 ~/inbox/": Expected(""),
        "vidpipe nightly #2": Expected(r"ingested +1\n +extracted +1\n +classified +1\n"),
        'vidpipe sql "select path, label, round(score, 3) as score from latest_predictions'
        " where collection = 'inbox' order by path limit 5\"": Expected(r"clip_001\.mp4 +\w+ +0\.\d+"),
        "vidpipe report": Expected(r"reports/\d+\.html"),
        "vidpipe status": Expected(r"champion +.*1"),
        "vidpipe doctor": Expected(r"0 fix; "),
        "vidpipe serve": Expected(r"Prefect at http://127\.0\.0\.1:\d+(.*\n)*· stopping"),
        "vidpipe manifest ucf101 --root UCF-101 --lists ucfTrainTestlist --output ucf101.csv": Expected(
            r"split1"
        ),
        "vidpipe manifest kinetics --root k400 --csv train.csv --csv val.csv --val-as-test"
        " --output k400.csv": Expected(r"Next: vidpipe ingest k400 "),
        "vidpipe manifest csv --root clips --file list.txt --path-column 1 --label-column 2 --delimiter space"
        " --output clips.csv": Expected(r"Next: vidpipe ingest clips "),
    },
    "promotion.md": {
        "vidpipe train --collection tags --split-column split --seed 1": Expected(r"version +2\n"),
        "vidpipe models": Expected(r"challenger"),
        "vidpipe train --collection tags --split-column split --warm-start champion": Expected(
            r"version +3\n"
        ),
        "vidpipe evaluate": Expected(r"version +3\n(.*\n)* +seen +0\n"),
        "vidpipe evaluate --model champion --split all": Expected(r"version +1\n(.*\n)* +seen +16\n"),
        "vidpipe freeze-eval --collection tags --split test": Expected(r"videos +8\n"),
        "vidpipe promote": Expected(r"version 3: refused\n +reason: .*too small to decide", 1),
        'vidpipe promote --force --reason "the test set is too small to decide;'
        ' fifty results looked at"': Expected(r"version 3: forced"),
        "vidpipe nightly": Expected(r"classified +37\n"),
        "vidpipe rollback": Expected(r"version 1: rolled_back"),
        "vidpipe explain VIDEO_ID": Expected(
            r"version 1: \w+ 0\.\d+\n(.*\n)* +cut .*\n +0.00 to \d\.\d\d s  0\.\d+"
        ),
        "vidpipe label-queue --limit 50 --output todo.csv": Expected(r"queued +13\n"),
        "vidpipe label todo.csv": Expected(r"labelled +1\n(.*\n)* +blank +12\n"),
        "vidpipe label-issues --collection tags --output doubtful.csv": Expected(r"videos +24\n"),
        "vidpipe label doubtful.csv": Expected(r"labelled +0\n"),
        "vidpipe tune --collection tags --split-column split --budget-s 600": Expected(r"trials +\d+\n"),
    },
    "long-videos.md": {
        "vidpipe ingest ~/cameras --collection cameras --window-s 10 --stride-s 5": Expected(r"videos +2\n"),
        "vidpipe extract": Expected(r"videos +2\n"),
        "vidpipe classify": Expected(r"classified +2\n"),
        'vidpipe sql "select path, start_s, end_s, peak_score from events'
        " where collection = 'cameras' and label = 'fight' and peak_score > 0.8\"": Expected(r"peak_score"),
    },
    "sql.md": {
        'vidpipe sql "select label, count(*) as videos, round(avg(score), 3) as mean_score'
        ' from latest_predictions group by label order by label"': Expected(r"palace +\d+ +0\.\d+"),
        "vidpipe sql --file sql/examples/label_mix.sql": Expected(r"collection +label +videos"),
        "vidpipe sql --csv \"select path, label, score from latest_predictions where collection = 'inbox'\""
        " > labels.csv": Expected(""),
        'vidpipe sql --json "from nights order by started_at desc limit 1"': Expected(r'"rows": \[\[\d+'),
        'duckdb -readonly .vidpipe/warehouse.duckdb "from latest_predictions limit 3"': Expected(
            r"latest|path"
        ),
        "(cd .vidpipe && duckdb -readonly warehouse.duckdb < ../sql/examples/similar_videos.sql)": Expected(
            r"similarity"
        ),
        "vidpipe export exported": Expected(r"latest_predictions +\d+"),
        "vidpipe export exported --relation latest_predictions --relation nights": Expected(r"nights +\d+"),
        "vidpipe export lake --format delta --relation latest_predictions --relation runs": Expected(
            r"runs +\d+"
        ),
        "vidpipe export tasks --format label-studio --collection inbox": Expected(r"tasks\.json +\d+ +13 "),
        "vidpipe export subtitles --format webvtt --collection cameras": Expected(r"2\.mp4\.vtt +\d+"),
        "vidpipe export fiftyone --format fiftyone": Expected(r"predictions\.json +\d+ +\d+ "),
        "vidpipe export activitynet --format activitynet --collection cameras": Expected(
            r"results\.json +\d+ +2 "
        ),
        "vidpipe ingest ~/gates --collection gates --manifest ~/gates/list.csv --attribute camera:text"
        " --attribute temperature:double --time-from-name 'cam_%Y%m%d_%H%M%S'"
        " --time-zone Europe/Berlin": Expected(r"bad_values +0\n"),
        'vidpipe sql "select camera, avg(temperature) from attributes_gates group by camera"': Expected(
            r"north +12\.5"
        ),
        "vidpipe export package --format camtrap-dp --collection gates": Expected(r"media\.csv +\d+ +1 "),
        "vidpipe similar VIDEO_ID --limit 5": Expected(r"collection +path +cosine +label"),
        'vidpipe sql "select path, other_path, similarity, start_s, other_start_s, frames from'
        ' near_duplicates order by similarity desc"': Expected(r"other_path +similarity"),
    },
    "operator.md": {
        "vidpipe nightly": Expected(r"status +ok\n"),
        "vidpipe nightly --failure-budget 25": Expected(r"status +ok\n"),
        "vidpipe report": Expected(r"reports/\d+\.html"),
        "vidpipe sql --file sql/examples/last_nights.sql": Expected(r"night +status +ok"),
        'vidpipe sql "select collection, night, videos, distance, e_value, alarmed from feature_drift'
        ' order by run_id desc limit 20"': Expected(r"collection +night +videos +distance"),
        "vidpipe status": Expected(r"lease +free"),
        "vidpipe doctor": Expected(r"0 fix; "),
        'vidpipe sql "select collection, path, stage, error_class, message from failures'
        " where status <> 'resolved'\"": Expected(r"error_class"),
        "vidpipe retry": Expected(r"failures +0\n"),
        "vidpipe backup backups/monday": Expected(r"listed_parts +0\n"),
        "mv .vidpipe broken": Expected(""),
        "vidpipe restore backups/monday": Expected(r"listed_parts +0\n"),
        "vidpipe doctor #2": Expected(r"0 fix; "),
        "vidpipe nightly #2": Expected(r"status +ok\n"),
        "du -sh .vidpipe/*": Expected(r"\.vidpipe/features"),
        "vidpipe sql --file sql/examples/cost_by_collection.sql": Expected(r"gigabytes"),
        "vidpipe gc": Expected(r"files +0\n"),
        "vidpipe gc --keep-predictions-days 90": Expected(r"predictions +0\n"),
        "vidpipe forget VIDEO_ID": Expected(r"parts +1\n"),
    },
    "README.md": {
        "vidpipe sql \"select attributes['camera'] as camera, hour(timezone('Europe/Berlin', timezone('UTC',"
        " recorded_at))) as hour, predicted.label, count(*) as videos, round(avg(score), 2) as mean_score"
        " from collection_videos as video join latest_predictions as predicted using (collection, path)"
        " where collection = 'gates' group by all order by all limit 3\"": Expected(
            r"north +17 +\w+ +1 +0\.\d"
        ),
    },
}
"""By page, in the order of the page; ` #2` is the second time that a page says so."""

ANEW = "python docs/generate.py --samples HOME writes the results in docs/sql.md anew"

ELSEWHERE: Mapping[str, str] = {
    r"make (demo|test)$": "by people, and by .ci/run",
    r"vidpipe ingest ~/films|pip install 'vidpipe\[shots\]'": "tests/unit/vision/test_shots.py and "
    "tests/unit/learning/test_windows.py",
    r"vidpipe (ingest ~/clips|(train|label-issues) --collection clips)": "on other collections: this page's "
    "and promotion.md's",
    r"vidpipe ingest ~/streets": "tests/night/test_several_labels_end_to_end.py",
    r"vidpipe browse": "tests/services/test_browse_page.py and tests/unit/browse/test_browse.py",
    r"vidpipe similar north_": "tests/unit/steps/test_similar.py finds a path; no file here is called so",
    r"vidpipe serve --cron": "tests/services/test_serve.py",
    r"docker compose |docker/make-env": "tests/unit/docs/test_docker.py holds the files to rules; no engine",
    r"(prefect|mlflow server|docker/deploy\.sh)\b": "tests/services/test_services.py",
    r"ln -s /srv/vidpipe/home/metrics": "tests/unit/steps/test_monitoring.py reads the file",
    r"python -m flows\.alert": "tests/services/test_services.py",
    r"\.venv/bin/python -m flows\.nightly": "tests/flows/test_flows.py, within the test's process",
    r"vidpipe ingest s3://": "tests/services/test_object_storage.py and "
    "tests/unit/adapters/sources/test_objects.py",
    r"dask |VIDPIPE_CLUSTER=": "tests/services/test_clusters.py starts clusters of its own; these by hand",
    r"\.venv/bin/pip install ": "downloads",
    r"export ": "a variable for the commands that follow it",
    r"\.venv/bin/python -m benchmarks\.": "by hand: minutes to hours",
    r"(\.venv/bin/)?mlflow (ui|models serve) |curl -s 127": "by hand; "
    "tests/unit/adapters/models/test_served_model.py loads it",
}
"""Commands, as patterns, that are not played here, and who runs them."""


def commands(page: str) -> Iterator[str]:
    """The commands of a page's `sh` blocks, without comments, lines that belong together joined."""
    for block in re.findall(r"^```sh\n(.*?)^```", TOLD[page], re.M | re.S):
        open_lines = ""
        for line in block.splitlines():
            open_lines += line
            with suppress(ValueError):  # an open quotation: the next line belongs to it
                words = shlex.split(open_lines, comments=True)
                if open_lines.endswith("\\"):
                    open_lines = open_lines[:-1]
                    continue
                if words:
                    yield " ".join(re.sub(r"\s#\s.*", "", open_lines).split())
                open_lines = ""
                continue
            open_lines += "\n"


def numbered(page: str) -> list[str]:
    """The same, of which none is said twice: the second time it ends in ` #2`."""
    said: dict[str, int] = {}
    for command in commands(page):
        said[command] = said.get(command, 0) + 1
    seen: dict[str, int] = {}
    names = []
    for command in commands(page):
        seen[command] = seen.get(command, 0) + 1
        names.append(command if seen[command] == 1 else f"{command} #{seen[command]}")
    return names


def elsewhere(command: str) -> str | None:
    return next((where for pattern, where in ELSEWHERE.items() if re.match(pattern, command)), None)


# -- commands -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", TOLD)
def test_every_command_of_a_page_is_played_in_its_order(page: str) -> None:
    mine = PLAYED.get(page, {})
    others = {command for expected in PLAYED.values() for command in expected}
    said = [command for command in numbered(page) if elsewhere(command) is None]
    assert [c for c in said if c not in mine and c.partition(" #")[0] not in others] == []
    assert [c for c in said if c in mine] == list(mine)


def test_no_command_is_excused_that_nobody_says() -> None:
    said = [command for page in TOLD for command in commands(page)]
    assert [pattern for pattern in ELSEWHERE if not any(re.match(pattern, c) for c in said)] == []


def test_who_runs_the_rest_exists() -> None:
    named = {name for where in ELSEWHERE.values() for name in re.findall(r"tests/[\w/]+\.py", where)}
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.fixture(scope="module")
def played_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where commands are played."""
    return tmp_path_factory.mktemp("docs")


@pytest.fixture(scope="module")
def played(played_in: Path, clips: Any) -> dict[tuple[str, str], tuple[int, str]]:
    """What came of every command, as (exit code, output): by page, in one home."""
    stage = Stage(played_in)
    stage.furnish(clips)
    with chdir(stage.root), pytest.MonkeyPatch.context() as hurry:
        hurry.setattr(TrainingConfig, "epochs_for", lambda self, _videos: self.epochs or 3)
        return {
            (page, command): stage.play(command.partition(" #")[0])
            for page, expected in PLAYED.items()
            for command in expected
        }


@pytest.mark.parametrize(
    ("page", "command"), [(page, command) for page, expected in PLAYED.items() for command in expected]
)
def test_a_command_ends_as_its_page_says(page: str, command: str, played: Any) -> None:
    code, output = played[page, command]
    assert code == PLAYED[page][command].code, output[-3000:]
    assert re.search(PLAYED[page][command].shows, output), output[-3000:]


class Stage:
    """The folder in which commands are played as they stand, with a home directory and a `.venv`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        outside = {k: v for k, v in os.environ.items() if not k.startswith("VIDPIPE_")}
        programs = (root / ".venv" / "bin", Path(sys.executable).parent)
        path = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
        self.environment = {**outside, "HOME": str(root / "home"), "PATH": path, "PYTHONPATH": str(ROOT)}

    def furnish(self, clips: Any) -> None:
        """Videos to label, an inbox, one that comes later."""
        home = self.root / "home"
        shutil.copytree(clips.labelled, home / "videos")
        shutil.copy(clips.manifest, home / "videos" / "labels.csv")
        shutil.copytree(clips.incoming, home / "inbox")
        first = min((home / "videos").glob("*/*.mp4"))
        # One more byte after the end is another content, and no player minds.
        (home / "later.mp4").write_bytes(first.read_bytes() + b"\0")
        (home / "gates").mkdir()
        shutil.copy(first, home / "gates" / "cam_20261129_170500.mp4")
        listed = "path,camera,temperature,latitude,longitude\n"
        listed += "cam_20261129_170500.mp4,north,12.5,52.52,13.4\n"
        (home / "gates" / "list.csv").write_text(listed)
        (home / "cameras").mkdir()
        for number in (1, 2):
            (home / "cameras" / f"{number}.mp4").write_bytes(first.read_bytes() + bytes([number]))
        (self.root / "sql").symlink_to(ROOT / "sql")
        self._furnish_datasets()
        programs = self.root / ".venv" / "bin"
        programs.mkdir(parents=True)
        for name, call in {"python": "", "vidpipe": " -m vidpipe"}.items():
            (programs / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)}{call} "$@"\n')
            (programs / name).chmod(0o755)

    def _furnish_datasets(self) -> None:
        """The formats of the tutorial's manifests, a file or two of each."""
        names = ("Archery/v_Archery_g01_c01.avi", "Archery/v_Archery_g08_c01.avi")
        tree(self.root / "UCF-101", *names)
        tree(self.root / "k400", "abcdefghijk_000001_000011.mp4", "bbcdefghijk_000001_000011.mp4")
        tree(self.root / "clips", "a.mp4")
        texts = {
            "ucfTrainTestlist/testlist01.txt": f"{names[0]}\n",
            "ucfTrainTestlist/trainlist01.txt": f"{names[1]} 1\n",
            "train.csv": "label,youtube_id,time_start,time_end,split\nrun,abcdefghijk,1,11,train\n",
            "val.csv": "label,youtube_id,time_start,time_end,split\nrun,bbcdefghijk,1,11,val\n",
            "list.txt": "a.mp4 3\n",
        }
        for name, text in texts.items():
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_text(text)

    def play(self, command: str) -> tuple[int, str]:
        """One command: a verb within this process, for speed; the rest by a shell."""
        command = self._filled_in(command)
        words = shlex.split(command)
        if words[:2] == ["vidpipe", "serve"]:
            return self._serve(words[1:])
        if words[0] == "vidpipe" and not set("|>&;") & set(words):
            return self._invoke(words[1:])
        ended = subprocess.run(
            ["bash", "-c", command], env=self.environment, capture_output=True, text=True, check=False
        )
        return ended.returncode, ended.stdout + ended.stderr

    def _filled_in(self, command: str) -> str:
        """What a person does first: names a video, fills in a label, has less time."""
        if "VIDEO_ID" in command:
            query = "select video_id from latest_predictions order by path limit 1"
            with duckdb.connect(self.root / ".vidpipe" / "warehouse.duckdb", read_only=True) as warehouse:
                ((video_id,),) = warehouse.execute(query).fetchall()
            command = command.replace("VIDEO_ID", video_id[:8])
        if command == "vidpipe label todo.csv":
            rows = rows_of(self.root / "todo.csv")
            rows[0]["label"] = rows[0]["predicted"]
            with (self.root / "todo.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        if command == "vidpipe train --collection tags --split-column split":  # it becomes champion
            command += " --epochs 15"
        return command.replace("--budget-s 600", "--budget-s 0")

    def _invoke(self, words: list[str]) -> tuple[int, str]:
        arguments = [word.replace("~/", f"{self.root / 'home'}/") for word in words]
        unset = {name: None for name in os.environ if name.startswith("VIDPIPE_")}
        ended = CliRunner().invoke(app, arguments, env=unset)
        return ended.exit_code, ended.output

    def _serve(self, words: list[str]) -> tuple[int, str]:
        """Until Prefect answers, then Ctrl-C."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        command = [sys.executable, "-m", "vidpipe", *words, "--port", str(port)]
        process = subprocess.Popen(
            command, env=self.environment, stderr=subprocess.PIPE, text=True,
            preexec_fn=_deaf,  # noqa: PLW1509  (no thread of ours runs)
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 180
            while not _answers(f"http://127.0.0.1:{port}/api/health"):
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.25)
        finally:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=90)
        return process.returncode, said


def _deaf() -> None:
    """As a shell's background job is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


@pytest.mark.parametrize("block", re.findall(r"^```python\n(.*?)^```", TOLD["sql.md"], re.M | re.S))
def test_python_reads_the_warehouse_as_the_cookbook_says(block: str, played: Any, played_in: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", block], cwd=played_in, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "palace" in ended.stdout


def test_a_home_that_was_moved_says_so_in_one_line(played: Any, played_in: Path) -> None:
    home, moved = played_in / ".vidpipe", played_in / "moved"
    home.rename(moved)
    try:
        ended = CliRunner().invoke(app, ["evaluate", "--home", str(moved)])
    finally:
        moved.rename(home)
    assert ended.exit_code == 1
    assert re.search(
        r"^vidpipe: a model's files are not where .* Next: put the home back", ended.output, re.M
    )


# -- links --------------------------------------------------------------------------------------


def links(page: str) -> list[tuple[str, str]]:
    """The relative links of a page outside code blocks, as (file, anchor)."""
    prose = re.sub(r"^```.*?^```", "", TOLD[page], flags=re.M | re.S)
    targets = re.findall(r"\]\(([^)\s]+)\)", prose)
    return [
        (file, anchor)
        for file, _, anchor in (t.partition("#") for t in targets if not re.match(r"[a-z]+:", t))
    ]


def anchors(text: str) -> set[str]:
    """What headings are called in links: lower case, no punctuation, hyphens for spaces."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M):
        plain = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        number = 0
        while (name := f"{plain}-{number}" if number else plain) in found:
            number += 1
        found.add(name)
    return found


@pytest.mark.parametrize("page", TOLD)
def test_links_lead_to_files_and_headings_that_exist(page: str) -> None:
    here = ROOT / page if page == "README.md" else DOCS / page
    for file, anchor in links(page):
        target = (here.parent / file).resolve() if file else here
        assert target.exists(), f"{page}: {file}"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{page}: {file}#{anchor}"


def test_every_page_is_reached_from_the_readme() -> None:
    reached = {file.removeprefix("docs/") for file, _ in links("README.md") if file.startswith("docs/")}
    assert [page for page in TOLD if page != "README.md" and page not in reached] == []


# -- what follows from the code --------------------------------------------------------------------


@pytest.fixture(scope="module")
def generator() -> Any:
    specification = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_reference_is_that_of_the_code(generator: Any) -> None:
    is_current = generator.reference() == TOLD["reference.md"]
    assert is_current, "docs/reference.md is out of date: python docs/generate.py writes it anew"


def test_every_example_stands_in_the_cookbook_with_its_question_and_a_result(tmp_path: Path) -> None:
    entry = r"^\[`([\w.]+)`\]\(\.\./sql/examples/\1\): [^\n]+\n\n```text\n(.*?)^```"
    samples = dict(re.findall(entry, TOLD["sql.md"], re.M | re.S))
    assert sorted(samples) == [file.name for file in sqlfiles.examples()], ANEW
    write_part(tmp_path, "part-1.parquet", [[0.0]])
    with duckdb.connect(config={"file_search_path": str(tmp_path)}) as warehouse:
        for _, _, text in sqlfiles.migrations():
            warehouse.execute(text)
        create_views(warehouse)
        for file in sqlfiles.examples():
            question, query = file.read_text(encoding="utf-8").split("\n", 1)
            assert f"(../sql/examples/{file.name}): {question.removeprefix('-- ')}\n" in TOLD["sql.md"], ANEW
            columns = [column[0] for column in warehouse.execute(query).description or []]
            assert samples[file.name].split("\n")[0].split() == columns, f"{file.name}: {ANEW}"


@pytest.mark.parametrize("page", TOLD)
def test_the_sql_of_a_page_runs(page: str) -> None:
    with duckdb.connect() as warehouse:
        for _, _, text in sqlfiles.migrations():
            warehouse.execute(text)
        create_views(warehouse)
        for block in re.findall(r"^```sql\n(.*?)^```", TOLD[page], re.M | re.S):
            warehouse.execute(block)


def test_results_of_a_home_take_the_place_of_others(generator: Any, played: Any, played_in: Path) -> None:
    page = generator.with_samples(TOLD["sql.md"], played_in / ".vidpipe")
    assert page.count("```text") == TOLD["sql.md"].count("```text")
    assert "/later.mp4" not in page and str(played_in) not in page
    assert generator.with_samples(page, played_in / ".vidpipe") == page


def test_the_documentation_ships_with_the_source() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "docs" in project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]


def test_no_machine_stands_in_the_documentation() -> None:
    for page, text in TOLD.items():
        assert not re.search(r"/tmp/|/root/|/work/|/usr/local/", text), page


def test_the_page_of_devices_names_every_suffix_and_every_verdict() -> None:
    page = TOLD["devices.md"]
    errors: list[type[VideoError]] = [VideoError, *VideoError.__subclasses__()]
    verdicts = {error.verdict for error in errors if error.verdict}
    named = {*VIDEO_EXTENSIONS, *verdicts, "ok", "partial", "blank", "forgotten"}
    assert {name for name in named if f"`{name}`" not in page} == set()
