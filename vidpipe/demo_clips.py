"""A small collection of real video files, so that the whole job can be shown on a bare machine.

A camera wanders over two photographs that scikit-learn ships (china.jpg and flower.jpg, both
CC BY 2.0), and ffmpeg encodes what it sees as H.264. Two labels differ only in the order of events:

    palace               P P P P P P P P P P
    flower               F F F F F F F F F F
    palace_then_flower   P P P P P P F F F F     one shot of each, cut where the dice say
    flower_then_palace   F F F F P P P P P P     the same two shots, swapped

Every clip of `palace_then_flower` has its twin in `flower_then_palace`: the same shots, lengths
and colours, in the same split. So the mean over time knows nothing of the order; only a model that
reads the sequence can tell them apart.

A *take* is a camera position on each photograph. All clips of one take, in all four labels, share a
group, and the take decides the split. Names, labels, groups and splits do not depend on the seed: a
file that is already there keeps its label, whichever seed drew its pixels.
"""

import csv
import importlib.util
import math
import os
import random
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg as ffmpeg_python

from vidpipe.errors import ConfigurationError, NotFound, StopError

Progress = Callable[[int, int], None]

LABELS = ("palace", "flower", "palace_then_flower", "flower_then_palace")
TAKES = 24
"""Each gives one clip of each label: 14 to train, 4 to validate, 6 to test a label."""
INCOMING = 12
"""New clips without a label, three of each kind."""

FPS = 24
WIDTH_PX, HEIGHT_PX = 320, 240
STAGE_PX = (960, 720)
"""The camera moves by whole pixels of a picture three times as fine as the clip: smooth enough."""
QUARTERS = (8, 14)
"""Shortest and longest clip, in quarters of a second. Cuts fall on quarters too: sampled at 4
frames a second, a shot then gives the same frames in the first place as in the second."""
FRAMES_A_QUARTER = FPS // 4
TIMEOUT_S = 60.0
WORKERS = 2


@dataclass(frozen=True, slots=True)
class DemoCollection:
    """Where everything is."""

    labelled: Path
    """Folder of the labelled clips, one folder a label."""
    manifest: Path
    """CSV: path (relative to `labelled`), label, group, split."""
    incoming: Path
    """Folder of new clips, whose names tell nothing."""
    truth: Path
    """CSV: path (relative to `incoming`), label. Outside the folder, so that no ingest sees it."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One of the two photographs, and where in it the subject stands."""

    file: str
    centre: tuple[float, float]
    """Of the subject, as shares of width and height."""
    size_px: tuple[int, int] = (640, 427)


PALACE = Photo("china.jpg", centre=(0.34, 0.50))
FLOWER = Photo("flower.jpg", centre=(0.48, 0.50))


@dataclass(frozen=True, slots=True)
class Region:
    """A camera position: the part of one photograph that a take sees, in the clip's aspect."""

    photo: Photo
    x_px: int
    y_px: int
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Look:
    """Where the camera looks at one instant."""

    zoom: float
    """1 shows the whole region."""
    x: float
    y: float
    """Share of the slack that zooming leaves, 0 left or top, 1 right or bottom."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One uninterrupted movement over a region."""

    region: Region
    start: Look
    end: Look
    mirrored: bool
    quarters: int
    """Length in quarters of a second."""


@dataclass(frozen=True, slots=True)
class Grade:
    """Colours of a whole clip, in the units of ffmpeg's `eq` and `hue`."""

    brightness: float
    contrast: float
    saturation: float
    hue_degrees: float


@dataclass(frozen=True, slots=True)
class Clip:
    """Everything that makes one file."""

    path: str
    """Relative to its collection's folder."""
    label: str
    group: str
    split: str
    shots: tuple[Shot, ...]
    grade: Grade


def make_collection(
    root: Path,
    ffmpeg: Path | str,
    *,
    seed: int = 0,
    takes: int = TAKES,
    progress: Progress | None = None,
) -> DemoCollection:
    """Make what is missing of the demo's clips and manifests under `root`.

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


# -- what to make: plain values from dice, no files ---------------------------------------------


def labelled_clips(seed: int, takes: int = TAKES) -> list[Clip]:
    """The labelled clips, by label, then take."""
    by_take = [_take_clips(seed, take, _split_of(take, takes)) for take in range(takes)]
    return sorted((clip for clips in by_take for clip in clips), key=_label_order)


def incoming_clips(seed: int) -> list[Clip]:
    """The new clips: all four kinds, from takes of their own, in an order that no name tells."""
    takes = [_dice(seed, "incoming take", take) for take in range(INCOMING // len(LABELS))]
    scenes = [scene for dice in takes for scene in _scenes(dice, *_regions(dice)).items()]
    _dice("order of the incoming clips").shuffle(scenes)
    return [
        Clip(f"clip_{number:03d}.mp4", label, "", "", shots, grade)
        for number, (label, (shots, grade)) in enumerate(scenes, start=1)
    ]


def _label_order(clip: Clip) -> tuple[int, str]:
    return LABELS.index(clip.label), clip.path


def _dice(*words: object) -> random.Random:
    """Dice of their own for each purpose, so that one clip's draws never shift another's."""
    return random.Random(":".join(map(str, words)))  # noqa: S311  # pictures, not secrets


def _split_of(take: int, takes: int) -> str:
    """A quarter of the takes test, a sixth validate (at least one each), the first ones train."""
    test, val = max(1, round(takes / 4)), max(1, round(takes / 6))
    if take < takes - val - test:
        return "train"
    return "val" if take < takes - test else "test"


def _take_clips(seed: int, take: int, split: str) -> list[Clip]:
    """One clip of each label, all from the same two camera positions."""
    dice = _dice(seed, "take", take)
    name, group = f"{take + 1:02d}", f"take_{take + 1:02d}"
    return [
        Clip(f"{label}/{label}_{name}.mp4", label, group, split, shots, grade)
        for label, (shots, grade) in _scenes(dice, *_regions(dice)).items()
    ]


def _scenes(dice: random.Random, palace: Region, flower: Region) -> dict[str, tuple[tuple[Shot, ...], Grade]]:
    """Shots and colours of one clip of each label; the last two are the same shots, swapped."""
    alone_palace = _shot(dice, palace, dice.randint(*QUARTERS)), _grade(dice)
    alone_flower = _shot(dice, flower, dice.randint(*QUARTERS)), _grade(dice)
    quarters = dice.randint(*QUARTERS)
    cut = round(quarters * dice.uniform(0.35, 0.65))
    first, second = _shot(dice, palace, cut), _shot(dice, flower, quarters - cut)
    grade = _grade(dice)
    scenes = ((alone_palace[0],), (alone_flower[0],), (first, second), (second, first))
    grades = (alone_palace[1], alone_flower[1], grade, grade)
    return dict(zip(LABELS, zip(scenes, grades, strict=True), strict=True))


def _regions(dice: random.Random) -> tuple[Region, Region]:
    """One take: a camera position at the palace and one at the flower."""
    return _region(dice, PALACE), _region(dice, FLOWER)


def _region(dice: random.Random, photo: Photo) -> Region:
    """A part of the photograph around its subject, in the aspect of the clip."""
    photo_width, photo_height = photo.size_px
    height = int(photo_height * dice.uniform(0.74, 0.95))
    width = height * WIDTH_PX // HEIGHT_PX
    x = photo_width * (photo.centre[0] + dice.uniform(-0.07, 0.07)) - width / 2
    y = photo_height * (photo.centre[1] + dice.uniform(-0.07, 0.07)) - height / 2
    return Region(photo, _clamp(x, photo_width - width), _clamp(y, photo_height - height), width, height)


def _clamp(value: float, most: int) -> int:
    return max(0, min(most, round(value)))


def _shot(dice: random.Random, region: Region, quarters: int) -> Shot:
    """A straight pan through the middle of the region, in any direction, zooming in or out."""
    angle, reach = dice.uniform(0, 2 * math.pi), dice.uniform(0.25, 0.5)
    dx, dy = reach * math.cos(angle), reach * math.sin(angle)
    start = Look(dice.uniform(1.08, 1.32), 0.5 - dx, 0.5 - dy)
    end = Look(dice.uniform(1.08, 1.32), 0.5 + dx, 0.5 + dy)
    return Shot(region, start, end, dice.random() < 0.5, quarters)


def _grade(dice: random.Random) -> Grade:
    return Grade(
        brightness=dice.uniform(-0.05, 0.05),
        contrast=dice.uniform(0.9, 1.12),
        saturation=dice.uniform(0.8, 1.2),
        hue_degrees=dice.uniform(-8, 8),
    )


# -- how ffmpeg makes it ------------------------------------------------------------------------


def encode_command(clip: Clip, target: Path, photos: Path, ffmpeg: str) -> list[str]:
    """The ffmpeg call that writes `clip` to `target`.

    Source: https://ffmpeg.org/ffmpeg-formats.html (`bitexact`: no build, no date in the file).
    """
    pictures = [_filmed(shot, photos) for shot in clip.shots]
    stream = pictures[0] if len(pictures) == 1 else ffmpeg_python.concat(*pictures)
    output = ffmpeg_python.output(
        _graded(stream, clip.grade),
        str(target),
        **{"c:v": "libx264", "preset": "veryfast", "threads": 1, "f": "mp4"},
        # One quality and a key frame at the cut: a shot decodes to the same bits in either place.
        **{"qp": 24, "force_key_frames": f"{clip.shots[0].quarters / 4:g}"},
        **{"fflags": "+bitexact", "flags:v": "+bitexact", "map_metadata": -1},
    )
    quiet = output.global_args("-nostdin", "-hide_banner", "-loglevel", "error")
    command: list[str] = quiet.overwrite_output().compile(cmd=ffmpeg)
    return command


def _filmed(shot: Shot, photos: Path) -> Any:
    """What the camera sees.

    In 4:4:4, where the camera stops at every pixel and not at every second one.
    """
    region = shot.region
    picture = ffmpeg_python.input(str(photos / region.photo.file))
    picture = picture.filter("crop", region.width_px, region.height_px, region.x_px, region.y_px)
    # A photograph has full-range colours and a print profile, an ordinary video neither.
    picture = picture.filter("sidedata", mode="delete", type="ICC_PROFILE")
    picture = picture.filter("scale", *STAGE_PX, flags="bicubic", out_range="tv")
    picture = picture.filter("format", "yuv444p").filter("setsar", 1)
    if shot.mirrored:
        picture = picture.hflip()
    frames = shot.quarters * FRAMES_A_QUARTER
    done = f"on/{frames}"
    return picture.filter(
        "zoompan",
        z=_between(shot.start.zoom, shot.end.zoom, done),
        x=f"(iw-iw/zoom)*({_between(shot.start.x, shot.end.x, done)})",
        y=f"(ih-ih/zoom)*({_between(shot.start.y, shot.end.y, done)})",
        d=frames,
        s=f"{WIDTH_PX}x{HEIGHT_PX}",
        fps=FPS,
    )


def _between(start: float, end: float, done: str) -> str:
    return f"{start:.4f}+({end - start:.4f})*{done}"


def _graded(stream: Any, grade: Grade) -> Any:
    stream = stream.filter("format", "yuv420p").filter(
        "eq",
        brightness=f"{grade.brightness:.4f}",
        contrast=f"{grade.contrast:.4f}",
        saturation=f"{grade.saturation:.4f}",
    )
    return stream.filter("hue", h=f"{grade.hue_degrees:.3f}")


def photo_folder() -> Path:
    """Where scikit-learn keeps its photographs; found without importing it (that takes seconds).

    Raises:
        NotFound: scikit-learn is not installed, or came without them.
    """
    spec = importlib.util.find_spec("sklearn")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "datasets" / "images"
        if all((folder / photo.file).is_file() for photo in (PALACE, FLOWER)):
            return folder
    raise NotFound(
        "The demo films two photographs of scikit-learn, which are not installed.",
        next_step="pip install scikit-learn",
    )


# -- files --------------------------------------------------------------------------------------


def _encode_missing(jobs: Sequence[tuple[Clip, Path]], root: Path, ffmpeg: str, progress: Progress) -> None:
    """Encode what is not there, two at a time; the first failure stops the rest."""
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
    """Progress for those who did not ask."""
    del done, total
