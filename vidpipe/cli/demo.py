"""`vidpipe demo`: generate clips, run the whole pipeline as a Prefect flow, and show predictions by SQL."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from vidpipe.adapters.http_login import prefect_server
from vidpipe.adapters.machine import need_prefect
from vidpipe.cli.display import print_json, print_table
from vidpipe.cli.flow_process import flow_command, flow_environment
from vidpipe.demo.clips import DemoCollection, make_collection
from vidpipe.errors import StopError
from vidpipe.wiring import Home

QUERY = "select path, label, round(score, 3) as score from latest_predictions where collection = '{}'"


def run_demo(home: Home, source: Path | None, manifest: Path | None, *, as_json: bool = False) -> None:
    """Run the demo flow on the generated collection, or on the given one, and print its predictions.

    Raises:
        StopError: The flow failed; its log says why.
    """
    started = time.monotonic()
    if source and manifest:
        arguments = ["--source", str(source), "--manifest", str(manifest)]
        shown = "demo"
    else:
        clips = _make_clips(home)
        arguments = ["--source", str(clips.labelled), "--manifest", str(clips.manifest)]
        arguments += ["--incoming", str(clips.incoming)]
        shown = "incoming"
    _say("running the Prefect flow: ingest, extract, train, promote, classify")
    run_flow(home.settings.home, "demo", *arguments)
    _show(home, shown, time.monotonic() - started, as_json=as_json)


def run_flow(home: Path, flow: str, *arguments: str) -> None:
    """Run `python -m flows.<flow>` with its own Prefect home; its log goes to stderr.

    Raises:
        ConfigurationError: Prefect's server is away.
        StopError: It ended with an error.
    """
    need_prefect(*prefect_server(home / "prefect"))
    command = flow_command(flow, *arguments)
    ended = subprocess.run(command, env=flow_environment(home), stdout=sys.stderr, check=False)
    if ended.returncode != 0:
        raise StopError(
            f"the flow {flow} ended with code {ended.returncode}.",
            next_step="read its log above; vidpipe status shows how far it came.",
        )


def _make_clips(home: Home) -> DemoCollection:
    from vidpipe.adapters.media.binaries import find_tools

    _say("making a small collection of real video files")
    tools = find_tools(home.settings.ffmpeg, home.settings.ffprobe)
    return make_collection(home.settings.home / "demo", tools.ffmpeg)


def _say(text: str) -> None:
    sys.stderr.write(f"· {text}\n")


def _show(home: Home, collection: str, seconds: float, *, as_json: bool) -> None:
    query = QUERY.format(collection)
    answer = home.warehouse.query(query)
    root = home.settings.home
    where = {
        "warehouse": str(home.warehouse.file),
        "features": str(root / "features"),
        "models": home.settings.mlflow_uri or str(root / "mlflow"),
        "prefect": str(root / "prefect"),
    }
    if as_json:
        print_json({"seconds": round(seconds, 1), "columns": answer.columns, "rows": answer.rows, **where})
        return
    sys.stdout.write(f'\nvidpipe sql "{query}"\n')
    print_table(answer.columns, answer.rows)
    for name, path in where.items():
        sys.stdout.write(f"{name:<10} {path}\n")
    sys.stdout.write(f"\nDone in {seconds:.0f} s. Next: vidpipe status, or your own videos:\n")
    sys.stdout.write("vidpipe ingest FOLDER --collection NAME && vidpipe nightly\n")
