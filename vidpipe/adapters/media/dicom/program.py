"""The program that reads a DICOM file on behalf of `files.py`, under limits and without a word of a patient.

    python -m vidpipe.adapters.media.dicom.program facts FILE    one JSON object: numbers and names of formats
    … frames FILE    Matroska with uncompressed pictures and their times, on stdout
    … stream FILE    the encapsulated MPEG-2, H.264 or HEVC stream as it is, on stdout

Exceptions and warnings quote values of the file, so their texts stay inside: on stderr stand `frames N` (how
many the file promises), `error TEXT`, `no_video TEXT` or `unreadable TEXT`, all in words of ours.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread

from vidpipe.adapters.media.dicom.header import Refusal, facts, frame_times, read_header
from vidpipe.adapters.media.dicom.matroska import matroska_frame, matroska_head
from vidpipe.adapters.media.dicom.pixels import Pictures, decoded


def write_frames(file: Path, out: BinaryIO) -> None:
    """All frames that decode."""
    header = read_header(file)
    said = facts(header)
    times_s, _ = frame_times(header, said["frames"])
    say(f"frames {said['frames']}")
    pictures = Pictures(header)
    out.write(matroska_head(said["width_px"], said["height_px"], said["aspect"], pictures.fourcc))
    for number, frame in decoded(file, header, said["frames"], say):
        out.write(matroska_frame(times_s[number], pictures.picture(frame)))


def write_stream(file: Path, out: BinaryIO) -> None:
    """The fragments of an encapsulated stream, one behind the other.

    Source: DICOM PS3.5 A.4: items (FFFE,E000) with 32-bit sizes, the first an offset table.
    """
    with file.open("rb") as source:
        header = dcmread(source, stop_before_pixels=True)
        say(f"frames {int(header.get('NumberOfFrames') or 0)}")
        source.seek(12, os.SEEK_CUR)  # tag, VR, reserved, length
        is_table = True
        while (tag := source.read(8))[:4] == b"\xfe\xff\x00\xe0" and len(tag) == 8:
            left = int.from_bytes(tag[4:], "little")
            while left and (piece := source.read(min(left, 1 << 20))):
                left -= len(piece)
                if not is_table:
                    out.write(piece)
            is_table = False


_SAYS = 2


def say(line: str) -> None:
    """A line for who started us."""
    os.write(_SAYS, (line + "\n").encode())


def main(verb: str, file: Path, out: BinaryIO) -> int:
    """Run one verb; whatever is wrong is said without the file's own words."""
    try:
        if verb == "facts":
            out.write(json.dumps(facts(read_header(file))).encode())
        elif verb == "frames":
            write_frames(file, out)
        else:
            write_stream(file, out)
        out.flush()
    except Refusal as refusal:
        say(f"{refusal.kind} {refusal.words}")
        return 3
    except BrokenPipeError:
        return 0
    except Exception as error:
        say(f"unreadable its header or its pixels make no sense ({type(error).__name__})")
        return 1
    return 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable()
    given, _SAYS = os.dup(1), os.dup(2)
    with Path(os.devnull).open("wb") as nothing:  # C libraries print what they like
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    os._exit(main(sys.argv[1], Path(sys.argv[2]), os.fdopen(given, "wb")))  # a broken pipe is not flushed
