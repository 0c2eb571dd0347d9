"""Generate the demo's collection of small H.264 clips with labels, so that it runs without downloads.

What the clips show is in `script.py`, the ffmpeg commands that render them in `camera.py`.
"""

import csv
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from vidpipe.demo.camera import encode_command, photo_folder
from vidpipe.demo.script import TAKES, Clip, incoming_clips, labelled_clips
from vidpipe.errors import ConfigurationError, StopError

Progress = Callable[[int, int], None]

TIMEOUT_S = 60.0
WORKERS = 2


@dataclass(frozen=True, slots=True)
class DemoCollection:
    """Paths of the demo's folders and manifests."""

    labelled: Path
    """Folder of the labelled clips, one folder a label."""
    manifest: Path
    """CSV: path (relative to `labelled`), label, group, split."""
    incoming: Path
    """Folder of new clips, whose names tell nothing."""
    truth: Path
    """CSV: path (relative to `incoming`), label. Outside the folder, so that no ingest sees it."""


def make_collection(
    root: Path,
    ffmpeg: Path | str,
    *,
    seed: int = 0,
    takes: int = TAKES,
    progress: Progress | None = None,
) -> DemoCollection:
    """Generate the demo's clips and manifests under `root`; what is there already is kept.

    Safe to repeat and to kill: a clip gets its name only when it is complete, and a clip that is
    there is left alone. The same seed and ffmpeg build give the same bytes.

    Args:
        root: Folder to fill; made where it does not exist.
        ffmpeg: An ffmpeg with libx264.
        seed: Draws camera positions, movements, colours, cuts and lengths.
        takes: Camera positions, each of which gives one clip of each label; at least 3.
        progress: Called with (clips done, clips in all) at the start and after each new clip.

    Raises:
        StopError: ffmpeg fails, or the photographs are not installed.
    """
    if takes < 3:
        raise ConfigurationError(f"The demo needs 3 takes, one for each split, got {takes}.")
    made = DemoCollection(
        root / "labelled", root / "labelled.csv", root / "incoming", root / "incoming_truth.csv"
    )
    labelled, incoming = labelled_clips(seed, takes), incoming_clips(seed)
    jobs = [(clip, made.labelled / clip.path) for clip in labelled]
    jobs += [(clip, made.incoming / clip.path) for clip in incoming]
    _encode_missing(jobs, root, str(ffmpeg), progress or _silent)
    _write_csv(made.manifest, ("path", "label", "group", "split"), labelled)
    _write_csv(made.truth, ("path", "label"), incoming)
    return made


def _encode_missing(jobs: Sequence[tuple[Clip, Path]], root: Path, ffmpeg: str, progress: Progress) -> None:
    """Encode the missing clips, two at a time; the first failure stops the rest."""
    missing = [(clip, target) for clip, target in jobs if not target.exists()]
    done = len(jobs) - len(missing)
    progress(done, len(jobs))
    if not missing:
        return
    photos = photo_folder()
    for folder in {target.parent for _, target in missing}:
        folder.mkdir(parents=True, exist_ok=True)
    # Half-made clips live beside the two folders, never in them: a kill leaves nothing to ingest.
    with (
        tempfile.TemporaryDirectory(dir=root, prefix=".making-") as scratch,
        ThreadPoolExecutor(WORKERS) as pool,
    ):
        futures = [
            pool.submit(_encode, clip, target, Path(scratch), photos, ffmpeg) for clip, target in missing
        ]
        try:
            for count, future in enumerate(as_completed(futures), start=done + 1):
                future.result()
                progress(count, len(jobs))
        finally:
            pool.shutdown(cancel_futures=True)


def _encode(clip: Clip, target: Path, scratch: Path, photos: Path, ffmpeg: str) -> None:
    unfinished = scratch / target.name
    _run(encode_command(clip, unfinished, photos, ffmpeg), what=target.name)
    unfinished.replace(target)


def _run(command: Sequence[str], *, what: str) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise StopError(f"ffmpeg took over {TIMEOUT_S:g} s to encode {what}.") from error
    except OSError as error:
        raise StopError(
            f"{command[0]} does not start: {error.strerror}.",
            next_step="set VIDPIPE_FFMPEG to a working ffmpeg.",
        ) from error
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"exit {done.returncode}"
        raise StopError(
            f"ffmpeg could not encode {what}: {reason}", next_step="set VIDPIPE_FFMPEG to a working ffmpeg."
        )


def _write_csv(target: Path, columns: Sequence[str], clips: Iterable[Clip]) -> None:
    """Replace `target` in one step, and only when it differs: an unchanged file keeps its time."""
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    with unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([getattr(clip, column) for column in columns] for clip in clips)
    if target.exists() and target.read_bytes() == unfinished.read_bytes():
        unfinished.unlink()
    else:
        unfinished.replace(target)


def _silent(done: int, total: int) -> None:
    """Progress callback that shows nothing."""
    del done, total
