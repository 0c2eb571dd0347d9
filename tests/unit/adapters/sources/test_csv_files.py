"""The strict CSV reader: what does not fit is understood or refused with its line, never lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import warehouse_rows

from vidpipe.adapters.sources.csv_files import read_table
from vidpipe.adapters.sources.datasets import Columns, any_csv
from vidpipe.adapters.sources.folders import Catalog
from vidpipe.errors import ConfigurationError
from vidpipe.ports import Ports
from vidpipe.records.names import look_alikes
from vidpipe.steps.ingest import ingest

REFUSED = {
    "path,label\nA.mp4,Archery\nB.mp4,Archery, slowly\n": "line 3: 3 cells, but the header has 2",
    'path,label\nA.mp4,"Archery\nB.mp4,Surfing\n': "a quote opened in line 2 is never closed",
    'path,label\nA.mp4,"Archery\nB.mp4,Surfing"\n': "line 2: a quoted value goes on",
    'path,label\nA.mp4,"Archery\nB.mp4,"Surfing"\n': "lines 2 to 3",
    'path,label,notes\nA.mp4,Archery,"hm\nB.mp4,Surfing,"\nC.mp4,x,y\n': "line 2: a quoted value goes on",
    'path,label\nA.mp4,"Archery"x\n': "line 2",
    "path,label,label\nA.mp4,Archery,x\n": "the column label more than once",
    "path,label, Label \nA.mp4,Archery,x\n": "the column label more than once",
    "path,label,\nA.mp4,Archery,x\n": "line 2: 3 cells",
    "path;label;label\nA.mp4;a;b\n": "the column label more than once",
    "file;label\nA.mp4;a\n": "no column path",
}


@pytest.mark.parametrize(("text", "says"), REFUSED.items())
def test_what_does_not_fit_is_refused_by_all_three_verbs(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_text(text, encoding="utf-8")
    catalog = Catalog()
    for read in (
        lambda: catalog.list_manifest(tmp_path, file),
        lambda: catalog.read_labels(file),
        lambda: any_csv(file, tmp_path, Columns("path", "label")),
    ):
        with pytest.raises(ConfigurationError) as caught:
            read()
        assert says in caught.value.message and str(file) in caught.value.message
        assert caught.value.next_step


@pytest.mark.parametrize(
    "text",
    [
        "path, label\nA.mp4,Archery\nB.mp4,Surfing\n",
        " Path ,LABEL\r\nA.mp4,Archery\r\nB.mp4,Surfing\r\n",
        '"path";"label"\nA.mp4;Archery\nB.mp4;Surfing\n',
        "path\tlabel\nA.mp4\tArchery\nB.mp4\tSurfing\n",
        "path|label\nA.mp4|Archery\nB.mp4|Surfing\n",
        "sep=;\npath;label\nA.mp4;Archery\nB.mp4;Surfing\n",
        "\ufeffpath,la\u200bbel,\n\n,,,\nA.mp4,Archery,\n  ,\nB.mp4, Surfing ,,\n",
        'path,label\nA.mp4, "Archery"\n"B.mp4",Surfing\n',
        "path,label\rA.mp4,Archery\rB.mp4,Surfing\r",
    ],
)
def test_what_people_mean_is_understood(text: str, tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_bytes(text.encode())
    for name in ("A.mp4", "B.mp4"):
        (tmp_path / name).touch()
    files, missing = Catalog().list_manifest(tmp_path, file)
    assert ([(f.path, f.label) for f in files], missing) == (
        [("A.mp4", "Archery"), ("B.mp4", "Surfing")], [],
    )  # fmt: skip
    assert [(g.path, g.label) for g in Catalog().read_labels(file)] == [
        ("A.mp4", "Archery"), ("B.mp4", "Surfing"),
    ]  # fmt: skip


def test_an_unusual_separator_and_short_lines_are_said(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_text("path;label\nA.mp4\n")
    notes = read_table(file, ["path"]).notes
    assert "semicolon" in notes[0] and "1 lines have fewer cells" in notes[1]


def test_a_note_over_several_lines_is_one_value(tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_text('path,notes\nA.mp4,"one\ntwo"\n')
    assert read_table(file, ["path"]).lines[0].cells["notes"] == "one\ntwo"


@pytest.mark.parametrize("content", ["path\n".encode("utf-16"), b"path\ncaf\xe9.mp4\n"])
def test_another_encoding_is_named(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"UTF-16|line 2 is not UTF-8"):
        read_table(file, ["path"])


def test_labels_that_nobody_can_tell_apart_are_found() -> None:
    assert look_alikes(["Archery", "archery ", "Arch\u200bery", "Surfing", "e\u0301", "é"]) == [
        ["Archery", "Arch\u200bery", "archery "], ["e\u0301", "é"],
    ]  # fmt: skip


# -- manifests ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, clips: Any) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name, file in zip("abc", sorted(clips.incoming.glob("*.mp4")), strict=False):
        (folder / f"{name}.mp4").write_bytes(file.read_bytes())
    return folder


def write(folder: Path, text: str) -> Path:
    file = folder / "m.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_split_words_of_any_case_are_split_columns(folder: Path) -> None:
    file = write(folder, "path,Split,fold\na.mp4,Train,TESTING\nb.mp4, validation ,\nc.mp4,Test,valid\n")
    files, _ = Catalog().list_manifest(folder, file)
    assert [dict(f.splits) for f in files] == [
        {"split": "train", "fold": "test"}, {"split": "val"}, {"split": "test", "fold": "val"},
    ]  # fmt: skip


@pytest.mark.parametrize("column", ["split", "Split 1", "fold"])
def test_a_split_column_with_another_word_is_refused_with_it(column: str, folder: Path) -> None:
    file = write(folder, f"path,{column}\na.mp4,train\nb.mp4,test\nc.mp4,holdout\n")
    with pytest.raises(ConfigurationError, match=r"line 4: .*'holdout'"):
        Catalog().list_manifest(folder, file)


def test_a_manifest_without_a_line_is_named_and_not_the_mount(ports: Ports, folder: Path) -> None:
    manifest = write(folder, "path,label\n")
    with pytest.raises(ConfigurationError, match=r"m\.csv names no video: it has no line"):
        ingest(ports, "yard", folder, manifest=manifest)
    assert ingest(ports, "yard", folder, manifest=manifest, allow_missing=True).videos == 0


def test_backslashes_and_absolute_paths_are_refused_with_their_cause(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "a.mp4").touch()
    for path, says in {
        "deep\\a.mp4": "slashes for backslashes",
        str(folder / "a.mp4"): "absolute",
        "C:\\videos\\a.mp4": "absolute",
    }.items():
        with pytest.raises(ConfigurationError, match=says) as caught:
            Catalog().list_manifest(folder, write(folder, f"path\n{path}\n"))
        assert "deep/a.mp4" in caught.value.next_step or "vidpipe manifest csv" in caught.value.next_step


def answer(ports: Ports, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in warehouse_rows(ports, query)]


def test_ingest_ends_with_what_it_took(ports: Ports, folder: Path) -> None:
    header = "path,Label,group,split,Camera,blank\n"
    text = header + "a.mp4,dog,g1,train,north,\nb.mp4,Dog ,g2,test,,\nc.mp4,,,,south,\n"
    came = ingest(ports, "yard", folder, manifest=write(folder, text))
    assert (came.videos, came.labels, came.unlabelled, came.groups) == (3, 2, 1, 2)
    assert came.splits == {"split": {"train": 1, "test": 1}}
    assert came.columns_kept == ["path", "label", "group", "split"]
    assert came.columns_not_understood == ["camera"]
    assert "'Dog', 'dog'" in came.warnings[0]
    found = answer(ports, "select path, attributes['camera'] from collection_videos order by path")
    assert found == [("a.mp4", "north"), ("b.mp4", None), ("c.mp4", "south")]
    ingest(ports, "yard", folder, manifest=write(folder, "path,place\na.mp4,roof\nb.mp4,\nc.mp4,\n"))
    found = answer(ports, "select attributes::varchar from collection_videos where path = 'a.mp4'")
    assert "roof" in str(found) and "north" not in str(found)


def test_the_command_line_says_it_too(vidpipe: Any, folder: Path) -> None:
    manifest = write(folder, "path;label;who\na.mp4;dog;ann\n")
    arguments = ("ingest", str(folder), "--collection", "yard", "--manifest", str(manifest))
    text = vidpipe(*arguments)
    assert text.returncode == 0
    assert "columns_not_understood  who" in text.stdout and "semicolon" in text.stderr
    said = json.loads(vidpipe(*arguments, "--json").stdout)
    assert (said["labels"], said["columns_kept"]) == (1, ["path", "label"])
