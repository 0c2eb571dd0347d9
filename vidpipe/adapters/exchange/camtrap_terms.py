"""Words of Camtrap DP: which type of observation a label means, and which species."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

TYPES = {
    "blank": ("blank", "empty", "none", "nothing", "background", "no animal", "false trigger"),
    "human": ("human", "person", "people", "man", "woman", "hiker", "homo sapiens"),
    "vehicle": ("vehicle", "car", "truck", "bicycle", "bike", "motorcycle", "quad"),
    "unknown": ("unknown", "unidentified", "unsure"),
}
"""Labels as `folded` has them; any other is an animal."""


def observation_type(label: str) -> str:
    """Camtrap DP's `observationType` of a label: blank, human, vehicle, unknown, else animal."""
    return next((kind for kind, labels in TYPES.items() if folded(label) in labels), "animal")


def folded(label: str) -> str:
    """A label in lower case, with blanks for underscores."""
    return " ".join(label.replace("_", " ").lower().split())


def species(taxonomic: Any) -> dict[str, str]:
    """Scientific names by folded label: of each taxon of a package, its own and its vernacular names.

    A label alone does not say: Red fox is spelt like Vulpes vulpes.
    """
    names: dict[str, str] = {}
    for taxon in taxonomic if isinstance(taxonomic, list) else ():
        if isinstance(taxon, dict) and isinstance(taxon.get("scientificName"), str):
            for name in (taxon["scientificName"], *_vernacular(taxon.get("vernacularNames"))):
                names[folded(name)] = taxon["scientificName"]
    return names


def _vernacular(names: Any) -> Iterable[str]:
    return (n for n in names.values() if isinstance(n, str)) if isinstance(names, dict) else ()
