"""Several labels a video from real files to SQL: joined clips, the command line, a night, a served model."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import certain, concrete, warehouse_rows

from vidpipe.adapters.media.binaries import Tools
from vidpipe.adapters.models.registry import Registry
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.steps.evaluate import evaluate
from vidpipe.steps.extract import extract
from vidpipe.steps.nightly import nightly
from vidpipe.steps.promote import promote
from vidpipe.steps.train import train

pytestmark = pytest.mark.slow


def join(tools: Tools, clips: list[Path], output: Path) -> None:
    """A second of each clip, side by side."""
    inputs = [argument for clip in clips for argument in ("-t", "1", "-i", str(clip))]
    if len(clips) == 1:
        inputs *= 2
    scaled = "".join(f"[{i}:v]scale=160:120,setsar=1,fps=10[v{i}];" for i in range(2))
    graph = f"{scaled}[v0][v1]hstack=shortest=1"
    encoded = ("-an", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    command = [tools.ffmpeg, "-v", "error", *inputs, "-filter_complex", graph, *encoded, str(output)]
    subprocess.run(command, check=True)


@pytest.fixture
def joined(tmp_path: Path, tools: Tools, clips: Any) -> Path:
    """A folder of videos with one or both of two labels, and its manifest; every third is a test video."""
    with clips.manifest.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = ["flower", "palace"]
    of_label = {
        name: [clips.labelled / row["path"] for row in rows if row["label"] == name] for name in names
    }
    folder = tmp_path / "joined"
    folder.mkdir()
    lines = ["path,label,split"]
    for n in range(6):
        for labels in (["flower"], ["palace"], names):
            path = f"{'-'.join(labels)}-{n}.mp4"
            join(tools, [of_label[name][n] for name in labels], folder / path)
            lines.append(f"{path},{'|'.join(reversed(labels))},{'test' if n % 3 == 2 else 'train'}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_from_files_to_latest_labels(
    joined: Path, tmp_path: Path, make_ports: Callable[[Path], Ports], vidpipe: Any
) -> None:
    manifest = joined / "manifest.csv"
    asked = ("ingest", str(joined), "--collection", "joined", "--manifest", str(manifest), "--multi-label")
    ingested = json.loads(vidpipe(*asked, "--json").stdout)
    assert (ingested["videos"], ingested["labels"]) == (18, 2)

    ports = make_ports(tmp_path / "home")
    extract(ports)
    trained = train(ports, "joined", config=TrainingConfig(epochs=3, hidden_size=8, projection=8))
    assert trained.metrics["test_mean_average_precision"] > 0.9
    found = evaluate(ports)
    assert found.n == 6 and certain(found.mean_average_precision) > 0.9 and found.macro_f1 > 0.7
    promote(ports, force=True, reason="a test")
    done = nightly(ports)
    assert done.status == "ok" and done.classified == 18
    held = warehouse_rows(ports, "select path, list(label order by label) from latest_labels group by path")
    truth = {row["path"]: sorted(row["label"].split("|")) for row in csv.DictReader(manifest.open())}
    assert sum(labels == truth[path] for path, labels in held) > 13
    assert warehouse_rows(ports, "select count(*) from latest_predictions") == [(18,)]

    least = warehouse_rows(
        ports,
        "select label, score from predictions where over_threshold is not null order by abs(score - 0.5)",
    )[0]
    page = (tmp_path / "home" / "reports" / f"{done.run_id}.html").read_text(encoding="utf-8")
    section = page.split('id="unsure"')[1].split("</section>")[0]
    first = section.split("<b>")[1]
    assert first.startswith(f"{least[1]:.3f}</b> <bdi>{least[0]}<"), "nearest to neither there nor not there"
    assert "given" in first

    path, labels = held[0]
    answer = served(ports, joined / path)
    assert sorted(json.loads(answer["labels"])) == labels


def served(ports: Ports, video: Path) -> dict[str, Any]:
    """What the registered model says of a file."""
    import mlflow
    import pandas as pd

    registry = concrete(ports.registry, Registry)
    uri = registry.store.client.get_model_version_download_uri(registry.model, "1")
    (row,) = mlflow.pyfunc.load_model(uri).predict(pd.DataFrame({"path": [str(video)]})).to_dict("records")
    return dict(row)
