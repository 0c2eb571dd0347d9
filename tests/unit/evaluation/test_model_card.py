"""The model card says what a version is made of, in words that are true for it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from vidpipe.evaluation.model_card import TrainingRecord, card, facts, shortened
from vidpipe.metrics import scores
from vidpipe.records.models import CrossValidation, Scores
from vidpipe.vision.feature_specs import default_spec

LABELS = ("cat", "dog | wolf", "été")
SPEC = default_spec(4.0)
SOFTWARE = "vidpipe 1.2.3"


def scored(predicted: list[int]) -> Scores:
    return scores(np.array([0, 0, 1, 2]), np.array(predicted), LABELS)


RECORD = TrainingRecord(
    collection="yard",
    split_column="split1",
    dataset_hash="d" * 16,
    fingerprint="f" * 16,
    videos={"train": {"cat": 70, "dog | wolf": 8, "été": 9}, "val": {"cat": 3}, "test": {"cat": 2}},
    scores=scored([0, 0, 1, 0]),
    baselines={"mean_linear": scored([0, 1, 1, 0]), "mean_std_linear": scored([1, 1, 1, 0])},
    parts={"mean_linear": scored([0, 1, 1, 0]), "lstm": scored([0, 0, 1, 2])},
    weights={"mean_linear": 0.25, "lstm": 0.75},
    cross_validation=CrossValidation(90, 0.8, 0.7, 0.9, 3),
)


@pytest.fixture
def text() -> str:
    return card(LABELS, SPEC, RECORD, SOFTWARE)


def test_the_card_names_data_features_and_software(text: str) -> None:
    for said in (
        "`yard`",
        "`split1`",
        "d" * 16,
        SPEC.feature_set_id,
        SPEC.weights_sha256,
        SPEC.backbone,
        SOFTWARE,
    ):
        assert said in text
    assert "87 train, 3 val, 2 test videos" in text


def test_a_version_without_a_split_column_says_so() -> None:
    assert "cut by group" in card(LABELS, SPEC, replace(RECORD, split_column=None), SOFTWARE)


def test_the_parts_stand_beside_the_registered_model(text: str) -> None:
    assert "| registered model | 0.750 |" in text
    assert "| LSTM | 1.000 | 1.000 | 0.75 |" in text
    assert "| mean + linear (baseline) | 0.500 |" in text
    assert "25.0 points ahead of" in text
    assert "90 training videos" in text
    assert "interval 0.700 to 0.900" in text


@pytest.mark.parametrize(
    ("scores", "verdict"), [(RECORD.baseline, "equal to"), (scored([1, 1, 0, 0]), "50.0 points behind")]
)
def test_a_network_that_is_not_ahead_is_not_called_so(scores: Scores, verdict: str) -> None:
    assert f"accuracy is {verdict} that of the better baseline" in card(
        LABELS, SPEC, replace(RECORD, scores=scores), SOFTWARE
    )


def test_every_label_has_its_row_of_videos_and_scores(text: str) -> None:
    assert "| cat | 70 | 3 | 2 | 0.667 | 1.000 | 0.800 | 0.500 |" in text
    assert "| dog \\| wolf | 8 | 0 | 0 | 1.000 |" in text
    assert "| été | 9 | 0 | 0 | 0.000 | 0.000 | 0.000 | 0.000 |" in text


def test_the_limits_name_what_was_not_tried_and_the_labels_with_few_videos(text: str) -> None:
    limits = text.partition("## Limits")[2].partition("## ")[0]
    for said in (
        "Not tried",
        "Label shift",
        "calibrated on held-out training videos",
        "one test video is 25.0 points",
    ):
        assert said in limits
    assert "fewer than 30 test videos: cat, dog \\| wolf, été" in limits
    many = replace(RECORD, videos={**RECORD.videos, "test": dict.fromkeys(LABELS, 30)})
    assert "fewer than" not in card(LABELS, SPEC, many, SOFTWARE)


def test_a_short_card_stays_whole_and_a_long_one_ends_with_where_the_rest_is(text: str) -> None:
    assert shortened(text, 5000) == text
    for limit in (len(text) - 1, 2000, 1000):
        cut = shortened(text, limit)
        kept, _, note = cut.rstrip("\n").rpartition("\n\n")
        assert len(cut) <= limit
        assert text.startswith(kept + "\n"), "whole lines"
        assert "MODEL_CARD.md" in note


def test_the_facts_are_plain_values_and_say_what_the_card_says() -> None:
    found = facts(LABELS, SPEC, RECORD, SOFTWARE)

    assert yaml.safe_load(yaml.safe_dump(found)) == json.loads(json.dumps(found)) == found
    assert found["videos"] == RECORD.videos
    assert found["metrics"] == RECORD.metrics()
    assert found["per_label"]["mean_linear"]["cat"]["recall"] == 0.5
    assert found["backbone"] == {"name": SPEC.backbone, "weights_sha256": SPEC.weights_sha256}


def test_the_metrics_count_videos_and_carry_both_scores() -> None:
    assert RECORD.metrics() == {
        "train_videos": 87.0,
        "test_videos": 2.0,
        "test_accuracy": 0.75,
        "test_macro_f1": RECORD.scores.macro_f1,
        "test_calibration_error": 0.0,
        "baseline_test_accuracy": 0.5,
        "baseline_test_macro_f1": RECORD.baseline.macro_f1,
        "cv_accuracy": 0.8,
    }
