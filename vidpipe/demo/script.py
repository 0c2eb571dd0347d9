"""Synthetic dataset of the demo: labels, splits and camera movements of its clips, from a seeded generator.

Two labels differ only in the order of events:

    palace               P P P P P P P P P P
    flower               F F F F F F F F F F
    palace_then_flower   P P P P P P F F F F     one shot of each, cut where the draws say
    flower_then_palace   F F F F P P P P P P     the same two shots, swapped

Every clip of `palace_then_flower` has its twin in `flower_then_palace`: the same shots, lengths
and colours, in the same split. So the mean over time knows nothing of the order; only a model that
reads the sequence can tell them apart.

A *take* is a camera position on each photograph. All clips of one take, in all four labels, share a
group, and the take decides the split. Names, labels, groups and splits do not depend on the seed: a
file that is already there keeps its label, whichever seed drew its pixels.
"""

import math
import random
from dataclasses import dataclass

LABELS = ("palace", "flower", "palace_then_flower", "flower_then_palace")
TAKES = 24
"""Each gives one clip of each label: 14 to train, 4 to validate, 6 to test a label."""
INCOMING = 12
"""New clips without a label, three of each kind."""

WIDTH_PX, HEIGHT_PX = 320, 240
QUARTERS = (8, 14)
"""Shortest and longest clip, in quarters of a second. Cuts fall on quarters too: sampled at 4
frames a second, a shot then gives the same frames in the first place as in the second."""


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
    """Position and zoom of the camera at one instant."""

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
    """One clip: label, group, split, shots and colours."""

    path: str
    """Relative to its collection's folder."""
    label: str
    group: str
    split: str
    shots: tuple[Shot, ...]
    grade: Grade


def labelled_clips(seed: int, takes: int = TAKES) -> list[Clip]:
    """The labelled clips, by label, then take."""
    by_take = [_take_clips(seed, take, _split_of(take, takes)) for take in range(takes)]
    return sorted((clip for clips in by_take for clip in clips), key=_label_order)


def incoming_clips(seed: int) -> list[Clip]:
    """The new clips: all four labels, from takes of their own, in an order that no name reveals."""
    takes = [_rng(seed, "incoming take", take) for take in range(INCOMING // len(LABELS))]
    scenes = [scene for rng in takes for scene in _scenes(rng, *_regions(rng)).items()]
    _rng("order of the incoming clips").shuffle(scenes)
    return [
        Clip(f"clip_{number:03d}.mp4", label, "", "", shots, grade)
        for number, (label, (shots, grade)) in enumerate(scenes, start=1)
    ]


def _label_order(clip: Clip) -> tuple[int, str]:
    return LABELS.index(clip.label), clip.path


def _rng(*words: object) -> random.Random:
    """A random generator of its own for each purpose, so that one clip's draws never shift another's."""
    return random.Random(":".join(map(str, words)))  # noqa: S311  # not for cryptography


def _split_of(take: int, takes: int) -> str:
    """A quarter of the takes test, a sixth validate (at least one each), the first ones train."""
    test, val = max(1, round(takes / 4)), max(1, round(takes / 6))
    if take < takes - val - test:
        return "train"
    return "val" if take < takes - test else "test"


def _take_clips(seed: int, take: int, split: str) -> list[Clip]:
    """One clip of each label, all from the same two camera positions."""
    rng = _rng(seed, "take", take)
    name, group = f"{take + 1:02d}", f"take_{take + 1:02d}"
    return [
        Clip(f"{label}/{label}_{name}.mp4", label, group, split, shots, grade)
        for label, (shots, grade) in _scenes(rng, *_regions(rng)).items()
    ]


def _scenes(rng: random.Random, palace: Region, flower: Region) -> dict[str, tuple[tuple[Shot, ...], Grade]]:
    """Shots and colours of one clip of each label; the last two are the same shots, swapped."""
    alone_palace = _shot(rng, palace, rng.randint(*QUARTERS)), _grade(rng)
    alone_flower = _shot(rng, flower, rng.randint(*QUARTERS)), _grade(rng)
    quarters = rng.randint(*QUARTERS)
    cut = round(quarters * rng.uniform(0.35, 0.65))
    first, second = _shot(rng, palace, cut), _shot(rng, flower, quarters - cut)
    grade = _grade(rng)
    scenes = ((alone_palace[0],), (alone_flower[0],), (first, second), (second, first))
    grades = (alone_palace[1], alone_flower[1], grade, grade)
    return dict(zip(LABELS, zip(scenes, grades, strict=True), strict=True))


def _regions(rng: random.Random) -> tuple[Region, Region]:
    """One take: a camera position at the palace and one at the flower."""
    return _region(rng, PALACE), _region(rng, FLOWER)


def _region(rng: random.Random, photo: Photo) -> Region:
    """A part of the photograph around its subject, in the aspect of the clip."""
    photo_width, photo_height = photo.size_px
    height = int(photo_height * rng.uniform(0.74, 0.95))
    width = height * WIDTH_PX // HEIGHT_PX
    x = photo_width * (photo.centre[0] + rng.uniform(-0.07, 0.07)) - width / 2
    y = photo_height * (photo.centre[1] + rng.uniform(-0.07, 0.07)) - height / 2
    return Region(photo, _clamp(x, photo_width - width), _clamp(y, photo_height - height), width, height)


def _clamp(value: float, most: int) -> int:
    return max(0, min(most, round(value)))


def _shot(rng: random.Random, region: Region, quarters: int) -> Shot:
    """A straight pan through the middle of the region, in any direction, zooming in or out."""
    angle, reach = rng.uniform(0, 2 * math.pi), rng.uniform(0.25, 0.5)
    dx, dy = reach * math.cos(angle), reach * math.sin(angle)
    start = Look(rng.uniform(1.08, 1.32), 0.5 - dx, 0.5 - dy)
    end = Look(rng.uniform(1.08, 1.32), 0.5 + dx, 0.5 + dy)
    return Shot(region, start, end, rng.random() < 0.5, quarters)


def _grade(rng: random.Random) -> Grade:
    return Grade(
        brightness=rng.uniform(-0.05, 0.05),
        contrast=rng.uniform(0.9, 1.12),
        saturation=rng.uniform(0.8, 1.2),
        hue_degrees=rng.uniform(-8, 8),
    )
