"""DICOM multi-frame: made with pydicom, read by the second reader, no patient's data anywhere."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_voi_lut
from pydicom.uid import (
    MPEG4HP41,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from vidpipe.adapters.media.binaries import Tools
from vidpipe.adapters.media.dicom import files as dicom_files
from vidpipe.adapters.media.dicom.header import Refusal, facts, frame_times, pixel_aspect, read_header
from vidpipe.adapters.media.dicom.pixels import Pictures, decoded, grey_table
from vidpipe.adapters.media.video_files import VideoFiles
from vidpipe.adapters.sources.folders import Catalog
from vidpipe.errors import Forbidden, NoVideoStream, TooSlow, Unreadable
from vidpipe.ports import Ports
from vidpipe.records.features import DecodeReport, FrameTransform, View
from vidpipe.records.videos import Pixels
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.steps.retry import retry
from vidpipe.vision.optical_flow import default_flow
from vidpipe.vision.sampling import sampled_indices
from vidpipe.wiring import Home

ULTRASOUND = "1.2.840.10008.5.1.4.1.1.3.1"
SECRETS = ("Pulaski", "19470112", "PID4711", "Saint Nowhere")
"""Of a patient: none may turn up anywhere."""
TRUE_SIZE = FrameTransform(size_px=48, crop_share=1.0, interpolation="neighbor")
N, H, W = 10, 48, 64


def header_of(frames: npt.NDArray[Any], **fields: Any) -> Dataset:
    """A data set with these frames, (T, H, W) or (T, H, W, 3), and a patient."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(ULTRASOUND), UID("1.2.3.4")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = Dataset()
    data.file_meta = meta
    data.SOPClassUID, data.SOPInstanceUID = ULTRASOUND, "1.2.3.4"
    data.PatientName, data.PatientBirthDate = f"{SECRETS[0]}^Anna", SECRETS[1]
    data.PatientID, data.InstitutionName = SECRETS[2], SECRETS[3]
    data.NumberOfFrames, data.Rows, data.Columns = frames.shape[:3]
    data.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    data.PhotometricInterpretation = "RGB" if frames.ndim == 4 else "MONOCHROME2"
    if frames.ndim == 4:
        data.PlanarConfiguration = 0
    data.BitsAllocated = data.BitsStored = 8 * frames.itemsize
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(frames.dtype.kind == "i")
    data.FrameTime = "100"
    for keyword, value in fields.items():
        setattr(data, keyword, value)
    return data


def write(file: Path, frames: npt.NDArray[Any], syntax: str = ExplicitVRLittleEndian, **fields: Any) -> Path:
    data = header_of(frames, **fields)
    raw = frames.astype(frames.dtype.newbyteorder(">")) if syntax == ExplicitVRBigEndian else frames
    data.PixelData = raw.tobytes()
    data.file_meta.TransferSyntaxUID = UID(syntax)
    if syntax in (RLELossless, JPEG2000Lossless):
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.compress(syntax, generate_instance_uid=False)
    pydicom.dcmwrite(file, data, enforce_file_format=True)
    return file


def write_jpeg(file: Path, frames: npt.NDArray[Any]) -> Path:
    """As most ultrasound machines do: JPEG with half of the colour across."""
    data = header_of(frames, PhotometricInterpretation="YBR_FULL_422")
    pictures = []
    for frame in frames:
        Image.fromarray(frame).save(buffer := BytesIO(), "JPEG", quality=95, subsampling=1)
        pictures.append(buffer.getvalue())
    return encapsulated(file, data, pictures, JPEGBaseline8Bit)


@pytest.fixture
def encode(tools: Tools, tmp_path: Path) -> Callable[..., Path]:
    def run(name: str, *arguments: str) -> Path:
        subprocess.run([tools.ffmpeg, "-loglevel", "error", "-y", *arguments, tmp_path / name], check=True)
        return tmp_path / name

    return run


def encapsulated(file: Path, data: Dataset, pieces: list[bytes], syntax: str) -> Path:
    data.PixelData = encapsulate(pieces)
    data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = UID(syntax)
    pydicom.dcmwrite(file, data, enforce_file_format=True)
    return file


def colours() -> npt.NDArray[np.uint8]:
    """Ten frames, left half of one colour, right half of another, both changing."""
    frames = np.zeros((N, H, W, 3), np.uint8)
    for number in range(N):
        frames[number, :, : W // 2] = (20 * number, 200 - 10 * number, 60)
        frames[number, :, W // 2 :] = (250 - 20 * number, 40, 10 * number)
    return frames


def greys(dtype: str = "u1", step: int = 20) -> npt.NDArray[Any]:
    return np.broadcast_to(step * np.arange(N)[:, None, None], (N, H, W)).astype(dtype)


def seen(videos: VideoFiles, file: Path) -> tuple[list[float], list[Pixels], DecodeReport]:
    decoding = videos.decode(file, 4.0, [View(TRUE_SIZE, 2)], 1.0, default_flow(4.0))
    frames = list(decoding)
    assert decoding.report is not None
    assert decoding.flow is not None
    return [time_s for time_s, _ in frames], [pixels for _, pixels in frames], decoding.report


# -- pixels, of every encoding ------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "codec", "most"),
    [
        (lambda file: write(file, colours()), "rawvideo", 0),
        (lambda file: write(file, colours(), ImplicitVRLittleEndian), "rawvideo", 0),
        (lambda file: write(file, colours(), DeflatedExplicitVRLittleEndian), "rawvideo", 0),
        (lambda file: write(file, colours(), RLELossless), "rle", 0),
        (lambda file: write(file, colours(), JPEG2000Lossless), "jpeg2000", 0),
        (lambda file: write_jpeg(file, colours()), "mjpeg", 6),
    ],
    ids=["explicit", "implicit", "deflated", "rle", "jpeg2000", "jpeg"],
)
def test_a_file_of_every_encoding_gives_its_sampled_frames_with_their_times(
    make: Callable[[Path], Path], codec: str, most: int, videos: VideoFiles, tmp_path: Path
) -> None:
    file = make(tmp_path / "loop.dcm")

    found = videos.probe(file)
    times_s, pictures, report = seen(videos, file)

    wanted = sampled_indices([n / 10 for n in range(N)], 4.0)
    assert (found.container, found.video_codec, found.width_px, found.height_px) == ("dicom", codec, W, H)
    assert found.duration_s == pytest.approx(1.0)
    assert found.source_fps == pytest.approx(10)
    assert not found.is_vfr
    assert times_s == pytest.approx([n / 10 for n in wanted])
    for picture, number in zip(pictures, wanted, strict=True):
        truth = colours()[number].astype(int)
        for x, stored in ((12, 12), (36, 52)):  # away from the edge between the colours
            assert np.abs(picture[24, x].astype(int) - truth[24, stored]).max() <= most
    assert (report.frames_decoded, report.frames_expected, report.is_damaged) == (N, N, False)


@pytest.mark.slow
def test_grey_without_a_window_is_stretched_over_the_video_as_deep_grey_is(
    videos: VideoFiles, tmp_path: Path
) -> None:
    frames = greys("i2", 1) + np.int16(-1000)  # a narrow band of a CT's numbers
    file = write(tmp_path / "loop.dcm", frames, RescaleSlope=1, RescaleIntercept=0)

    _, pictures, _ = seen(videos, file)

    assert [int(p[24, 24, 0]) for p in pictures] == sorted(int(p[24, 24, 0]) for p in pictures)
    assert pictures[0].max() == 0 and pictures[-1].min() >= 225


def test_monochrome1_is_white_where_its_numbers_are_low() -> None:
    dark, light = (
        Pictures(header_of(greys(), PhotometricInterpretation=kind)).picture(greys()[3])
        for kind in ("MONOCHROME2", "MONOCHROME1")
    )

    assert (dark[0], light[0]) == (60, 195)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_maps_as_pydicom_maps_it(function: str) -> None:
    header = header_of(
        greys("u2"), BitsStored=12, HighBit=11, WindowCenter=[700, 1], WindowWidth=[500, 2],
        VOILUTFunction=function, RescaleSlope=2, RescaleIntercept=-100,
    )  # fmt: skip
    stored = np.arange(4096, dtype=np.uint16)

    ours = grey_table(header, stored)

    reference = apply_voi_lut(
        stored * 2.0 - 100, header
    )  # from its output range, that of the rescaled values
    share = (reference - reference.min()) / (reference.max() - reference.min())
    assert ours.dtype == np.uint8
    assert np.abs(ours - share * 255).max() <= 1.0


def test_a_voi_lut_decides_and_a_window_of_an_enhanced_object_is_found(tmp_path: Path) -> None:
    lut = Dataset()
    lut.LUTDescriptor, lut.LUTData = [3, 10, 16], [0, 32768, 65535]
    with_lut = header_of(greys("u2"), BitsStored=8, HighBit=7, VOILUTSequence=[lut])
    assert grey_table(with_lut, np.array([5, 10, 11, 12, 90])).tolist() == [0, 0, 128, 255, 255]

    voi = Dataset()
    voi.WindowCenter, voi.WindowWidth = 100, 50
    shared = Dataset()
    shared.FrameVOILUTSequence = [voi]
    file = write(tmp_path / "enhanced.dcm", greys("u2"), SharedFunctionalGroupsSequence=[shared])

    assert grey_table(read_header(file), np.arange(1 << 16))[[70, 130]].tolist() == [0, 255]


@pytest.mark.parametrize("kind", ["YBR_FULL", "YBR_FULL_422"])
def test_uncompressed_luma_and_chroma_become_rgb(kind: str, tmp_path: Path) -> None:
    from vidpipe.adapters.media.dicom.pixels import decoded

    rgb = colours()
    r, g, b = np.moveaxis(rgb.astype(float), -1, 0)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    ybr = np.stack([luma, 128 + (b - luma) / 1.772, 128 + (r - luma) / 1.402], -1)
    stored = np.clip(np.round(ybr), 0, 255).astype(np.uint8)
    if kind == "YBR_FULL_422":  # Y1 Y2 Cb Cr of two neighbours
        pairs = stored.reshape(N, H, W // 2, 2, 3)
        packed = np.stack([pairs[..., 0, 0], pairs[..., 1, 0], pairs[..., 0, 1], pairs[..., 0, 2]], -1)
        data = header_of(stored, PhotometricInterpretation=kind)
        data.PixelData = packed.tobytes()
        file = tmp_path / "loop.dcm"
        pydicom.dcmwrite(file, data, enforce_file_format=True)
    else:
        file = write(tmp_path / "loop.dcm", stored, PhotometricInterpretation=kind)

    header = read_header(file)
    frames = [Pictures(header).picture(frame) for _, frame in decoded(file, header, N, print)]

    ours = np.frombuffer(b"".join(frames), np.uint8).reshape(rgb.shape)
    assert np.abs(ours[:, :, 4:28].astype(int) - rgb[:, :, 4:28]).max() <= 3


def test_a_palette_becomes_colours() -> None:
    red, none = np.arange(256, dtype="<u2").tobytes(), bytes(512)
    palette = {f"{c}PaletteColorLookupTableDescriptor": [256, 0, 8] for c in ("Red", "Green", "Blue")}
    tables = dict(zip(("Red", "Green", "Blue"), (red, none, none), strict=True))
    header = header_of(
        greys(), PhotometricInterpretation="PALETTE COLOR", **palette,
        **{f"{c}PaletteColorLookupTableData": table for c, table in tables.items()},
    )  # fmt: skip

    assert Pictures(header).picture(greys()[2])[:3] == bytes([40, 0, 0])


# -- times and shape ----------------------------------------------------------------------------


def times(**fields: Any) -> tuple[list[float], bool]:
    header = header_of(greys()[:4], **fields)
    if "FrameTime" not in fields:
        del header.FrameTime
    return frame_times(header, 4)


def test_frames_show_when_the_header_says() -> None:
    moments = [Dataset() for _ in range(4)]
    for number, moment in enumerate(moments):
        content = Dataset()
        content.FrameAcquisitionDateTime = f"2026010112000{number * number}.500000"
        moment.FrameContentSequence = [content]

    assert times(FrameTime="40") == ([0, 0.04, 0.08, 0.12], False)
    assert times(CineRate="50") == ([0, 0.02, 0.04, 0.06], False)
    assert times(RecommendedDisplayFrameRate="10")[0] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert times(FrameTimeVector=["0", "100", "50", "200"])[0] == pytest.approx([0, 0.1, 0.15, 0.35])
    assert times(FrameTimeVector=["100", "50", "200"])[0] == pytest.approx([0, 0.1, 0.15, 0.35])
    assert times(PerFrameFunctionalGroupsSequence=moments) == ([0, 1, 4, 9], False)
    assert times() == ([0, 0.04, 0.08, 0.12], True)


def test_nonsense_times_give_way_to_the_next_that_says_one() -> None:
    assert times(FrameTimeVector=["0", "100", "0", "200"], FrameTime="40")[0][1] == 0.04
    assert times(FrameTime="0", CineRate="20")[0][1] == 0.05


def test_slices_are_no_instants() -> None:
    with pytest.raises(Refusal, match="slices") as refused:
        times(FrameIncrementPointer=0x00540080)

    assert refused.value.kind == "no_video"


def test_slices_at_different_places_are_no_instants_even_where_each_has_its_time() -> None:
    def frames(*places: float) -> list[Dataset]:
        groups = [Dataset() for _ in places]
        for number, (group, place) in enumerate(zip(groups, places, strict=True)):
            content, position = Dataset(), Dataset()
            content.FrameAcquisitionDateTime = f"2026010112000{number}"
            position.ImagePositionPatient = [0, 0, place]
            group.FrameContentSequence, group.PlanePositionSequence = [content], [position]
        return groups

    assert times(PerFrameFunctionalGroupsSequence=frames(2, 2, 2, 2)) == ([0, 1, 2, 3], False)
    with pytest.raises(Refusal, match="slices"):
        times(PerFrameFunctionalGroupsSequence=frames(2, 4, 6, 8))


@pytest.mark.slow
def test_uneven_times_follow_the_sampling_rule(videos: VideoFiles, tmp_path: Path) -> None:
    steps = [0, 30, 300, 40, 40, 700, 20, 500, 10, 90]
    file = write(tmp_path / "loop.dcm", greys(), FrameTimeVector=[str(ms) for ms in steps])

    times_s, pictures, _ = seen(videos, file)

    true_s = [float(ms) / 1000 for ms in np.cumsum(steps)]
    wanted = sampled_indices(true_s, 4.0)
    assert times_s == pytest.approx([true_s[n] for n in wanted])
    assert [int(p[0, 0, 0]) for p in pictures] == [20 * n for n in wanted]
    assert videos.probe(file).is_vfr


def test_the_shape_of_pixels_is_width_to_height() -> None:
    assert pixel_aspect(header_of(greys(), PixelAspectRatio=["2", "1"])) == (1, 2)
    assert pixel_aspect(header_of(greys(), PixelSpacing=["0.3", "0.45"])) == (3, 2)
    assert pixel_aspect(header_of(greys())) == (1, 1)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"NumberOfFrames": 1}, "no_video"),
        ({"BitsAllocated": 32, "BitsStored": 32}, "unreadable"),
        ({"BitsAllocated": 1, "BitsStored": 1}, "unreadable"),
    ],
)
def test_what_is_no_video_is_refused_by_its_header(fields: dict[str, Any], kind: str) -> None:
    with pytest.raises(Refusal) as refused:
        facts(header_of(greys(), **fields))

    assert refused.value.kind == kind


# -- encapsulated streams -----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.mp4", "x.264", "x.ts"])
def test_an_encapsulated_stream_is_the_stream_itself(
    name: str, encode: Callable[..., Path], videos: VideoFiles, tmp_path: Path
) -> None:
    source = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=1", "-c:v", "libx264")
    stream = encode(name, *source, "-bf", "2")
    piece = stream.read_bytes()
    data = header_of(np.zeros((N, H, W, 3), np.uint8), PhotometricInterpretation="YBR_PARTIAL_420")
    file = encapsulated(tmp_path / "scope.dcm", data, [piece + b"\0" * (len(piece) % 2)], MPEG4HP41)
    plain = encode("plain.mp4", *source, "-bf", "2")

    found = videos.probe(file)
    times_s, pictures, report = seen(videos, file)
    plain_times_s, plain_pictures, _ = seen(videos, plain)

    assert (found.video_codec, found.frames_expected) == ("h264", N)
    assert [t - times_s[0] for t in times_s] == pytest.approx(
        [t - plain_times_s[0] for t in plain_times_s], abs=1e-3
    )
    assert all((p == q).all() for p, q in zip(pictures, plain_pictures, strict=True))
    assert (report.frames_decoded, report.is_damaged) == (N, False)


# -- damage -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_a_file_cut_off_is_partial_and_says_how_many_were_promised(
    syntax: str, videos: VideoFiles, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (N, H, W, 3), np.uint8)
    file = write(tmp_path / "loop.dcm", noise, syntax)
    file.write_bytes(file.read_bytes()[: -4 * H * W * 3 + 100])

    _, _, report = seen(videos, file)

    assert report.frames_decoded in (5, 6)
    assert (report.frames_expected, report.is_damaged) == (N, True)


def test_a_file_that_promises_far_too_many_frames_is_left_at_its_end(tmp_path: Path) -> None:
    file, said = write(tmp_path / "loop.dcm", greys(), NumberOfFrames=10_000_000), list[str]()

    assert sum(1 for _ in decoded(file, read_header(file), 10_000_000, said.append)) == N
    assert len(said) == 1


@pytest.mark.slow
def test_one_torn_frame_costs_one_frame(videos: VideoFiles, tmp_path: Path) -> None:
    file = write_jpeg(tmp_path / "loop.dcm", colours())
    raw = bytearray(file.read_bytes())
    third = [at for at in range(len(raw)) if raw[at : at + 3] == b"\xff\xd8\xff"][3]
    raw[third : third + 200] = bytes(200)
    file.write_bytes(raw)

    _, _, report = seen(videos, file)

    assert (report.frames_decoded, report.frames_expected, report.is_damaged) == (N - 1, N, True)
    assert "frame 3 of 10" in report.last_line


# -- which files are taken ----------------------------------------------------------------------


def test_loops_are_candidates_and_single_pictures_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "loop.dcm", greys())
    write(tmp_path / "IM0001", greys(), ImplicitVRLittleEndian)
    write(tmp_path / "1.2.840.4711", greys(), ExplicitVRBigEndian)
    write(tmp_path / "still.dcm", greys()[:1])
    still = header_of(greys()[:1])
    del still.NumberOfFrames
    still.PixelData = bytes(H * W)
    pydicom.dcmwrite(tmp_path / "IM0002", still, enforce_file_format=True)
    write(tmp_path / "DICOMDIR", greys())

    listing = Catalog().list_folder(tmp_path)

    assert [file.path for file in listing.files] == ["1.2.840.4711", "IM0001", "loop.dcm"]
    assert listing.passed_over == {"": 2, ".dcm": 1}


def test_a_single_picture_that_is_asked_for_is_no_video(videos: VideoFiles, tmp_path: Path) -> None:
    with pytest.raises(NoVideoStream, match="single picture"):
        videos.probe(write(tmp_path / "still.dcm", greys()[:1]))


# -- from file to ledger, and nothing of the patient --------------------------------------------


@pytest.mark.slow
def test_no_patient_data_reach_a_table_a_part_a_log_or_an_error(
    ports: Ports, home: Home, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    study = tmp_path / "study"
    study.mkdir()
    write_jpeg(study / "good.dcm", colours())
    write(study / "rate.dcm", greys())
    broken = (study / "rate.dcm").read_bytes().replace(b"DS\x04\x00100 ", b"DS\x04\x00Pul ")
    (study / "rate.dcm").write_bytes(broken)  # a number that quotes the patient when it is no number
    torn = write_jpeg(study / "torn.dcm", colours()).read_bytes().replace(b"\xff\xdb", b"\xff\x00")
    (study / "torn.dcm").write_bytes(torn)

    ingest(ports, "study", study)
    report = extract(ports)

    assert (report.videos, report.failed) == (1, 1)
    home.warehouse.publish()
    rows = home.warehouse.query("select path, error_class, message from failures order by path").rows
    assert [row[:2] for row in rows] == [("rate.dcm", "Unreadable"), ("torn.dcm", "Unreadable")]
    (video,) = home.warehouse.query(
        "select container, width_px, height_px, frames_decoded, duration_s, verdict from videos "
        "where verdict = 'ok'"
    ).rows
    assert video == ("dicom", W, H, N, pytest.approx(1.0), "ok")
    written = [f.read_bytes() for f in home.settings.home.rglob("*") if f.is_file()]
    said = caplog.text.encode() + repr(rows).encode()
    for secret in (*SECRETS, "Pul "):
        assert not any(secret.encode() in text for text in [*written, said]), secret


@pytest.mark.slow
def test_without_the_extra_a_file_is_a_failure_that_names_it_and_retry_reads_it_once_it_is_there(
    ports: Ports, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tmp_path / "study"
    study.mkdir()
    write(study / "loop.dcm", greys())
    with monkeypatch.context() as without:
        without.setattr(dicom_files, "build", lambda: "")
        assert ingest(ports, "study", study).failed == 1
    home.warehouse.publish()
    ((message,),) = home.warehouse.query("select message from failures").rows
    assert "pip install 'vidpipe[dicom]'" in message

    retry(ports, "study")

    assert ingest(ports, "study", study).failed == 0
    home.warehouse.publish()
    assert home.warehouse.query("select container from videos where verdict is null").rows == [("dicom",)]


def test_no_picture_of_a_patient_is_shown(videos: VideoFiles, tmp_path: Path) -> None:
    file = write(tmp_path / "loop.dcm", greys())

    assert videos.pictures(file, [0.0, 0.1]) == [b"", b""]
    with pytest.raises(Forbidden, match="patient"):
        videos.thumbnail(file)


def test_a_stream_behind_the_head_of_a_dicom_file_is_not_torn_out_of_it(
    encode: Callable[..., Path], videos: VideoFiles, tmp_path: Path
) -> None:
    stream = encode("x.264", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=1", "-c:v", "libx264")
    file = tmp_path / "log.bin"
    file.write_bytes(bytes(128) + b"DICM" + b"\x01" * 64 + stream.read_bytes())

    with pytest.raises(Unreadable, match="DICOM"):
        videos.probe(file)


def test_a_reader_that_ends_without_a_word_is_an_error_with_a_next_step(
    videos: VideoFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicom_files, "_program", lambda verb, file: ["sh", "-c", "echo Pulaski >&2; exit 1"])

    with pytest.raises(Unreadable, match="gave up") as caught:
        videos.probe(write(tmp_path / "loop.dcm", greys()))

    assert caught.value.next_step and "Pulaski" not in str(caught.value)


@pytest.mark.slow
def test_a_reader_may_take_longer_than_ffmpeg(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = dicom_files._program
    slowly = ["sh", "-c", 'sleep 3; exec "$@"', "sh"]
    monkeypatch.setattr(dicom_files, "_program", lambda verb, file: [*slowly, *program(verb, file)])

    times_s, _, _ = seen(VideoFiles(tools, min_wait_s=2.0, wait_s_per_s=0.0), write(tmp_path / "x", greys()))

    assert times_s == [0, 0.3, 0.5, 0.8]


def test_a_stream_that_never_comes_leaves_no_pipe_open(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = encapsulated(tmp_path / "scope.dcm", header_of(greys()), [bytes(8)], MPEG4HP41)
    monkeypatch.setattr(dicom_files, "_program", lambda verb, file: ["sleep", "60"])
    videos = VideoFiles(tools, min_wait_s=0.1, wait_s_per_s=0.0)
    before = len(list(Path("/proc/self/fd").iterdir()))

    with pytest.raises(TooSlow):
        seen(videos, file)

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_program_says_nothing_of_its_own_on_either_channel(tmp_path: Path) -> None:
    file = write(tmp_path / "loop.dcm", greys())
    file.write_bytes(file.read_bytes()[:700])

    ended = subprocess.run(dicom_files._program("facts", file), capture_output=True, check=False)

    assert not any(secret.encode() in ended.stdout + ended.stderr for secret in SECRETS)


def test_the_decoder_build_names_the_reader(videos: VideoFiles, tools: Tools) -> None:
    assert videos.decoder == f"ffmpeg-{tools.version}+pydicom-{pydicom.__version__}"
