"""ffmpeg commands that render the demo's clips: a pan over a photograph (zoompan), encoded as H.264.

The photographs are two that scikit-learn ships, china.jpg and flower.jpg, both CC BY 2.0.
"""

import importlib.util
from pathlib import Path
from typing import Any

import ffmpeg as ffmpeg_python

from vidpipe.demo.script import FLOWER, HEIGHT_PX, PALACE, WIDTH_PX, Clip, Grade, Shot
from vidpipe.errors import NotFound

FPS = 24
STAGE_PX = (960, 720)
"""The camera moves by whole pixels of a picture three times as fine as the clip: smooth enough."""
FRAMES_A_QUARTER = FPS // 4


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
    """The filtered ffmpeg stream of one clip.

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
    """Folder of scikit-learn's photographs, found without importing it, which takes seconds.

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
