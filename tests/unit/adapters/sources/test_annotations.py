"""What annotation tools and temporal datasets write, as they write it, becomes labels, spans and doubts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vidpipe.adapters.sources.annotations import activitynet, ava, cvat, via
from vidpipe.adapters.sources.label_studio import label_studio, studio_path
from vidpipe.errors import ConfigurationError
from vidpipe.records.labels import LabelledSpan, ListedVideo


def written(file: Path, content: object) -> Path:
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


def choice(*labels: str, cancelled: bool = False, truth: bool = False, by: int = 1) -> dict[str, Any]:
    chosen = {"from_name": "what", "to_name": "video", "type": "choices", "value": {"choices": list(labels)}}
    return {
        "id": 7, "completed_by": by, "was_cancelled": cancelled, "ground_truth": truth,
        "result": [chosen] if labels else [],
    }  # fmt: skip


def task(name: str, *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"id": 1, "data": {"id": "x", "video": name}, "annotations": list(annotations), "predictions": []}


# -- Label Studio -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("/data/upload/1/0a1b2c3d-clip.mp4", "clip.mp4"),
        ("http://localhost:8080/data/upload/12/0a1b2c3d-my%20clip.mp4", "my clip.mp4"),
        ("/data/local-files/?d=day1/clip.mp4", "day1/clip.mp4"),
        ("s3://bucket/day1/clip.mp4", "clip.mp4"),
        ("https://example.org/videos/clip.mp4?token=1", "clip.mp4"),
        ("/data/upload/1/beefcafe.mp4", "beefcafe.mp4"),
        ("day1/0a1b2c3d-clip.mp4", "day1/0a1b2c3d-clip.mp4"),
    ],
)
def test_an_address_of_label_studio_is_a_path_below_the_root(address: str, path: str) -> None:
    assert studio_path(address) == path


UPLOADED = "/data/upload/1/0a1b2c3d-a.mp4"


@pytest.mark.parametrize(
    ("annotations", "video"),
    [
        ([choice("walk")], ListedVideo("a.mp4", "walk")),
        ([], ListedVideo("a.mp4")),
        ([choice("walk", cancelled=True)], ListedVideo("a.mp4")),
        ([choice()], ListedVideo("a.mp4")),
        ([choice("walk", "run")], ListedVideo("a.mp4", doubt="several labels")),
        ([choice("walk"), choice("run", by=2)], ListedVideo("a.mp4", doubt="annotators disagree")),
        ([choice("walk"), choice("run", by=2), choice("walk", by=3)], ListedVideo("a.mp4", "walk")),
        ([choice("walk"), choice("walk", by=2), choice("run", truth=True)], ListedVideo("a.mp4", "run")),
        ([choice("walk"), choice("run", cancelled=True, by=2)], ListedVideo("a.mp4", "walk")),
    ],
)
def test_more_than_half_of_the_annotators_decide_and_the_truth_before_them(
    annotations: list[dict[str, Any]], video: ListedVideo, tmp_path: Path
) -> None:
    assert label_studio(written(tmp_path / "e.json", [task(UPLOADED, *annotations)])) == [video]


def test_the_small_json_and_the_csv_say_the_same(tmp_path: Path) -> None:
    """A line an annotator; several choices are one cell of JSON."""
    rows = [
        {"video": UPLOADED, "id": 1, "choice": "walk", "annotator": 1, "annotation_id": 1},
        {"video": "/data/upload/1/11111111-b.mp4", "id": 2, "choice": {"choices": ["walk", "run"]}},
        {"video": "/data/upload/1/11111111-c.mp4", "id": 3, "choice": "run", "annotator": 1},
        {"video": "/data/upload/1/11111111-c.mp4", "id": 3, "choice": "walk", "annotator": 2},
        {"video": "/data/upload/1/11111111-d.mp4", "id": 4},
    ]
    csv = (
        "annotation_id,annotator,choice,id,video\n"
        f"1,1,walk,1,{UPLOADED}\n"
        '2,1,"{""choices"":[""walk"",""run""]}",2,/data/upload/1/11111111-b.mp4\n'
        "3,1,run,3,/data/upload/1/11111111-c.mp4\n4,2,walk,3,/data/upload/1/11111111-c.mp4\n"
        "5,1,,4,/data/upload/1/11111111-d.mp4\n"
    )
    expected = [
        ListedVideo("a.mp4", "walk"), ListedVideo("b.mp4", doubt="several labels"),
        ListedVideo("c.mp4", doubt="annotators disagree"), ListedVideo("d.mp4"),
    ]  # fmt: skip
    assert label_studio(written(tmp_path / "min.json", rows)) == expected
    assert label_studio(written(tmp_path / "e.csv", csv)) == expected


def test_timeline_labels_become_spans_and_need_the_rate_that_they_count_in(tmp_path: Path) -> None:
    value = {"ranges": [{"start": 1, "end": 50}, {"start": 101, "end": 125}], "timelinelabels": ["walk"]}
    annotation = {"id": 1, "was_cancelled": False, "result": [{"type": "timelinelabels", "value": value}]}
    file = written(tmp_path / "e.json", [task(UPLOADED, annotation)])

    (video,) = label_studio(file, fps=25)

    assert video.spans == (LabelledSpan(0.0, 2.0, "walk"), LabelledSpan(4.0, 5.0, "walk"))
    with pytest.raises(ConfigurationError, match="frames") as refused:
        label_studio(file)
    assert "--fps" in str(refused.value)


# -- VIA --------------------------------------------------------------------------------------------


def project(**metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        "project": {"pname": "p", "vid_list": ["1", "2"]}, "config": {},
        "attribute": {
            "1": {"aname": "action", "type": 4, "options": {"0": "walk", "1": "run"}},
        },
        "file": {"f1": {"fid": "f1", "fname": "a.mp4"}, "f2": {"fid": "f2", "fname": "day\\b.mp4"}},
        "view": {"1": {"fid_list": ["f1"]}, "2": {"fid_list": ["f2"]}},
        "metadata": metadata,
    }  # fmt: skip


def test_via_labels_videos_and_spans_by_the_attributes_options(tmp_path: Path) -> None:
    file = written(
        tmp_path / "via.json",
        project(
            a={"vid": "1", "z": [0.5, 2.0], "xy": [], "av": {"1": "0"}},
            b={"vid": "1", "z": [3.0, 4.5], "xy": [], "av": {"1": "1"}},
            frame={"vid": "1", "z": [3.5], "xy": [2, 1, 1, 5, 5], "av": {"1": "0"}},
            c={"vid": "2", "z": [], "xy": [], "av": {"1": "1"}},
        ),
    )
    assert via(file) == [
        ListedVideo("a.mp4", spans=(LabelledSpan(0.5, 2.0, "walk"), LabelledSpan(3.0, 4.5, "run"))),
        ListedVideo("b.mp4", "run"),
    ]


def test_among_several_attributes_of_via_one_is_to_be_named(tmp_path: Path) -> None:
    two = project(c={"vid": "2", "z": [], "xy": [], "av": {"2": "night"}})
    two["attribute"]["2"] = {"aname": "light", "type": 1, "options": {}}
    file = written(tmp_path / "via.json", two)

    with pytest.raises(ConfigurationError, match="'action', 'light'") as refused:
        via(file)
    assert "--attribute" in str(refused.value)
    assert via(file, "light") == [ListedVideo("a.mp4"), ListedVideo("b.mp4", "night")]


# -- CVAT -------------------------------------------------------------------------------------------

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><id>1</id><name>t</name><size>100</size><start_frame>0</start_frame>
<labels><label><name>walk</name></label></labels><source>C:\\videos\\a.mp4</source></task></meta>
{}
</annotations>"""


def track(label: str, *frames: int, gone: int | None = None) -> str:
    boxes = "".join(f'<box frame="{f}" keyframe="1" outside="0" xtl="1"/>' for f in frames)
    end = f'<box frame="{gone}" keyframe="1" outside="1"/>' if gone is not None else ""
    return f'<track id="0" label="{label}" source="manual">{boxes}{end}</track>'


def test_cvat_with_one_label_labels_the_video_and_with_several_its_spans(tmp_path: Path) -> None:
    one = written(tmp_path / "one.xml", CVAT.format(track("walk", 0, 9) + track("walk", 30, gone=40)))
    assert cvat(one) == [ListedVideo("a.mp4", "walk")]
    none = written(tmp_path / "none.xml", CVAT.format(""))
    assert cvat(none) == [ListedVideo("a.mp4")]

    two = written(tmp_path / "two.xml", CVAT.format(track("walk", 0, 9) + track("run", 20, 30, gone=40)))
    (video,) = cvat(two, fps=10)
    assert video.spans == (LabelledSpan(0.0, 1.0, "walk"), LabelledSpan(2.0, 4.0, "run"))
    with pytest.raises(ConfigurationError, match="different labels") as refused:
        cvat(two)
    assert "--fps" in str(refused.value)


# -- ActivityNet and AVA ----------------------------------------------------------------------------


def test_activitynet_has_segments_subsets_and_names_with_and_without_their_prefix(tmp_path: Path) -> None:
    file = written(
        tmp_path / "activity_net.json",
        {
            "version": "1.3", "taxonomy": [],
            "database": {
                "abc": {
                    "subset": "training", "duration": 9.0,
                    "annotations": [
                        {"segment": [1.0, 3.5], "label": "Surfing"}, {"segment": [4, 4], "label": "x"},
                    ],
                },
                "def": {"subset": "testing", "duration": 5.0, "annotations": []},
            },
        },
    )  # fmt: skip
    assert activitynet(file, ["clips/v_abc.mkv", "def.mp4"]) == [
        ListedVideo("v_abc.mp4", splits={"split": "train"}, spans=(LabelledSpan(1.0, 3.5, "Surfing"),)),
        ListedVideo("def.mp4", splits={"split": "test"}),
    ]


def test_a_second_of_ava_in_which_all_do_the_same_is_a_span(tmp_path: Path) -> None:
    train = written(
        tmp_path / "train.csv",
        "vid,0902,0.1,0.1,0.5,0.5,12,0\nvid,0902,0.6,0.1,0.9,0.5,12,1\n"
        "vid,0903,0.1,0.1,0.5,0.5,12,0\nvid,0903,0.1,0.1,0.5,0.5,17,0\nvid,0904,,,,,,\n",
    )
    val = written(tmp_path / "val.csv", "other,0900,0.1,0.1,0.5,0.5,17,0\n")
    labels = written(
        tmp_path / "l.pbtxt", 'item {\n  name: "stand"\n  id: 12\n}\nitem {\n  name: "write"\n  id: 17\n}\n'
    )
    assert ava(train, val, labels) == [
        ListedVideo("vid.mp4", splits={"split": "train"}, spans=(LabelledSpan(901.5, 902.5, "stand"),)),
        ListedVideo("other.mp4", splits={"split": "val"}, spans=(LabelledSpan(899.5, 900.5, "write"),)),
    ]
    mixed = ava(train, val, labels)[0].mixed
    assert mixed == (LabelledSpan(902.5, 903.5, "stand"), LabelledSpan(902.5, 903.5, "write"))


# -- other files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "name", "text", "says"),
    [
        (label_studio, "e.json", "{}", "a list of tasks"),
        (label_studio, "e.json", "[1]", "a list of tasks"),
        (label_studio, "e.json", "[", "Label Studio"),
        (label_studio, "e.json", '[{"id": 3, "data": {"text": "hello"}, "annotations": []}]', "task 3"),
        (label_studio, "e.json", '[{"data": {"video": "a.mp4"}, "annotations": 3}]', "TypeError"),
        (via, "v.json", '{"attribute": {"1": {}}, "file": {"1": null}, "metadata": {}}', "AttributeError"),
        (cvat, "c.xml", CVAT.format('<track label="x"><box frame="one"/></track>'), "'one'"),
        (activitynet, "a.json", '{"database": {"v": 3}}', "video v"),
        (label_studio, "e.csv", "id,video\n1,a.mp4\n", "a column choice"),
        (via, "v.json", '{"_via_settings": {}, "_via_img_metadata": {}}', "VIA 3"),
        (via, "v.csv", "# CSV_HEADER = metadata_id,file_list", "VIA 3"),
        (cvat, "c.xml", "<annotations><meta/></annotations>", "0 names of videos"),
        (cvat, "c.xml", "<annotations>", "CVAT for video"),
        (cvat, "c.xml", "<!DOCTYPE a><annotations/>", "a document type"),
        (activitynet, "a.json", "[]", "database"),
        (activitynet, "a.json", '{"database": {"v": {"subset": "holdout"}}}', "'holdout'"),
        (activitynet, "a.json", '{"database": {"v": {"annotations": [{"label": "x"}]}}}', "video v"),
        (lambda f: ava(f, f), "a.csv", "vid,0902,0.1\n", "line 1"),
        (label_studio, "gone.json", None, "gone.json"),
    ],
)
def test_another_file_is_refused_with_what_was_expected(
    read: Any, name: str, text: str | None, says: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=says):
        read(file)
