"""Metadata of a Camera Trap Data Package, `datapackage.json`, and the columns of its tables.

Source: https://camtrap-dp.tdwg.org/metadata, version 1.0.2
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vidpipe import __version__
from vidpipe.errors import ConfigurationError

STANDARD = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2"
COLUMNS = {
    "deployments": """
        deploymentID locationID locationName latitude longitude coordinateUncertainty deploymentStart
        deploymentEnd setupBy cameraID cameraModel cameraDelay cameraHeight cameraDepth cameraTilt
        cameraHeading detectionDistance timestampIssues baitUse featureType habitat deploymentGroups
        deploymentTags deploymentComments
        """,
    "media": """
        mediaID deploymentID captureMethod timestamp filePath filePublic fileName fileMediatype exifData
        favorite mediaComments
        """,
    "observations": """
        observationID deploymentID mediaID eventID eventStart eventEnd observationLevel observationType
        cameraSetupType scientificName count lifeStage sex behavior individualID individualPositionRadius
        individualPositionAngle individualSpeed bboxX bboxY bboxWidth bboxHeight classificationMethod
        classifiedBy classificationTimestamp classificationProbability observationTags observationComments
        """,
}
"""Columns of each table, in the standard's order."""

Tables = Mapping[str, Sequence[Mapping[str, Any]]]


def data_package(written: Mapping[str, Any], tables: Tables, collections: Sequence[str]) -> dict[str, Any]:
    """Metadata of the tables; what was written of other things, by a person, stays."""
    title = ", ".join(collections) or "vidpipe"
    suggested = {
        "title": title,
        "taxonomic": [],
        "contributors": [{"title": "vidpipe", "role": "contributor"}],
        "project": {
            "title": title,
            "samplingDesign": "opportunistic",
            "captureMethod": ["activityDetection"],
            "individualAnimals": False,
            "observationLevel": ["media"],
        },
    }
    return {**suggested, **written, **_of_the_tables(tables)}


def written_package(file: Path) -> dict[str, Any]:
    """Read the metadata that an export before, or a person, has written; nothing where there is none.

    Raises:
        ConfigurationError: `file` is there and is no JSON object.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"cannot read {file}: {error}.", next_step="remove it, or mend it; what it says is kept."
        ) from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"{file} is no JSON object.", next_step="remove it.")
    return found


def _of_the_tables(tables: Tables) -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    deployments = tables["deployments"]
    starts, ends = (
        [d[key][:10] for d in deployments] or [now[:10]] for key in ("deploymentStart", "deploymentEnd")
    )
    return {
        "profile": f"{STANDARD}/camtrap-dp-profile.json",
        "created": now,
        "sources": [{"title": "vidpipe", "version": __version__}],
        "spatial": {
            "type": "MultiPoint",
            "coordinates": [[d["longitude"], d["latitude"]] for d in deployments],
        },
        "temporal": {"start": min(starts), "end": max(ends)},
        "resources": [_resource(name) for name in COLUMNS],
    }


def _resource(name: str) -> dict[str, str]:
    return {
        "name": name,
        "path": f"{name}.csv",
        "profile": "tabular-data-resource",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "schema": f"{STANDARD}/{name}-table-schema.json",
    }
