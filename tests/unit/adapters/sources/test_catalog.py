"""Sources and manifests: what counts as a video, what a manifest may say, what cannot be read."""

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from privileges import without_privileges

from vidpipe.adapters.sources.folders import Catalog
from vidpipe.errors import ConfigurationError, Vanished

CATALOG = Catalog()
OPEN = Path("/proc/self/fd")

HEADS = {
    "mp4": b"\x00\x00\x00\x20ftypisom",
    "mov": b"\x00\x00\x00\x08moov",
    "mkv": b"\x1aE\xdf\xa3",
    "avi": b"RIFF\x00\x00\x00\x00AVI LIST",
    "mpeg-ps": b"\x00\x00\x01\xba",
    "mpeg": b"\x00\x00\x01\xb3",
    "flv": b"FLV\x01",
    "ivf": b"DKIF",
    "ts": b"\x47" + bytes(187) + b"\x47",
    "asf": b"0&\xb2u\x8ef\xcf\x11",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def put(source: Path, name: str, content: bytes = b"x") -> Path:
    file = source / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def listed(source: Path) -> list[str]:
    return [file.path for file in CATALOG.list_folder(source).files]


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail instead of hanging."""

    def give_up(*_: object) -> None:
        raise AssertionError(f"still blocked after {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# -- walking a folder -----------------------------------------------------------------------------


def test_a_folder_lists_videos_by_extension_in_the_order_of_their_paths(source: Path) -> None:
    for name in ("b.mp4", "a.MKV", "deep/er/c.avi", "deep/z.webm", "B.ts"):
        put(source, name)
    assert listed(source) == sorted(["b.mp4", "a.MKV", "deep/er/c.avi", "deep/z.webm", "B.ts"])


def test_an_empty_file_with_a_video_extension_is_listed_so_that_it_can_be_reported(source: Path) -> None:
    put(source, "empty.mp4", b"")
    assert listed(source) == ["empty.mp4"]


@pytest.mark.parametrize("kind", HEADS)
def test_a_file_whose_name_says_nothing_counts_by_its_first_bytes(kind: str, source: Path) -> None:
    put(source, "noext", HEADS[kind] + bytes(300))
    put(source, "camera.dat", HEADS[kind] + bytes(300))
    assert listed(source) == ["camera.dat", "noext"]


@pytest.mark.parametrize(
    "head", [b"", b"hello", b"RIFF\x00\x00\x00\x00WAVE", b"\x89PNG\r\n", b"#EXTM3U\n", b"\x47a"]
)
def test_other_first_bytes_are_no_video(head: bytes, source: Path) -> None:
    put(source, "noext", head + (b"a" * 300 if head else b""))
    assert listed(source) == []


@pytest.mark.parametrize("name", ["list.csv", "sound.wav", "note.txt", "cover.jpg", "play.m3u8", "a.JSON"])
def test_files_that_say_what_else_they_are_do_not_count_whatever_they_hold(name: str, source: Path) -> None:
    put(source, name, HEADS["mp4"] + bytes(300))
    assert listed(source) == []


def test_hidden_files_and_folders_do_not_count(source: Path) -> None:
    for name in (".hidden.mp4", ".trash/a.mp4", "seen/.part.mp4"):
        put(source, name)
    put(source, "seen/a.mp4")
    assert listed(source) == ["seen/a.mp4"]


def test_links_to_folders_are_not_followed(source: Path, tmp_path: Path) -> None:
    put(tmp_path, "outside/secret.mp4")
    put(source, "a.mp4")
    (source / "way out").symlink_to(tmp_path / "outside")
    (source / "circle").symlink_to(source)
    assert listed(source) == ["a.mp4"]


def test_a_link_to_nothing_and_a_folder_named_like_a_video_do_not_count(source: Path) -> None:
    (source / "gone.mp4").symlink_to(source / "nowhere.mp4")
    (source / "folder.mp4").mkdir()
    assert listed(source) == []


def test_a_listed_file_carries_what_tells_whether_it_has_changed(source: Path) -> None:
    file = put(source, "a.mp4", b"12345")
    (found,) = CATALOG.list_folder(source).files
    stat = file.stat()
    assert (found.size_bytes, found.mtime_ns, found.inode) == (5, stat.st_mtime_ns, stat.st_ino)
    assert (found.label, found.group, dict(found.splits)) == (None, None, {})


def test_the_top_folder_is_the_label_when_asked_for(source: Path) -> None:
    for name in ("dog/a.mp4", "dog/deep/b.mp4", "cat/c.mp4", "loose.mp4"):
        put(source, name)
    labels = {f.path: f.label for f in CATALOG.list_folder(source, label_from="folder").files}
    assert labels == {"dog/a.mp4": "dog", "dog/deep/b.mp4": "dog", "cat/c.mp4": "cat", "loose.mp4": None}


@pytest.mark.parametrize("name", ["nowhere", "file.mp4"])
def test_a_source_that_is_no_folder_is_refused_by_name(name: str, source: Path) -> None:
    put(source, "file.mp4")
    with pytest.raises(ConfigurationError, match=name) as caught:
        CATALOG.list_folder(source / name)
    assert caught.value.next_step


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that nobody may reach too; pytest's own are root's alone."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("asked", [".", "closed", "closed/deep"])
def test_a_folder_that_may_not_be_listed_is_refused_by_name(asked: str, open_to_all: Path) -> None:
    closed = put(open_to_all, "closed/deep/a.mp4").parent.parent
    with without_privileges():
        assert listed(open_to_all) == ["closed/deep/a.mp4"]
    closed.chmod(0)
    try:
        with without_privileges(), pytest.raises(ConfigurationError, match=r"may not list .*closed"):
            CATALOG.list_folder(open_to_all / asked)
    finally:
        closed.chmod(0o755)


# -- manifests ------------------------------------------------------------------------------------


@pytest.fixture
def manifest(source: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Writes a manifest for a source with a.mp4, b.mp4 and deep/c.mp4."""
    for name in ("a.mp4", "b.mp4", "deep/c.mp4"):
        put(source, name)

    def write(text: str, encoding: str = "utf-8") -> Path:
        file = tmp_path / "clips.csv"
        file.write_text(text, encoding=encoding)
        return file

    return write


def test_a_manifest_names_its_files_with_label_group_and_splits(
    source: Path, manifest: Callable[..., Path]
) -> None:
    file = manifest("path,label,group,split1\ndeep/c.mp4,dog,g1,test\na.mp4,cat,,train\n")
    (a, c), missing = CATALOG.list_manifest(source, file)
    assert missing == []
    assert (a.path, a.label, a.group, dict(a.splits)) == ("a.mp4", "cat", None, {"split1": "train"})
    assert (c.path, c.label, c.group, dict(c.splits)) == ("deep/c.mp4", "dog", "g1", {"split1": "test"})
    assert c.size_bytes == 1
    assert c.inode == (source / "deep/c.mp4").stat().st_ino


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_of_a_spreadsheet_does_no_harm(
    encoding: str, source: Path, manifest: Callable[..., Path]
) -> None:
    files, _ = CATALOG.list_manifest(source, manifest("path,label\r\na.mp4,été\r\n", encoding))
    assert [(f.path, f.label) for f in files] == [("a.mp4", "été")]


def test_columns_of_nothing_but_train_val_and_test_are_split_columns_and_others_are_ignored(
    source: Path, manifest: Callable[..., Path]
) -> None:
    file = manifest(
        "path,split1,official,notes,blank,place\n"
        "a.mp4,train,,train,,train\n"
        "b.mp4,val,test,see below,,elsewhere\n"
    )
    (a, b), _ = CATALOG.list_manifest(source, file)
    assert dict(a.splits) == {"split1": "train"}
    assert dict(b.splits) == {"split1": "val", "official": "test"}


def test_a_label_that_reads_test_makes_no_split_column(source: Path, manifest: Callable[..., Path]) -> None:
    (a,), _ = CATALOG.list_manifest(source, manifest("path,label,group\na.mp4,test,train\n"))
    assert (a.label, a.group, dict(a.splits)) == ("test", "train", {})


def test_spaces_around_values_and_short_rows_do_no_harm(source: Path, manifest: Callable[..., Path]) -> None:
    (a, b), _ = CATALOG.list_manifest(source, manifest("path,label,group\n a.mp4 , dog ,\nb.mp4\n"))
    assert (a.path, a.label, a.group) == ("a.mp4", "dog", None)
    assert (b.label, b.group) == (None, None)


def test_files_that_are_not_there_are_told_apart(source: Path, manifest: Callable[..., Path]) -> None:
    files, missing = CATALOG.list_manifest(source, manifest("path\nb.mp4\nnowhere.mp4\na.mp4\n"))
    assert [f.path for f in files] == ["a.mp4", "b.mp4"]
    assert missing == ["nowhere.mp4"]


def test_a_manifest_may_name_files_of_any_extension(source: Path, manifest: Callable[..., Path]) -> None:
    put(source, "strange.bin")
    files, _ = CATALOG.list_manifest(source, manifest("path\nstrange.bin\n"))
    assert [f.path for f in files] == ["strange.bin"]


def test_a_manifest_without_a_path_column_is_refused_with_the_columns_it_has(
    source: Path, manifest: Callable[..., Path]
) -> None:
    with pytest.raises(ConfigurationError, match="no column path, but file, label"):
        CATALOG.list_manifest(source, manifest("file,label\na.mp4,dog\n"))
    with pytest.raises(ConfigurationError, match="no header at all"):
        CATALOG.list_manifest(source, manifest(""))


@pytest.mark.parametrize(
    "path", ["../outside.mp4", "deep/../../outside.mp4", "/etc/passwd", "", "a/../b.mp4"]
)
def test_a_path_that_may_leave_the_source_is_refused_with_its_line(
    path: str, source: Path, manifest: Callable[..., Path]
) -> None:
    with pytest.raises(ConfigurationError, match="line 3") as caught:
        CATALOG.list_manifest(source, manifest(f"path,label\na.mp4,dog\n{path},cat\n"))
    assert repr(path) in caught.value.message


@pytest.mark.parametrize("twin", ["a.mp4", "./a.mp4", " a.mp4"])
def test_a_path_that_is_named_twice_is_refused(
    twin: str, source: Path, manifest: Callable[..., Path]
) -> None:
    with pytest.raises(ConfigurationError, match=r"names a\.mp4 twice"):
        CATALOG.list_manifest(source, manifest(f"path,label\na.mp4,dog\nb.mp4,dog\n{twin},cat\n"))


def test_a_missing_path_that_is_named_twice_is_refused_too(
    source: Path, manifest: Callable[..., Path]
) -> None:
    with pytest.raises(ConfigurationError, match=r"names x\.mp4 twice"):
        CATALOG.list_manifest(source, manifest("path\nx.mp4\nx.mp4\n"))


def test_a_manifest_that_cannot_be_read_is_refused_by_name(
    source: Path, manifest: Callable[..., Path], tmp_path: Path
) -> None:
    latin = manifest("path,label\na.mp4,été\n", "latin-1")
    for file in (latin, tmp_path / "nowhere.csv", tmp_path):
        with pytest.raises(ConfigurationError) as caught:
            CATALOG.list_manifest(source, file)
        assert str(file) in caught.value.message


# -- reading a file -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_the_hash_is_the_sha_256_of_all_bytes(size: int, source: Path) -> None:
    content = bytes(k % 251 for k in range(size))
    assert CATALOG.hash_file(put(source, "a.mp4", content)) == hashlib.sha256(content).hexdigest()


def test_name_and_place_have_no_part_in_the_hash(source: Path) -> None:
    one, other = put(source, "a.mp4", b"same"), put(source, "deep/b.mkv", b"same")
    assert CATALOG.hash_file(one) == CATALOG.hash_file(other)
    assert CATALOG.hash_file(one) != CATALOG.hash_file(put(source, "c.mp4", b"other"))


def test_a_file_that_is_gone_has_vanished(source: Path) -> None:
    with pytest.raises(Vanished, match=r"gone\.mp4"):
        CATALOG.hash_file(source / "gone.mp4")


def test_a_folder_is_no_file_and_leaves_nothing_open(source: Path) -> None:
    before = len(list(OPEN.iterdir()))
    with pytest.raises(Vanished, match="source: Is a directory"):
        CATALOG.hash_file(source)
    assert len(list(OPEN.iterdir())) == before


def test_a_device_is_no_file() -> None:
    with within(5), pytest.raises(Vanished, match="not a regular file"):
        CATALOG.hash_file(Path("/dev/zero"))


def test_a_file_that_may_not_be_read_has_vanished_with_the_reason(open_to_all: Path) -> None:
    file = put(open_to_all, "closed.mp4")
    with without_privileges():
        assert CATALOG.hash_file(file)
    file.chmod(0)
    with without_privileges(), pytest.raises(Vanished, match=r"closed\.mp4: Permission denied"):
        CATALOG.hash_file(file)


def test_a_pipe_is_no_file_and_never_blocks(source: Path, tmp_path: Path) -> None:
    os.mkfifo(source / "pipe.mp4")
    os.mkfifo(source / "pipe")
    put(source, "a.mp4")
    with within(5):
        assert listed(source) == ["a.mp4"]
        with pytest.raises(Vanished, match="not a regular file"):
            CATALOG.hash_file(source / "pipe.mp4")
        (tmp_path / "m.csv").write_text("path\npipe.mp4\n")
        CATALOG.list_manifest(source, tmp_path / "m.csv")


@pytest.mark.parametrize("name", [b"caf\xe9.mp4", b"caf\xe9/a.mp4"])
def test_a_name_that_is_not_utf_8_is_listed_escaped_and_cannot_be_read(name: bytes, source: Path) -> None:
    put(source, os.fsdecode(name))
    put(source, "good.mp4")
    bad, good = CATALOG.list_folder(source).files
    assert good.path == "good.mp4"
    assert bad.path.encode() == name.replace(b"\xe9", b"\\udce9"), "valid UTF-8, as a database needs it"
    with pytest.raises(Vanished) as caught:
        CATALOG.hash_file(source / bad.path)
    assert "UTF-8" in caught.value.next_step
    caught.value.message.encode()


def test_an_ordinary_missing_file_is_not_blamed_on_its_name(source: Path) -> None:
    with pytest.raises(Vanished) as caught:
        CATALOG.hash_file(source / "é視.mp4")
    assert "UTF-8" not in caught.value.next_step
