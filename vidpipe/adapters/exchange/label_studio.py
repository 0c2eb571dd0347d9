"""Writer of Label Studio's tasks: videos with predictions, and known labels as annotations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import quoteattr

from vidpipe.adapters.exchange.files import write_text
from vidpipe.ports.outcome import NamedQuery

NAME, SHOWN = "label", "video"
"""Of the choices and of the player, as the label configuration has them."""


def label_studio(read: NamedQuery, folder: Path, collection: str | None) -> list[dict[str, Any]]:
    """Write `tasks.json` and the label configuration `config.xml` that goes with it.

    A file of a folder is `/data/local-files/?d=PATH`: Label Studio finds it where its document root is the
    source of the collection. An object of a bucket keeps its address.

    Source: https://labelstud.io/guide/predictions and https://labelstud.io/guide/tasks#Label-Studio-JSON

    Raises:
        StorageFailed: The folder cannot be written.
    """
    rows = read("export_videos", collection=collection)
    labels = sorted({label for row in rows for label in (*_known(row), row["predicted"]) if label})
    several = any(len(named) > 1 for row in rows for named in (_known(row), row["labels"] or ()))
    tasks = json.dumps([_task(row) for row in rows], indent=1, ensure_ascii=True)
    return [
        {"file": str(folder / "tasks.json"), **write_text(folder / "tasks.json", tasks), "rows": len(rows)},
        {"file": str(folder / "config.xml"), **write_text(folder / "config.xml", _config(labels, several)),
         "rows": len(labels)},
    ]  # fmt: skip


def _task(row: Mapping[str, Any]) -> dict[str, Any]:
    task: dict[str, Any] = {
        "data": {"video": _address(row), **{name: row[name] for name in ("collection", "path", "video_id")}}
    }
    if row["predicted"] is not None:
        prediction = {"model_version": f"{row['model_name']} {row['model_version']}", "score": row["score"]}
        task["predictions"] = [{**prediction, "result": _choices(row["labels"] or (), row["score"])}]
    if row["known_label"] is not None:
        task["annotations"] = [{"result": _choices(_known(row))}]
    return task


def _known(row: Mapping[str, Any]) -> Sequence[str]:
    return row["known_labels"] or ()


def _choices(labels: Sequence[str], score: float | None = None) -> list[dict[str, Any]]:
    """One result with all labels; none where no label holds."""
    if not labels:
        return []
    scored = {} if score is None else {"score": score}
    named = {"from_name": NAME, "to_name": SHOWN, "type": "choices"}
    return [{**named, **scored, "value": {"choices": list(labels)}}]


def _address(row: Mapping[str, Any]) -> str:
    if "://" in row["source"]:
        return f"{row['source']}/{quote(row['path'])}"
    return f"/data/local-files/?d={quote_plus(row['path'], safe='/', errors='surrogateescape')}"


def _config(labels: Iterable[str], several: bool) -> str:
    many = ' choice="multiple"' if several else ""
    choices = "\n".join(f"    <Choice value={quoteattr(label)}/>" for label in labels)
    return (
        f'<View>\n  <Video name="{SHOWN}" value="$video"/>\n'
        f'  <Choices name="{NAME}" toName="{SHOWN}"{many}>\n{choices}\n  </Choices>\n</View>\n'
    )
