"""Public datasets' own lists, as they are written: who is in them, under which label, group and split."""

import json
from pathlib import Path

import pytest

from vidpipe.adapters.sources import datasets
from vidpipe.adapters.sources.datasets import Columns
from vidpipe.errors import ConfigurationError
from vidpipe.records.labels import ListedVideo

BOM = "\ufeff"


def put(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode())
    return file


def refused(caught: pytest.ExceptionInfo[ConfigurationError], *said: str) -> None:
    """What, where, got against expected, and what to do next."""
    assert caught.value.next_step
    for words in said:
        assert words in caught.value.message


# -- UCF101 ---------------------------------------------------------------------------------------


def test_ucf101_takes_label_from_the_folder_and_group_from_the_name(tmp_path: Path) -> None:
    put(tmp_path, "classInd.txt", "1 ApplyEyeMakeup\n2 HandstandPushups\n")
    put(tmp_path, "trainlist01.txt", "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\n")
    put(tmp_path, "testlist01.txt", "HandstandPushups/v_HandStandPushups_g01_c02.avi\n")
    assert datasets.ucf101(tmp_path) == [
        ListedVideo(
            "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi", "ApplyEyeMakeup", "8", {"split1": "train"}
        ),
        ListedVideo(
            "HandstandPushups/v_HandStandPushups_g01_c02.avi", "HandstandPushups", "1", {"split1": "test"}
        ),
    ]


def test_lists_from_windows_with_a_byte_order_mark_and_blank_lines_read_alike(tmp_path: Path) -> None:
    plain = "Archery/v_Archery_g01_c01.avi 1\nArchery/v_Archery_g01_c02.avi 1\n"
    for folder, text in (("a", plain), ("b", BOM + "\r\n" + plain.replace("\n", " \r\n\r\n"))):
        put(tmp_path, f"{folder}/trainlist02.txt", text)
        put(tmp_path, f"{folder}/testlist02.txt", "")
    assert datasets.ucf101(tmp_path / "a") == datasets.ucf101(tmp_path / "b")
    assert len(datasets.ucf101(tmp_path / "b")) == 2


def test_ucf101_refuses_a_folder_without_lists_and_names_what_is_there(tmp_path: Path) -> None:
    put(tmp_path, "notes.txt", "x")
    with pytest.raises(ConfigurationError) as caught:
        datasets.ucf101(tmp_path)
    refused(caught, "trainlist01.txt", "'notes.txt'")
    with pytest.raises(ConfigurationError) as caught:
        datasets.ucf101(tmp_path / "nowhere")
    refused(caught, "nowhere", "No such file")


def test_ucf101_refuses_half_a_split(tmp_path: Path) -> None:
    put(tmp_path, "trainlist01.txt", "Archery/v_Archery_g01_c01.avi 1\n")
    with pytest.raises(ConfigurationError) as caught:
        datasets.ucf101(tmp_path)
    refused(caught, "testlist01.txt")


@pytest.mark.parametrize(
    "line", ["v_Archery_g01_c01.avi 1", "Archery/v_Archery_g01_c01.avi one", "Surfing/a.avi 1"]
)
def test_ucf101_refuses_a_line_of_another_form_with_its_number(line: str, tmp_path: Path) -> None:
    put(tmp_path, "classInd.txt", "1 Archery\n")
    put(tmp_path, "trainlist01.txt", f"\nArchery/v_Archery_g01_c01.avi 1\n{line}\n")
    put(tmp_path, "testlist01.txt", "")
    with pytest.raises(ConfigurationError) as caught:
        datasets.ucf101(tmp_path)
    refused(caught, "trainlist01.txt line 3", line)


# -- HMDB51 ---------------------------------------------------------------------------------------


def test_hmdb51_reads_train_test_and_unused_and_groups_by_source_and_class(tmp_path: Path) -> None:
    lines = (
        "Iaido_draw_sword_draw_sword_f_cm_np1_fr_med_2.avi 1 \n"
        "odd.avi 2 \n"
        "BIG_FISH_draw_sword_u_cm_np1_fr_goo_0.avi 0 \n"
    )
    put(tmp_path, "testTrainMulti_7030_splits/draw_sword_test_split3.txt", lines)
    put(tmp_path, "testTrainMulti_7030_splits/._draw_sword_test_split3.txt", "resource fork")
    listed = datasets.hmdb51(tmp_path)
    assert [(v.path, v.label, v.group, dict(v.splits)) for v in listed] == [
        (
            "draw_sword/Iaido_draw_sword_draw_sword_f_cm_np1_fr_med_2.avi",
            "draw_sword",
            "Iaido_draw_sword_draw_sword",
            {"split3": "train"},
        ),
        ("draw_sword/odd.avi", "draw_sword", None, {"split3": "test"}),
        ("draw_sword/BIG_FISH_draw_sword_u_cm_np1_fr_goo_0.avi", "draw_sword", "BIG_FISH_draw_sword", {}),
    ]


@pytest.mark.parametrize("line", ["a.avi", "a.avi 3", "../a.avi 1", "/a.avi 1"])
def test_hmdb51_refuses_a_line_of_another_form(line: str, tmp_path: Path) -> None:
    put(tmp_path, "walk_test_split1.txt", line)
    with pytest.raises(ConfigurationError) as caught:
        datasets.hmdb51(tmp_path)
    refused(caught, "walk_test_split1.txt line 1", line)


def test_hmdb51_refuses_a_folder_without_lists(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        datasets.hmdb51(tmp_path)
    refused(caught, "brush_hair_test_split1.txt", "nothing")


# -- Kinetics -------------------------------------------------------------------------------------


def test_kinetics_names_files_by_id_and_seconds_and_reads_several_lists(tmp_path: Path) -> None:
    val = put(
        tmp_path,
        "val.csv",
        BOM + "label,youtube_id,time_start,time_end,split\r\n"
        "testifying,---QUuC4vJs,84,94,validate\r\n"
        '"playing ""rock, paper""",--nQbRBEz2s,104.0,114.0,val\r\n',
    )
    test = put(
        tmp_path, "test.csv", "youtube_id,time_start,time_end,split\nabcdefghijk,0,10,test\n\nx,1,2,\n"
    )
    assert datasets.kinetics([val, test]) == [
        ListedVideo("---QUuC4vJs_000084_000094.mp4", "testifying", "---QUuC4vJs", {"split": "val"}),
        ListedVideo(
            "--nQbRBEz2s_000104_000114.mp4", 'playing "rock, paper"', "--nQbRBEz2s", {"split": "val"}
        ),
        ListedVideo("abcdefghijk_000000_000010.mp4", None, "abcdefghijk", {"split": "test"}),
        ListedVideo("x_000001_000002.mp4", None, "x", {}),
    ]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("run,abc,ten,20,train", "seconds"),
        ("run,abc,inf,20,train", "seconds"),
        ("run,abc,0,10,holdout", "split"),
    ],
)
def test_kinetics_refuses_a_bad_row_with_its_line(row: str, says: str, tmp_path: Path) -> None:
    file = put(tmp_path, "k.csv", f"label,youtube_id,time_start,time_end,split\nrun,abc,0,10,train\n{row}\n")
    with pytest.raises(ConfigurationError) as caught:
        datasets.kinetics([file])
    refused(caught, "k.csv line 3", says)


def test_kinetics_refuses_another_header(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        datasets.kinetics([put(tmp_path, "k.csv", "path,label\na,b\n")])
    refused(caught, "no column youtube_id, time_start, time_end, split, but path, label")


# -- Something-Something --------------------------------------------------------------------------


def ssv2_list(*entries: object) -> str:
    return json.dumps(list(entries))


HOLDING = {
    "id": "78687",
    "label": "holding potato next to vicks vaporub bottle",
    "template": "Holding [something] next to [something]",
    "placeholders": ["potato", "vicks vaporub bottle"],
}


def test_ssv2_labels_by_template_and_takes_answers_for_the_test_videos(tmp_path: Path) -> None:
    train = put(tmp_path, "train.json", ssv2_list(HOLDING))
    validation = put(tmp_path, "validation.json", ssv2_list({**HOLDING, "id": 41775}))
    test = put(tmp_path, "test.json", ssv2_list({"id": "1420"}, {"id": "3877"}))
    answers = put(tmp_path, "test-answers.csv", "1420;Folding something\n")
    found = datasets.ssv2(train, validation, test, answers)
    label = "Holding something next to something"
    assert [(v.path, v.label, v.group, dict(v.splits)) for v in found] == [
        ("78687.webm", label, None, {"split": "train"}),
        ("41775.webm", label, None, {"split": "val"}),
        ("1420.webm", "Folding something", None, {"split": "test"}),
        ("3877.webm", None, None, {"split": "test"}),
    ]
    assert len(datasets.ssv2(train, validation)) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "got 'dict', expected a list"),
        ("[1]", "entry 1"),
        ('[{"id": "1"}]', "entry 1"),
        ('[{"template": "a"}]', "entry 1"),
        ("not json", "as JSON"),
        ("[" * 100_000, "as JSON"),
    ],
)
def test_ssv2_refuses_another_file(text: str, says: str, tmp_path: Path) -> None:
    good, bad = put(tmp_path, "v.json", ssv2_list(HOLDING)), put(tmp_path, "t.json", text)
    with pytest.raises(ConfigurationError) as caught:
        datasets.ssv2(bad, good)
    refused(caught, "t.json", says)


def test_ssv2_refuses_answers_without_their_list_and_answers_of_another_form(tmp_path: Path) -> None:
    good, answers = put(tmp_path, "v.json", ssv2_list(HOLDING)), put(tmp_path, "a.csv", "1,Folding\n")
    with pytest.raises(ConfigurationError) as caught:
        datasets.ssv2(good, good, None, answers)
    refused(caught, "--test-answers without --test")
    with pytest.raises(ConfigurationError) as caught:
        datasets.ssv2(good, good, good, answers)
    refused(caught, "a.csv line 1", "id;label")


# -- folders --------------------------------------------------------------------------------------


def test_a_folder_is_a_label_even_one_called_train() -> None:
    found = datasets.folders(["bus/a.mp4", "train/deep.mp4", "loose.mp4"])
    assert [(v.path, v.label, dict(v.splits)) for v in found] == [
        ("bus/a.mp4", "bus", {}),
        ("train/deep.mp4", "train", {}),
        ("loose.mp4", None, {}),
    ]


def test_train_val_and_test_folders_are_splits_with_labels_in_them() -> None:
    found = datasets.folders(["Train/dog/x/a.mp4", "validation/cat/b.mp4", "test/c.mp4", "loose.mp4"])
    assert [(v.path, v.label, dict(v.splits)) for v in found] == [
        ("Train/dog/x/a.mp4", "dog", {"split": "train"}),
        ("validation/cat/b.mp4", "cat", {"split": "val"}),
        ("test/c.mp4", None, {"split": "test"}),
        ("loose.mp4", None, {}),
    ]


def test_splits_beside_other_folders_are_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        datasets.folders(["train/dog/a.mp4", "extras/b.mp4"])
    refused(caught, "train", "extras")


# -- any CSV --------------------------------------------------------------------------------------


def test_a_csv_has_columns_of_any_name_and_paths_relative_or_absolute(tmp_path: Path) -> None:
    file = put(
        tmp_path,
        "x.tsv",
        f"{BOM}clip\twhat\twho\tset\textra\r\n./a, b.mp4\tdog\tann\tTraining\t1\r\n"
        f"{tmp_path}/deep/c.mp4\t\t\t\t\r\n\r\n/etc/passwd\tx\ty\ttest\n",
    )
    columns = Columns("clip", "what", "who", "set")
    assert datasets.any_csv(file, tmp_path, columns, "tab") == [
        ListedVideo("a, b.mp4", "dog", "ann", {"split": "train"}),
        ListedVideo("deep/c.mp4", None, None, {}),
        ListedVideo("/etc/passwd", "x", "y", {"split": "test"}),
    ]


def test_numbers_name_the_columns_of_a_list_without_a_header(tmp_path: Path) -> None:
    file = put(tmp_path, "list.txt", "a.mp4 3\nb.mp4 5\n")
    found = datasets.any_csv(file, tmp_path, Columns("1", "2"), "space")
    assert [(v.path, v.label) for v in found] == [("a.mp4", "3"), ("b.mp4", "5")]


@pytest.mark.parametrize(
    ("text", "columns", "delimiter", "says"),
    [
        ("a,b\n1,2\n", Columns("clip"), ",", "no column clip, but a, b"),
        ("", Columns("clip"), ",", "no header at all"),
        ("a.mp4 3\nb.mp4\n", Columns("1", "2"), "space", "line 2"),
        (
            "clip,set\na,holdout\n",
            Columns("clip", split="set"),
            ",",
            "line 2: got 'holdout', expected a split",
        ),
        ("clip\na\n", Columns("clip"), "::", "delimiter '::'"),
        ('clip\n"' + "a" * 200_000, Columns("clip"), ",", "field larger than field limit"),
    ],
)
def test_a_csv_that_does_not_fit_is_refused(
    text: str, columns: Columns, delimiter: str, says: str, tmp_path: Path
) -> None:
    file = put(tmp_path, "x.csv", text)
    with pytest.raises(ConfigurationError) as caught:
        datasets.any_csv(file, tmp_path, columns, delimiter)
    refused(caught, "x.csv", says)


def test_a_list_that_is_not_utf_8_or_not_there_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("clip\né.mp4\n".encode("latin-1"))
    for name in ("latin.csv", "nowhere.csv", "."):
        with pytest.raises(ConfigurationError) as caught:
            datasets.any_csv(tmp_path / name, tmp_path, Columns("clip"))
        refused(caught, str(tmp_path / name))
