"""Camtrap DP packages, validated by frictionless by the rules of the standard's table schemas (1.0.2)."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import frictionless
import pytest
from stored import exported

from vidpipe.adapters.exchange.camtrap_dp import camtrap_dp
from vidpipe.adapters.exchange.camtrap_package import COLUMNS
from vidpipe.adapters.exchange.camtrap_terms import observation_type, species
from vidpipe.errors import ConfigurationError

TIME: dict[str, Any] = {"type": "datetime", "format": "%Y-%m-%dT%H:%M:%S%z"}
NEEDED: dict[str, Any] = {"constraints": {"required": True}}
KEY: dict[str, Any] = {"constraints": {"required": True, "unique": True}}
RULES: dict[str, dict[str, Any]] = {
    "deployments": {
        "deploymentID": KEY,
        "latitude": {"type": "number", "constraints": {"required": True, "minimum": -90, "maximum": 90}},
        "longitude": {"type": "number", "constraints": {"required": True, "minimum": -180, "maximum": 180}},
        "deploymentStart": TIME | NEEDED,
        "deploymentEnd": TIME | NEEDED,
    },
    "media": {
        "mediaID": KEY,
        "deploymentID": NEEDED,
        "timestamp": TIME | NEEDED,
        "filePath": {"constraints": {"required": True, "pattern": r"^(?=^[^./~])(^((?!\.{2}).)*$).*$"}},
        "filePublic": {"type": "boolean", **NEEDED},
        "fileMediatype": {"constraints": {"required": True, "pattern": r"^(image|video|audio)/.*$"}},
    },
    "observations": {
        "observationID": KEY,
        "deploymentID": NEEDED,
        "eventStart": TIME | NEEDED,
        "eventEnd": TIME | NEEDED,
        "observationLevel": {"constraints": {"required": True, "enum": ["media", "event"]}},
        "observationType": {
            "constraints": {
                "required": True,
                "enum": ["animal", "human", "vehicle", "blank", "unknown", "unclassified"],
            }
        },
        "classificationMethod": {"constraints": {"enum": ["human", "machine"]}},
        "classificationTimestamp": TIME,
        "classificationProbability": {"type": "number", "constraints": {"minimum": 0, "maximum": 1}},
    },
}
"""What the official table schemas demand of the columns that are written; the others are empty text."""
FOREIGN = {"media": ["deployment"], "observations": ["deployment", "media"]}

WHEN = datetime(2026, 5, 1, 22, 0, 0, 250_000)
OWN: dict[str, Any] = {
    "collection": "forest", "source": "/cards", "video_id": "0" * 64, "duration_s": 10.5, "recorded_at": WHEN,
    "known_label": None, "label_source": None, "labelled_at": None, "predicted": "Vulpes vulpes",
    "score": 0.9, "novelty": 0.2, "model_name": "clips", "model_version": 2, "predicted_at": WHEN,
    "attributes": {"latitude": "52.5", "longitude": "13.4", "camera": "north"},
}  # fmt: skip
VIDEOS: list[dict[str, Any]] = [
    {"path": "a.mp4"},
    {"path": "..b..c.MKV", "known_label": "blank", "label_source": "manifest"},
    {"path": "long.mp4", "duration_s": 3600.0},
    {"path": "odd, \"name\".mp4", "novelty": 1.5},
    {"path": "unread.mp4", "predicted": None, "score": None},
    {"path": "south.gif", "attributes": {"lat": "-33.9", "lon": "18.4", "deploymentid": "S1"}},
]  # fmt: skip


def query(name: str, /, **asked: Any) -> list[dict[str, Any]]:
    if name == "export_videos":
        return [exported({**OWN, **video}) for video in VIDEOS]
    if name == "export_spans":
        return []
    spans = [(0.0, 60.0, "person"), (60.0, 90.5, "Sus scrofa")]
    return [
        {**OWN, "path": "long.mp4", "start_s": start, "end_s": end, "label": label, "peak_score": 0.8}
        for start, end, label in spans
    ]


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    """Rows of a table that frictionless finds valid."""
    package = json.loads((folder / "datapackage.json").read_text())
    for resource in package["resources"]:
        name = resource["name"]
        assert resource["schema"].endswith(f"/1.0.2/{name}-table-schema.json")
        fields = [{"name": c, "type": "string", **RULES[name].get(c, {})} for c in COLUMNS[name].split()]
        keys = [
            {"fields": f"{other}ID", "reference": {"resource": {"media": "media"}.get(other, f"{other}s"),
             "fields": f"{other}ID"}} for other in FOREIGN.get(name, ())
        ]  # fmt: skip
        resource["schema"] = {"fields": fields, "primaryKey": fields[0]["name"], "foreignKeys": keys}
    package["profile"] = "data-package"  # the official one lies on the web
    checked = frictionless.Package.from_descriptor(package, basepath=str(folder))
    report = checked.validate()
    assert report.valid, report.flatten(["type", "rowNumber", "fieldName", "message"])
    return [dict(row) for row in checked.get_table_resource(table).read_rows()]


def test_a_package_is_valid_and_tells_what_was_seen_when_and_by_whom(tmp_path: Path) -> None:
    written = camtrap_dp(query, tmp_path, None)
    assert [row["rows"] for row in written] == [2, 6, 7, 6]
    found = {row["observationID"]: row for row in rows(tmp_path, "observations")}
    fox = found["forest/a.mp4#1"]
    assert (fox["observationType"], fox["observationTags"]) == ("animal", "label:Vulpes vulpes")
    assert fox["scientificName"] is None, "a label may be spelt so and be none: Red fox"
    assert (fox["classificationMethod"], fox["classifiedBy"]) == ("machine", "clips 2")
    assert fox["eventStart"].isoformat() == "2026-05-01T22:00:00+00:00"
    assert fox["eventEnd"].isoformat() == "2026-05-01T22:00:11+00:00", "rounded up"
    known = found["forest/..b..c.MKV#1"]
    assert (known["observationType"], known["classificationMethod"]) == ("blank", "human")
    assert known["classificationProbability"] is None
    assert [found[f"forest/long.mp4#{n}"]["observationType"] for n in (1, 2)] == ["human", "animal"]
    assert found["forest/long.mp4#2"]["eventStart"].isoformat() == "2026-05-01T22:01:00+00:00"
    assert found['forest/odd, "name".mp4#1']["observationType"] == "unknown", "novel"
    assert found["forest/unread.mp4#1"]["observationType"] == "unclassified"


def test_media_and_deployments_say_where_each_video_is_from(tmp_path: Path) -> None:
    camtrap_dp(query, tmp_path, None)
    media = {row["fileName"]: row for row in rows(tmp_path, "media")}
    assert media["..b..c.MKV"]["filePath"] == "%2E%2Eb%2E%2Ec.MKV"
    assert media["..b..c.MKV"]["fileMediatype"].startswith("video/")
    assert media["south.gif"]["deploymentID"] == "S1"
    first, second = sorted(rows(tmp_path, "deployments"), key=lambda row: str(row["deploymentID"]))
    assert (first["deploymentID"], float(first["latitude"])) == ("S1", -33.9)
    assert second["deploymentEnd"].isoformat() == "2026-05-01T23:00:01+00:00", "when the last video ends"


def test_what_a_person_wrote_in_the_package_stays(tmp_path: Path) -> None:
    camtrap_dp(query, tmp_path, None)
    file = tmp_path / "datapackage.json"
    package = json.loads(file.read_text())
    assert package["temporal"] == {"start": "2026-05-01", "end": "2026-05-01"} and not package["taxonomic"]
    boar = {"scientificName": "Sus scrofa", "vernacularNames": {"deu": "Wildschwein"}}
    fox = {"scientificName": "Vulpes", "vernacularNames": {"eng": "Vulpes Vulpes"}}
    file.write_text(json.dumps({**package, "title": "Our forest", "taxonomic": [boar, fox]}))
    camtrap_dp(query, tmp_path, None)
    again = json.loads(file.read_text())
    assert again["title"] == "Our forest" and again["taxonomic"] == [boar, fox]
    named = {row["observationID"]: row["scientificName"] for row in rows(tmp_path, "observations")}
    assert (named["forest/a.mp4#1"], named["forest/long.mp4#2"]) == ("Vulpes", "Sus scrofa")
    assert named["forest/long.mp4#1"] is None, "a person"
    file.write_text("not JSON")
    with pytest.raises(ConfigurationError, match=r"cannot read .*datapackage\.json"):
        camtrap_dp(query, tmp_path, None)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"recorded_at": None}, r"1 of 6 have no recorded_at, the first is forest/a\.mp4"),
        ({"attributes": {"longitude": "1"}}, r"forest/a\.mp4 the attribute latitude is '', expected degrees"),
        ({"attributes": {"latitude": "52,5", "longitude": "1"}}, "latitude is '52,5'"),
        ({"attributes": {"latitude": "91", "longitude": "1"}}, "latitude is '91'.*-90 to 90"),
        ({"attributes": {"latitude": "nan", "longitude": "1"}}, "latitude is 'nan'"),
        ({"attributes": {"latitude": "1", "longitude": "2", "camera": "north"}}, "'north' lies in one place"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_written(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    def read(name: str, /, **asked: Any) -> list[dict[str, Any]]:
        found = query(name)
        return [{**found[0], **changed}, *found[1:]] if name == "export_videos" else found

    with pytest.raises(ConfigurationError, match=said):
        camtrap_dp(read, tmp_path / "out", None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("label", "kind"),
    [("Empty", "blank"), ("no_animal", "blank"), ("Person", "human"), ("car", "vehicle"), ("fox", "animal")],
)
def test_labels_are_types_of_observation(label: str, kind: str) -> None:
    assert observation_type(label) == kind


@pytest.mark.parametrize(
    "odd", [None, 3, [3], [{"scientificName": 3}], [{"vernacularNames": {"eng": "fox"}}]]
)
def test_taxa_that_are_none_name_no_species(odd: Any) -> None:
    assert species(odd) == {}
