"""What bad input gets: one line that says what, where and the next command; the promised exit code."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from vidpipe.adapters.locks.file_lease import FileLease
from vidpipe.adapters.media.binaries import Tools


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("extract", "--collection", "nobody"), "vidpipe collections"),
        (("train", "--collection", "nobody"), "vidpipe collections"),
        (("evaluate",), "vidpipe train"),
        (("promote",), "vidpipe train"),
        (("promote", "--force"), "--reason"),
        (("rollback",), "vidpipe models"),
        (("classify",), "vidpipe train"),
        (("classify", "--model", "challenger"), "vidpipe train"),
        (("explain", "0123"), "8 digits"),
        (("explain", "01234567"), "collection_videos"),
        (("sql", "select 1"), "vidpipe ingest"),
        (("ingest", "/no/such/folder", "--collection", "x"), "mounted"),
        (("nightly", "--failure-budget", "often"), "0.1"),
    ],
)
def test_what_cannot_be_done_exits_1_with_the_next_command(vidpipe: Any, arguments: Any, says: str) -> None:
    ended = vidpipe(*arguments)
    assert ended.returncode == 1, ended.stderr
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("vidpipe: ") and " Next: " in last and says in last
    assert "Traceback" not in ended.stderr


def test_verbs_that_compute_nothing_start_without_torch_and_mlflow(tmp_path: Path, clips: Any) -> None:
    video_id = hashlib.sha256(min(clips.labelled.glob("*/*.mp4")).read_bytes()).hexdigest()
    verbs = [
        ["ingest", str(clips.labelled), "--collection", "tags", "--manifest", str(clips.manifest)],
        ["collections"], ["status"], ["gc"], ["sql", "select count(*) from videos"],
        ["label", str(clips.manifest), "--collection", "tags"], ["forget", video_id],
    ]  # fmt: skip
    code = f"""
    import sys
    from vidpipe.cli.main import app
    for verb in {verbs!r}:
        app(verb, standalone_mode=False)
        heavy = {{"torch", "mlflow", "openvino", "onnxruntime"}} & sys.modules.keys()
        assert not heavy, (verb, heavy)
    """
    home = {**os.environ, "VIDPIPE_HOME": str(tmp_path / "home")}
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=home, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_an_error_is_one_json_object_with_json(vidpipe: Any) -> None:
    ended = vidpipe("extract", "--collection", "nobody", "--json")
    error = json.loads(ended.stdout)["error"]
    assert ended.returncode == 1
    assert error["class"] == "NotFound" and error["message"] and error["next"]


def test_a_wrong_setting_is_named(vidpipe: Any) -> None:
    ended = vidpipe("status", VIDPIPE_SAMPLE_FPS="fast")
    assert ended.returncode == 1
    assert "VIDPIPE_SAMPLE_FPS" in ended.stderr and "Traceback" not in ended.stderr


def test_a_second_run_exits_4_and_names_the_holder(vidpipe: Any, tmp_path: Path, clips: Any) -> None:
    lease = tmp_path / "home" / "state" / "lease"
    hold = (
        "import sys, time; from pathlib import Path\n"
        "from vidpipe.adapters.locks.file_lease import FileLease\n"
        "with FileLease(Path(sys.argv[1])).hold('nightly'):\n    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, str(lease)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        ended = vidpipe("ingest", str(clips.incoming), "--collection", "x")
        holder.kill()
    assert ended.returncode == 4
    assert f"nightly (pid {holder.pid} on " in ended.stderr
    assert vidpipe("ingest", str(clips.incoming), "--collection", "x").returncode == 0


def test_ctrl_c_leaves_a_clean_line_that_says_how_to_go_on(
    tmp_path: Path, vidpipe: Any, tools: Tools
) -> None:
    """The video is long enough that no machine has extracted it before the key is pressed."""
    (tmp_path / "long").mkdir()
    command = [
        tools.ffmpeg,
        "-nostdin",
        "-loglevel",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=64x48:r=4:d=60",
    ]
    subprocess.run([*command, str(tmp_path / "long" / "a.mkv")], check=True)
    vidpipe("ingest", str(tmp_path / "long"), "--collection", "x")
    terminal, theirs = os.openpty()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # not a background job's deaf ear
    with subprocess.Popen(
        [sys.executable, "-m", "vidpipe", "extract"],
        env={**os.environ, "VIDPIPE_HOME": str(tmp_path / "home"), "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE, stderr=theirs,
    ) as process:  # fmt: skip
        signal.signal(signal.SIGINT, before)
        os.close(theirs)
        said = b""
        while b"extract" not in said:  # the bar; the network is being loaded
            said += os.read(terminal, 4096)
        process.send_signal(signal.SIGINT)
        with suppress(OSError):  # so a terminal ends whose last user is gone
            while more := os.read(terminal, 4096):
                said += more
        assert process.wait() == 130
    os.close(terminal)
    last = said.decode().rstrip().splitlines()[-1]
    assert last.endswith("vidpipe: stopped. Finished work is kept; the same command continues.")
    assert b"Traceback" not in said and vidpipe("extract").returncode == 0


def test_status_tells_who_holds_the_lease_also_where_a_shell_does(tmp_path: Path, vidpipe: Any) -> None:
    def lease() -> str:
        (line,) = [line for line in vidpipe("status").stdout.splitlines() if line.startswith("lease ")]
        return str(line.removeprefix("lease").strip())

    assert lease() == "free"
    file = tmp_path / "home" / "state" / "lease"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as `flock FILE cp -a .vidpipe backup` does
        assert lease() == "held by a program that left no name, such as flock"
    with FileLease(file).hold("train"):
        assert lease().startswith(f"held by train (pid {os.getpid()} on ")
