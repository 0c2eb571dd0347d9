"""Text files of exports, each replaced whole."""

from __future__ import annotations

from pathlib import Path

from vidpipe.adapters.atomic import replacing
from vidpipe.errors import StorageFailed


def write_text(file: Path, text: str) -> dict[str, int]:
    """Write a file in UTF-8, with its folders; returns its size.

    Raises:
        StorageFailed: No permission, no space, or something is in the way.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temp:
            temp.write_bytes(text.encode(errors="backslashreplace"))
        return {"bytes": file.stat().st_size}
    except OSError as error:
        raise StorageFailed(
            f"cannot write {file}: {error.strerror}.", next_step="pass a folder that may be written."
        ) from None
