"""`vidpipe demo`, as a person runs it: Prefect in a process of its own, on one's own videos."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, clips: Any) -> tuple[Path, dict[str, Any]]:
    home = tmp_path_factory.mktemp("demo") / "home"
    command = [sys.executable, "-m", "vidpipe", "demo", "--json", "--home", str(home)]
    command += ["--source", str(clips.labelled), "--manifest", str(clips.manifest)]
    ended = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return home, json.loads(ended.stdout)


def test_the_demo_ends_with_a_sql_result_and_says_where_everything_is(demo: Any) -> None:
    home, shown = demo
    assert shown["columns"] == ["path", "label", "score"]
    assert len(shown["rows"]) == 24
    for place in ("warehouse", "features", "models", "prefect"):
        assert Path(shown[place]).exists()
        assert Path(shown[place]).is_relative_to(home)


def test_the_librarys_log_lines_reach_prefect(demo: Any) -> None:
    home, _ = demo
    with sqlite3.connect(home / "prefect" / "prefect.db") as database:
        lines = [message for (message,) in database.execute("select message from log")]
    assert any("24 videos" in line and "frames/s" in line for line in lines)


def test_a_failing_flow_is_one_error_line(tmp_path: Path, clips: Any) -> None:
    manifest = tmp_path / "empty.csv"
    manifest.write_text("file\nx.mp4\n")
    command = [sys.executable, "-m", "vidpipe", "demo", "--home", str(tmp_path / "home")]
    command += ["--source", str(clips.labelled), "--manifest", str(manifest)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1].startswith("vidpipe: the flow demo ended with code 1.")
