"""What people see: one JSON object, tables that print text as it is, errors in one line."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidpipe.cli.display import (
    TerminalProgress,
    print_csv,
    print_decision,
    print_error,
    print_explanation,
    print_facts,
    print_json,
    print_records,
    print_table,
    print_training,
)
from vidpipe.errors import NotFound
from vidpipe.report.evidence import decision_markdown

Captured = pytest.CaptureFixture[str]


def said(capsys: Captured) -> str:
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_json_takes_what_the_databases_and_numpy_give(capsys: Captured) -> None:
    print_json(
        {
            "at": datetime(2026, 11, 3, 4, 5, 6),
            "zoned": datetime(2026, 11, 3, tzinfo=UTC),
            "day": date(2026, 11, 3),
            "nothing": None,
            "score": np.float32(0.5),
            "count": np.int64(7),
            "flag": np.bool_(True),
            "file": Path("/a/b.mp4"),
            "rows": [(1, "x", None, datetime(2026, 1, 1))],
            "money": Decimal("1.50"),
        }
    )
    assert json.loads(said(capsys)) == {
        "at": "2026-11-03T04:05:06",
        "zoned": "2026-11-03T00:00:00+00:00",
        "day": "2026-11-03",
        "nothing": None,
        "score": 0.5,
        "count": 7,
        "flag": True,
        "file": "/a/b.mp4",
        "rows": [[1, "x", None, "2026-01-01T00:00:00"]],
        "money": "1.50",
    }


def test_json_is_one_line_and_keeps_letters(capsys: Captured) -> None:
    print_json({"path": "vidéo 視頻\n.mp4"})
    text = said(capsys)
    assert text.count("\n") == 1
    assert "vidéo 視頻" in text


@pytest.mark.parametrize(
    "text",
    ["[red]x[/red]", "[/]", "[bold", "a[0].mp4", ":smile:", "x:b:y.mp4", r"C:\[dim]\a", "[link=x]y[/link]"],
)
def test_a_table_prints_text_that_looks_like_markup_as_it_is(text: str, capsys: Captured) -> None:
    print_table([text, "n"], [[text, 1]])
    lines = said(capsys).splitlines()
    assert sum(text in line for line in lines) == 2, "once as a column's name, once as a value"


def test_a_table_has_a_line_for_each_row_with_columns_aligned(capsys: Captured) -> None:
    print_table(["label", "n"], [["dog", 7], ["zebra", 1234]])
    lines = [line.rstrip() for line in said(capsys).splitlines() if line.strip()]
    header, dog, zebra = (next(li for li in lines if word in li) for word in ("label", "dog", "zebra"))
    assert header.index("label") == dog.index("dog") == zebra.index("zebra")
    assert dog.endswith("7")
    assert len(dog) == len(zebra) == len(header), "numbers stand to the right"


def test_a_table_in_a_pipe_does_not_wrap_long_values(capsys: Captured) -> None:
    long = "x" * 300
    print_table(["path", "n"], [[long, 1]])
    assert any(long in line for line in said(capsys).splitlines())


def test_a_table_shows_nothing_for_null_and_short_numbers(capsys: Captured) -> None:
    print_table(["a", "b", "c"], [[None, 0.123456, datetime(2026, 11, 3, 4, 5, 6, 789)]])
    text = said(capsys)
    assert "None" not in text
    assert "0.1235" in text
    assert "2026-11-03 04:05:06" in text
    assert "000789" not in text


def test_a_table_without_rows_still_names_its_columns(capsys: Captured) -> None:
    print_table(["label", "score"], [])
    assert {"label", "score"} <= set(said(capsys).split())


def test_a_statement_without_columns_says_so(capsys: Captured) -> None:
    print_table([], [])
    assert said(capsys).strip() == "(no columns)"


def test_records_are_a_table_of_their_keys(capsys: Captured) -> None:
    print_records([{"label": "dog", "n": 1}, {"label": "cat", "n": 2}])
    assert {"label", "n", "dog", "cat", "1", "2"} <= set(said(capsys).split())
    print_records([])
    assert said(capsys) == "(none)\n"


def test_facts_are_aligned_lines_under_a_title(capsys: Captured) -> None:
    print_facts("extract", {"videos": 3, "seconds": 1.23456, "reasons": ["a", "b"], "of": None})
    assert said(capsys).splitlines() == [
        "extract",
        "  videos   3",
        "  seconds  1.235",
        "  reasons  a; b",
        "  of       ",
    ]


def test_parts_of_a_feature_set_are_a_fact_like_others(capsys: Captured) -> None:
    print_facts("forget", {"parts": 1, "pages": 0})
    assert said(capsys).splitlines() == ["forget", "  parts  1", "  pages  0"]


def test_nested_facts_and_scores_by_label_are_shown_with_their_names(capsys: Captured) -> None:
    by_label = {"dog": {"f1": 0.5, "support": 2}, "cat": {"f1": 0.75, "support": 9}}
    print_facts("evaluate", {"n": 11, "baseline": {"accuracy": 0.625}, "per_label": by_label})
    words = [line.split() for line in said(capsys).splitlines()]
    assert ["baseline.accuracy", "0.625"] in words
    for expected in (["label", "f1", "support"], ["dog", "0.5", "2"], ["cat", "0.75", "9"]):
        assert expected in words


OWN = {"accuracy": 0.9375, "macro_f1": 0.93}
BASELINES = {"mean_linear": {"accuracy": 0.8, "macro_f1": 0.7}}
PARTS = {
    "mean_linear": {"accuracy": 0.8, "macro_f1": 0.7, "weight": 0.0},
    "trend_linear": {"accuracy": 0.91234, "macro_f1": 0.9, "weight": 0.5},
    "lstm": {"accuracy": 0.5, "macro_f1": 0.4, "weight": 0.0},
}
TABLE = [
    ["accuracy", "macro", "F1", "weight"],
    ["registered", "0.938", "0.93"],
    ["part", "trend_linear", "0.912", "0.9", "0.5"],
    ["part", "lstm", "0.5", "0.4", "0"],
    ["baseline", "mean_linear", "0.8", "0.7"],
]


def test_an_evaluation_shows_parts_beside_baselines_and_its_intervals_in_words(capsys: Captured) -> None:
    print_facts("evaluate", {
        "n": 48, **OWN, "accuracy_interval": (0.8936, 0.98),
        "gain": {"value": 0.1, "low": -0.05, "high": 0.2},
        "baseline": {"accuracy": 0.8}, "baselines": BASELINES, "parts": PARTS,
    })  # fmt: skip
    text = said(capsys)
    words = [line.split() for line in text.splitlines()]
    assert ["accuracy_interval", "0.8936", "to", "0.98"] in words
    assert ["gain", "0.1", "(-0.05", "to", "0.2)"] in words
    first = words.index(TABLE[0])
    assert words[first + 2 : first + 6] == TABLE[1:]
    assert "baseline.accuracy" not in text, "said once, in the table"


def test_a_training_ends_with_its_advice(capsys: Captured) -> None:
    own = {f"test_{name}": value for name, value in OWN.items()}
    print_training({
        "version": 3, "advice": "order matters.", "metrics": {
            **own, "baseline_test_accuracy": 0.8, "order_gain": (0.1, 0.02), "parts": PARTS,
            "baselines": BASELINES,
        },
    })  # fmt: skip
    text = said(capsys)
    words = [line.split() for line in text.splitlines()]
    assert words[0] == ["train"] and words[-1] == ["Advice:", "order", "matters."]
    assert ["test_accuracy", "0.9375"] in words and ["order_gain", "0.1", "±", "0.02"] in words
    assert all(row in words for row in TABLE) and "baseline_test" not in text


def test_csv_quotes_what_needs_quotes(capsys: Captured) -> None:
    rows: list[list[Any]] = [["a,b", 'say "x"', 1], ["two\nlines", "", None]]
    print_csv(["p", "q", "n"], rows)
    read = list(csv.reader(io.StringIO(said(capsys))))
    assert read == [["p", "q", "n"], ["a,b", 'say "x"', "1"], ["two\nlines", "", ""]]


def test_an_error_as_json_is_one_object_on_stdout(capsys: Captured) -> None:
    print_error(NotFound("no collection 'x'.", next_step="vidpipe collections"), as_json=True)
    assert json.loads(said(capsys)) == {
        "error": {"class": "NotFound", "message": "no collection 'x'.", "next": "vidpipe collections"}
    }


def test_an_error_for_people_is_one_line_on_stderr(capsys: Captured) -> None:
    print_error(NotFound("no collection 'x'.", next_step="vidpipe collections"), as_json=False)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "vidpipe: no collection 'x'. Next: vidpipe collections\n"


@pytest.mark.parametrize(("every_s", "lines"), [(60.0, 0), (0.0, 3)])
def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(
    every_s: float, lines: int, caplog: pytest.LogCaptureFixture, capsys: Captured
) -> None:
    progress = TerminalProgress(every_s)
    progress.in_progress(1, 1)  # no stage is open
    with caplog.at_level("INFO", "vidpipe"), progress.stage("extract", 10, "frames") as advance:
        progress.in_progress(1, 1)
        progress.in_progress(1, 1)
        advance(5, 4)
    assert capsys.readouterr().out == ""
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"extract: {s}" for s in ("10 %, 1 frames", "20 %, 2 frames", "50 %, 4 frames")][:lines]


SCORES = {"n": 20, "accuracy": 0.9, "macro_f1": 0.8, "per_label": {
    "cat|dog": {"precision": 1.0, "recall": 0.75, "f1": 0.8, "support": 20},
    "never seen": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0},
}}  # fmt: skip
GAINED = {"value": 0.1, "low": -0.01, "high": 0.2}
DECISION = {
    "model": "clips", "version": 2, "decision": "refused", "reasons": ["too [small]"], "warnings": ["unsure"],
    "evidence": {
        "challenger": SCORES, "champion": SCORES, "baseline": SCORES, "p_chance": 0.001,
        "calibration_error": {"challenger": 0.1, "champion": 0.2, "baseline": 0.3},
        "difference": {"accuracy": GAINED, "macro_f1": GAINED, "groups": 20},
        "mcnemar": {"only_challenger": 3, "only_champion": 1, "p": 0.625},
        "eval_set": {"eval_set_hash": "abc", "videos": 20, "frozen": True},
    },
}  # fmt: skip


def test_a_decision_shows_reasons_and_both_versions_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    print_decision(DECISION)
    shown = capsys.readouterr().out
    assert shown.startswith("clips version 2: refused\n  reason: too [small]\n  warning: unsure\n")
    for said in ("on 20 videos, frozen set abc", "+0.100 [-0.010, +0.200]", "3 won, 1 lost, p = 0.62"):
        assert said in shown
    assert "recall of cat|dog" in shown and "never seen" not in shown


def test_a_decision_in_markdown_is_a_list_and_a_table_whose_cells_stay_cells() -> None:
    lines = decision_markdown(DECISION).splitlines()
    assert lines[0] == "# clips version 2: refused"
    assert "- **reason**: too [small]" in lines
    table = [line for line in lines if line.startswith("|")]
    assert table[0] == "| on 20 videos, frozen set abc | challenger | champion | baseline |"
    assert {line.replace("\\|", "").count("|") for line in table} == {5}


def test_a_roll_back_has_no_numbers_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    facts = {
        "model": "clips",
        "version": 1,
        "decision": "rolled_back",
        "reasons": [],
        "warnings": [],
        "evidence": {},
    }
    print_decision(facts)
    assert capsys.readouterr().out == "clips version 1: rolled_back\n"
    assert decision_markdown(facts) == "# clips version 1: rolled_back\n\n"


EXPLAINED = {
    "model": "clips", "version": 3, "video_id": "ab" * 32, "label": "dog", "score": 0.75,
    "top": {"dog": 0.75, "cat": 0.2, "été": 0.05}, "head": "attention", "note": None,
    "frames": [{"time_s": k / 4, "weight": 0.02 * (k % 4 + 1)} for k in range(20)],
    "without": [
        {"start_s": k / 2, "end_s": k / 2 + 0.25, "score": score}
        for k, score in enumerate([0.75, 0.9, 0.5, 0.25])
    ],
}  # fmt: skip
CUT = "  cut    a stretch left out, and the label's score then; bars show what it loses"


def test_an_explanation_shows_the_label_and_the_heaviest_frames_in_order_of_time(capsys: Captured) -> None:
    print_explanation(EXPLAINED)
    head, video, following, cut, *stretches = said(capsys).splitlines()
    stretches, (looks, *frames) = stretches[:4], stretches[4:]
    assert head == "clips version 3: dog 0.750"
    assert video.split() == ["video", "ab" * 32]
    assert following.split(maxsplit=1) == ["next", "cat 0.200, été 0.050"]
    assert cut == CUT
    assert [line.split()[-1].strip("█") or line.split()[-2] for line in stretches] == [
        "0.750", "0.900", "0.500", "0.250",
    ]  # fmt: skip
    assert [line.count("█") for line in stretches] == [0, 0, 15, 30], "log odds of 1.1, 0 and -1.1"
    assert looks == "  LSTM   looks at 10 of 20 frames most; an even share is 0.050"
    times = [float(line.split()[0]) for line in frames]
    assert len(frames) == 10 and times == sorted(times)
    assert {line.split()[2] for line in frames} == {"0.080", "0.060"}, "the lighter half is left out"
    assert {len(line.split()[3]) for line in frames} == {30, 22}, "bars are as long as the weights are large"


def test_a_label_that_hangs_on_no_stretch_has_no_long_bar(capsys: Captured) -> None:
    without = [{"start_s": 0.0, "end_s": 1.0, "score": score} for score in (0.74, 0.75)]
    print_explanation({**EXPLAINED, "without": without})
    assert [line.count("█") for line in said(capsys).splitlines()[4:6]] == [3, 0]


def test_weights_that_say_nothing_are_not_drawn(capsys: Captured) -> None:
    print_explanation({**EXPLAINED, "head": "last", "note": "it does not weigh frames."})
    lines = said(capsys).splitlines()
    assert lines[-1] == "  note   it does not weigh frames."
    assert not any("LSTM" in line for line in lines)
    print_explanation({**EXPLAINED, "without": []})
    assert CUT not in said(capsys), "one frame, or one window"
