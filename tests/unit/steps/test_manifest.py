"""Lists meet files: what gets into a manifest, what stays out and why, and that ingest takes it as it is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import rows_of, tree

from vidpipe.adapters.sources.annotations import agreed
from vidpipe.adapters.sources.folders import Catalog
from vidpipe.errors import ConfigurationError, StorageFailed
from vidpipe.records.labels import LabelledSpan, ListedVideo
from vidpipe.splits import SPLITS
from vidpipe.steps.manifest import ManifestResult, disjoint, join, manifest


def made(
    root: Path, listed: Sequence[ListedVideo], **how: Any
) -> tuple[ManifestResult, list[dict[str, str]]]:
    output = root.parent / "made.csv"
    report = manifest(Catalog(), lambda _: listed, root, output, **{"by_stem": True, **how})
    return report, rows_of(output)


# -- matching -------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["Archery/a.avi", "Archery/a.mp4", "a.mp4", "UCF-101/Archery/a.mkv"])
def test_a_file_counts_wherever_it_lies_and_whatever_its_extension(place: str, tmp_path: Path) -> None:
    _, rows = made(tree(tmp_path / "root", place), [ListedVideo("Archery/a.avi", "Archery")])
    assert rows == [{"path": place, "label": "Archery"}]


@pytest.mark.parametrize(
    ("paths", "chosen"),
    [
        (["Archery/a.avi", "old/a.avi"], ["Archery/a.avi"]),
        (["x/Archery/a.mp4", "old/a.avi"], ["x/Archery/a.mp4"]),
        (["a.avi", "a.mp4"], ["a.avi"]),
        (["a.mkv", "a.mp4"], []),
        (["x/a.avi", "y/a.avi"], []),
    ],
)
def test_among_several_files_the_best_fit_is_taken_and_none_where_two_fit_alike(
    paths: list[str], chosen: list[str]
) -> None:
    rows, left_out = join([ListedVideo("Archery/a.avi")], paths, by_stem=True)
    assert [row.path for row in rows] == chosen
    assert left_out == ([] if chosen else [("ambiguous", "Archery/a.avi")])


def test_a_csv_names_its_files_exactly() -> None:
    listed = [ListedVideo("x/a.mp4"), ListedVideo("./y/b.mp4"), ListedVideo("c.avi")]
    rows, left_out = join(listed, ["y/a.mp4", "y/b.mp4", "c.mp4"], by_stem=False)
    assert [row.path for row in rows] == ["y/b.mp4"]
    assert left_out == [("missing", "x/a.mp4"), ("missing", "c.avi")]


@pytest.mark.parametrize("name", ["../a.mp4", "/a.mp4", "x/../../a.mp4", "", "."])
@pytest.mark.parametrize("by_stem", [True, False])
def test_a_path_that_leaves_the_root_is_left_out(name: str, by_stem: bool) -> None:
    assert join([ListedVideo(name)], ["a.mp4"], by_stem=by_stem) == ([], [("outside", name)])


def test_lines_about_one_file_are_put_together_and_contradictions_left_out(tmp_path: Path) -> None:
    listed = [
        ListedVideo("a.avi", "dog", "1", {"split1": "train"}),
        ListedVideo("a.avi", "dog", "1", {"split2": "test"}),
        ListedVideo("b.avi", "dog", "1", {"split1": "train"}),
        ListedVideo("b.avi", "dog", "1", {"split1": "test"}),
        ListedVideo("c.avi", "dog"),
        ListedVideo("c.avi", "cat"),
    ]
    report, rows = made(tree(tmp_path / "root", "a.mp4", "b.mp4", "c.mp4"), listed)
    assert rows == [{"path": "a.mp4", "label": "dog", "group": "1", "split1": "train", "split2": "test"}]
    assert report.left_out == {"conflicting": 2}
    assert report.unlisted == 0


def test_the_report_counts_what_is_missing_and_what_no_list_names(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", "a.mp4", *(f"extra{k}.mp4" for k in range(7)))
    listed = [ListedVideo("a.avi", "dog"), *(ListedVideo(f"gone{k}.avi", "dog") for k in range(9))] * 2
    report, rows = made(root, listed)
    assert (report.rows, len(rows), report.left_out, report.unlisted) == (1, 1, {"missing": 9}, 7)
    assert report.left_out_first[0] == "missing: gone0.avi" and len(report.left_out_first) == 5
    assert report.unlisted_first == [f"extra{k}.mp4" for k in range(5)]


def test_nothing_there_is_an_error_with_both_sides(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", "a.mp4")
    for listed in ([ListedVideo("Archery/b.avi")], []):
        with pytest.raises(ConfigurationError, match=r"holds 1 videos, such as a\.mp4") as caught:
            made(root, listed)
        assert "--root" in caught.value.next_step
    assert not (tmp_path / "made.csv").exists()


# -- hostile names --------------------------------------------------------------------------------

ODD = ("a,b.mp4", 'say "hi".mp4', "new\nline.mp4", "back\rhere.mp4", "é視 🎬.mp4", "=1+1.mp4", "a;b\t.mp4")


def test_odd_names_come_through_ingest_s_reader_unharmed(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", *(f"dog, big/{name}" for name in ODD))
    output = tmp_path / "m.csv"
    from vidpipe.adapters.sources.datasets import folders

    manifest(Catalog(), folders, root, output, by_stem=False)
    files, missing = Catalog().list_manifest(root, output)
    assert missing == []
    assert {f.path for f in files} == {f"dog, big/{name}" for name in ODD}
    assert {f.label for f in files} == {"dog, big"}


def test_names_that_a_manifest_cannot_carry_are_left_out_and_printed_safely(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", "good.mp4", " space.mp4", "bell\x1b[31m.mp4", os.fsdecode(b"caf\xe9.mp4"))
    report, rows = made(root, [ListedVideo(n) for n in ("good", " space", "gone\x07")])
    assert [row["path"] for row in rows] == ["good.mp4"]
    assert report.left_out == {"missing": 2, "unnameable": 2}
    assert report.unlisted == 1
    shown = " ".join([*report.left_out_first, *report.unlisted_first])
    assert shown.isprintable() and "\\x1b" in shown


# -- splits ---------------------------------------------------------------------------------------


def test_a_clip_that_a_split_does_not_use_has_no_value_and_no_place_in_it(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", "a.avi", "b.avi", "c.avi")
    listed = [
        ListedVideo("a.avi", "walk", None, {"split1": "train"}),
        ListedVideo("b.avi", "walk", None, {"split1": "test", "split2": "train"}),
        ListedVideo("c.avi", "walk", None, {"split2": "test"}),
    ]
    report, rows = made(root, listed)
    assert [(row["split1"], row["split2"]) for row in rows] == [
        ("train", ""),
        ("test", "train"),
        ("", "test"),
    ]
    files, _ = Catalog().list_manifest(root, tmp_path / "made.csv")
    assert [dict(f.splits) for f in files] == [dict(v.splits) for v in listed]
    assert report.splits == {c: {"train": 1, "val": 0, "test": 1} for c in ("split1", "split2")}
    assert report.warnings == []


def test_a_group_in_two_splits_is_said_before_train_refuses_it(tmp_path: Path) -> None:
    listed = [ListedVideo(f"{s}.mp4", "walk", "g", {"split": s}) for s in SPLITS]
    report, _ = made(tree(tmp_path / "root", *(v.path for v in listed)), listed)
    (warning,) = report.warnings
    assert "in split, 1 groups stand in more than one split, such as g" in warning


def test_without_test_labels_val_can_judge_and_the_report_says_so(tmp_path: Path) -> None:
    listed = [ListedVideo(f"{s}.mp4", None if s == "test" else "walk", None, {"split": s}) for s in SPLITS]
    root = tree(tmp_path / "root", *(v.path for v in listed))
    report, _ = made(root, listed)
    assert "--val-as-test" in report.warnings[0]
    assert report.unlabelled == 1
    report, rows = made(root, listed, val_as_test=True, overwrite=True)
    assert report.warnings == []
    assert {row["path"]: row["split"] for row in rows} == {
        "train.mp4": "train", "val.mp4": "test", "test.mp4": "test",
    }  # fmt: skip


def test_val_does_not_replace_a_test_split_that_has_labels(tmp_path: Path) -> None:
    listed = [ListedVideo(f"{s}.mp4", "walk", None, {"split": s}) for s in SPLITS]
    with pytest.raises(ConfigurationError, match="test videos with labels"):
        made(tree(tmp_path / "root", *(v.path for v in listed)), listed, val_as_test=True)


# -- writing --------------------------------------------------------------------------------------


def test_the_same_manifest_twice_is_no_work_and_another_needs_overwrite(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", "a.mp4", "b.mp4")
    assert made(root, [ListedVideo("a")])[0].status == "written"
    before = (tmp_path / "made.csv").stat().st_mtime_ns
    assert made(root, [ListedVideo("a")])[0].status == "unchanged"
    assert (tmp_path / "made.csv").stat().st_mtime_ns == before
    with pytest.raises(ConfigurationError, match="there already") as caught:
        made(root, [ListedVideo("b")])
    assert "--overwrite" in caught.value.next_step
    assert made(root, [ListedVideo("b")], overwrite=True)[1] == [{"path": "b.mp4"}]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["made.csv", "root"]


@pytest.mark.parametrize("place", ["nowhere/m.csv", "root/a.mp4/m.csv", "root"])
def test_an_output_that_cannot_be_written_is_refused_by_name(place: str, tmp_path: Path) -> None:
    root = tree(tmp_path / "root", "a.mp4")
    with pytest.raises((StorageFailed, ConfigurationError)) as caught:
        manifest(
            Catalog(), lambda _: [ListedVideo("a")], root, tmp_path / place, by_stem=True, overwrite=True
        )
    assert str(tmp_path / place) in caught.value.message and caught.value.next_step


# -- spans and doubts ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([(0, 2, "a"), (3, 4, "b")], [(0, 2, "a"), (3, 4, "b")]),
        ([(3, 4, "b"), (0, 2, "a")], [(0, 2, "a"), (3, 4, "b")]),
        ([(0, 2, "a"), (1, 3, "a"), (3, 5, "a")], [(0, 5, "a")]),
        ([(0, 3, "a"), (2, 5, "b")], [(0, 2, "a"), (3, 5, "b")]),
        ([(0, 9, "a"), (2, 3, "b")], [(0, 2, "a"), (3, 9, "a")]),
        ([(0, 9, "a"), (0, 9, "b")], []),
        ([(0, 2, "a"), (2, 4, "b")], [(0, 2, "a"), (2, 4, "b")]),
    ],
)
def test_time_with_two_labels_is_left_out_of_both(
    given: list[tuple[float, float, str]], kept: list[tuple[float, float, str]]
) -> None:
    assert disjoint([LabelledSpan(*span) for span in given]) == tuple(LabelledSpan(*span) for span in kept)


def test_where_a_video_may_have_several_labels_choices_lines_and_moments_are_sets(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", "a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4")
    listed = [
        ListedVideo("a.mp4", spans=(LabelledSpan(0, 3, "walk"), LabelledSpan(2, 5, "run"))),
        ListedVideo("b.mp4", "walk"),
        ListedVideo("b.mp4", "run"),
        agreed("c.mp4", [["walk", "run"], ["run", "walk"]]),
        ListedVideo("d.mp4", "walk | run"),
        ListedVideo("e.mp4", mixed=(LabelledSpan(0, 1, "walk"), LabelledSpan(0, 1, "run"))),
    ]
    output = tmp_path / "m.csv"
    report = manifest(Catalog(), lambda _: listed, root, output, by_stem=True, multi_label=True)
    assert output.read_text().splitlines() == [
        "path,label,start_s,end_s", "a.mp4,walk,0.000,2.000", "a.mp4,run|walk,2.000,3.000",
        "a.mp4,run,3.000,5.000", "b.mp4,run|walk,,", "c.mp4,run|walk,,", "d.mp4,run|walk,,",
        "e.mp4,run|walk,0.000,1.000",
    ]  # fmt: skip
    assert (report.rows, report.labels, report.left_out, report.warnings) == (5, 2, {}, [])
    with pytest.raises(ConfigurationError, match=r"'dog \| wolf' holds a bar"):
        chosen = [agreed("a.mp4", [["dog | wolf"]])]
        manifest(Catalog(), lambda _: chosen, root, output, by_stem=True, multi_label=True)


def test_spans_are_lines_of_the_manifest_that_ingest_takes_and_doubts_are_counted(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", "a.mp4", "b.mp4", "c.mp4", "d.mp4")
    listed = [
        ListedVideo("a.mp4", spans=(LabelledSpan(0, 3, "walk"), LabelledSpan(2, 5, "run"))),
        ListedVideo("b.mp4", "walk"),
        ListedVideo("c.mp4", doubt="several labels"),
        ListedVideo("d.mp4", "walk", spans=(LabelledSpan(0, 1, "walk"),)),
    ]
    output = tmp_path / "m.csv"

    report = manifest(Catalog(), lambda _: listed, root, output, by_stem=True)

    assert output.read_text().splitlines() == [
        "path,label,start_s,end_s", "a.mp4,walk,0.000,2.000", "a.mp4,run,3.000,5.000", "b.mp4,walk,,"
    ]  # fmt: skip
    assert (report.rows, report.spans, report.labels, report.unlabelled) == (2, 2, 2, 0)
    assert report.left_out == {"several labels": 1, "conflicting": 1}
    assert report.warnings == ["in 1 videos, 1.0 s have two labels at once, and are left out."]
    files, _ = Catalog().list_manifest(root, output)
    assert [len(file.spans) for file in files] == [2, 0]
