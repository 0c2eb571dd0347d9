"""What monitoring reads after each night, and the unit files and alert rules that go with it."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from vidpipe.adapters.prometheus_file import PrometheusFile
from vidpipe.errors import StorageFailed
from vidpipe.ports import Ports
from vidpipe.records.machine import Gauge
from vidpipe.steps.ingest import ingest
from vidpipe.steps.monitoring import GAUGES
from vidpipe.steps.nightly import nightly

DOCKER = Path(__file__).resolve().parents[3] / "docker"


def gauges(file: Path) -> dict[str, float]:
    """Values by name, and by label where there is one."""
    families = text_string_to_metric_families(file.read_text(encoding="utf-8"))
    samples = [sample for family in families for sample in family.samples]
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}


def test_a_night_tells_monitoring_what_it_did(ports: Ports, home: Any, clips: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy2(min(clips.incoming.glob("*.mp4")), tmp_path / "in")
    (tmp_path / "in" / "bad.mp4").write_text("no video")
    ingest(ports, "in", tmp_path / "in")
    shutil.copy2(max(clips.incoming.glob("*.mp4")), tmp_path / "in")
    before = time.time()

    night = nightly(ports)

    said = gauges(home.settings.home / "metrics.prom")
    assert said["vidpipe_night_videos"] == night.ingested == 1
    assert said["vidpipe_night_extracted"] == 2 and said["vidpipe_night_classified"] == 0
    assert said["vidpipe_night_failures"] == night.failed
    assert said["vidpipe_night_seconds"] == pytest.approx(night.seconds, abs=1)
    assert before - 1 <= said["vidpipe_last_good_night_timestamp_seconds"] <= time.time()
    assert said["vidpipe_night_status no_champion"] == 1
    assert "vidpipe_champion_version" not in said, "what is not there has no number"

    (tmp_path / "in").rename(tmp_path / "away")
    assert nightly(ports).status == "failed"
    then = gauges(home.settings.home / "metrics.prom")
    assert then["vidpipe_night_status failed"] == 1 and "vidpipe_night_status no_champion" not in then
    good = "vidpipe_last_good_night_timestamp_seconds"
    assert then[good] == said[good] < then["vidpipe_last_night_timestamp_seconds"]


def test_a_file_that_cannot_be_written_costs_no_night(ports: Ports, home: Any) -> None:
    (home.settings.home / "metrics.prom").mkdir(parents=True)
    assert nightly(ports).status == "no_champion"
    with pytest.raises(StorageFailed, match=r"metrics\.prom"):
        PrometheusFile(home.settings.home / "metrics.prom").write([Gauge("a", "b", 1.0)])


def test_the_alert_rules_speak_of_gauges_that_there_are() -> None:
    rules = yaml.safe_load((DOCKER / "prometheus-alerts.yaml").read_text(encoding="utf-8"))
    (group,) = rules["groups"]
    used = {name for rule in group["rules"] for name in re.findall(r"vidpipe_\w+", rule["expr"])}
    assert used and used <= {*GAUGES, "vidpipe_night_status", "vidpipe_feature_drift"}


@pytest.mark.parametrize("name", ["vidpipe-nightly.service", "vidpipe-nightly.timer"])
def test_the_unit_files_are_units(name: str, tmp_path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd tells capitals apart
    unit.read(DOCKER / "systemd" / name, encoding="utf-8")
    assert "Unit" in unit and "Install" in unit
    if analyze := shutil.which("systemd-analyze"):
        for file in (DOCKER / "systemd").iterdir():  # with programs that exist
            text = file.read_text(encoding="utf-8").replace("/srv/vidpipe/.venv/bin/vidpipe", "/bin/true")
            (tmp_path / file.name).write_text(text, encoding="utf-8")
        ended = subprocess.run(
            [analyze, "verify", str(tmp_path / name)], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
