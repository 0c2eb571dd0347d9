"""Value objects: stable names for feature sets, shapes checked when made, no data in `repr`."""

import json
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidpipe.errors import ConfigurationError
from vidpipe.records.features import (
    ExtractedVideo,
    FeatureSpec,
    FrameTransform,
    PartResult,
    StoredFeatures,
    VideoFeatures,
)
from vidpipe.records.models import Sequences
from vidpipe.records.videos import canonical_json

deterministic = settings(derandomize=True, deadline=None, max_examples=60)

SPEC = FeatureSpec(
    sample_fps=4.0,
    backbone="efficientnet_lite0",
    weights_sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    transform=FrameTransform(size_px=224, crop_share=0.875, interpolation="bicubic"),
    pooling="average",
    feature_size=1280,
)

OTHERS: dict[str, Any] = {
    "sample_fps": 5.0,
    "backbone": "efficientnet_lite1",
    "weights_sha256": "0" * 64,
    "pooling": "grid",
    "feature_size": 1281,
}

specs = st.builds(
    FeatureSpec,
    sample_fps=st.floats(0.001, 1000),
    backbone=st.text(),
    weights_sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    transform=st.builds(
        FrameTransform,
        size_px=st.integers(1, 4096),
        crop_share=st.floats(0.01, 1),
        interpolation=st.sampled_from(["bicubic", "bilinear", "area"]),
    ),
    pooling=st.text(),
    feature_size=st.integers(1, 1 << 16),
)


def test_the_feature_set_id_of_a_known_spec_never_changes() -> None:
    # Stored features are found by this name: a change here orphans every part in every home.
    assert SPEC.feature_set_id == "f01aec3dea63c3f1"


@pytest.mark.parametrize("name", OTHERS)
def test_every_field_of_a_spec_has_a_part_in_its_id(name: str) -> None:
    assert replace(SPEC, **{name: OTHERS[name]}).feature_set_id != SPEC.feature_set_id


@pytest.mark.parametrize("change", [{"size_px": 192}, {"crop_share": 1.0}, {"interpolation": "area"}])
def test_every_field_of_the_transform_has_a_part_in_the_id(change: dict[str, Any]) -> None:
    other = replace(SPEC, transform=replace(SPEC.transform, **change))
    assert other.feature_set_id != SPEC.feature_set_id


def test_a_whole_number_of_frames_per_second_is_the_same_spec_as_its_float() -> None:
    whole = replace(SPEC, sample_fps=4)
    assert whole == SPEC
    assert whole.feature_set_id == SPEC.feature_set_id


@deterministic
@given(specs)
def test_a_spec_survives_json_with_its_id(spec: FeatureSpec) -> None:
    again = FeatureSpec.from_json(spec.to_json())
    assert again == spec
    assert again.feature_set_id == spec.feature_set_id
    assert again.difference(spec) == ""


def test_a_spec_read_from_json_with_another_order_of_keys_has_the_same_id() -> None:
    raw = json.loads(SPEC.to_json())
    shuffled = json.dumps(dict(reversed(raw.items())), indent=2)
    assert FeatureSpec.from_json(shuffled).feature_set_id == SPEC.feature_set_id


def test_canonical_json_is_one_spelling_in_plain_ascii() -> None:
    assert canonical_json({"b": 1, "a": ["é", None]}) == '{"a":["\\u00e9",null],"b":1}'


def test_difference_names_each_differing_field_with_both_values_and_no_other() -> None:
    other = replace(SPEC, sample_fps=8.0, pooling="grid")
    assert SPEC.difference(other) == "sample_fps: 4.0 against 8.0; pooling: 'average' against 'grid'"
    assert other.difference(SPEC) == "sample_fps: 8.0 against 4.0; pooling: 'grid' against 'average'"


def test_difference_shows_a_differing_transform() -> None:
    other = replace(SPEC, transform=replace(SPEC.transform, size_px=192))
    assert "transform" in SPEC.difference(other)
    assert "224" in SPEC.difference(other)
    assert "192" in SPEC.difference(other)


@pytest.mark.parametrize("fps", [0, -1, 1000.001, float("nan"), float("inf")])
def test_a_sampling_rate_that_cannot_be_is_refused_with_its_value(fps: float) -> None:
    with pytest.raises(ConfigurationError, match=f"sample_fps.*got {fps}") as caught:
        replace(SPEC, sample_fps=fps)
    assert "VIDPIPE_SAMPLE_FPS" in caught.value.next_step


@pytest.mark.parametrize("fps", [0.001, 1000])
def test_the_outermost_sampling_rates_are_allowed(fps: float) -> None:
    assert replace(SPEC, sample_fps=fps).sample_fps == fps


def test_records_cannot_be_changed_afterwards() -> None:
    with pytest.raises(FrozenInstanceError):
        SPEC.sample_fps = 8.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("times", "values"), [((3,), (2, 5)), ((3,), (3,)), ((3, 1), (3, 5)), ((3,), (3, 5, 1)), ((), (3, 5))]
)
def test_features_whose_shapes_disagree_are_refused_with_both_shapes(
    times: tuple[int, ...], values: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        VideoFeatures("ab" * 32, np.zeros(times), np.zeros(values, np.float32))
    assert str(times) in str(caught.value)
    assert str(values) in str(caught.value)
    assert "abababababab" in str(caught.value)


def test_features_show_their_shape_and_never_their_data() -> None:
    features = VideoFeatures("ab" * 32, np.arange(3.0), np.full((3, 5), 0.123, np.float32))
    assert repr(features) == "VideoFeatures(abababababab…, T=3, D=5)"


def test_features_of_no_frame_have_a_shape_too() -> None:
    assert "T=0, D=5" in repr(VideoFeatures("ab" * 32, np.zeros(0), np.zeros((0, 5), np.float32)))


def test_sequences_of_unequal_counts_are_refused_with_the_counts() -> None:
    features = (np.zeros((2, 5), np.float32),) * 3
    with pytest.raises(ValueError, match="2 ids, 3 sequences, 1 targets"):
        Sequences(("a", "b"), features, np.zeros(1, np.int64), ("x", "y"))


def test_sequences_know_their_size_and_hide_their_data() -> None:
    features = (np.zeros((2, 5), np.float32), np.zeros((7, 5), np.float32))
    sequences = Sequences(("a", "b"), features, np.zeros(2, np.int64), ("x", "y", "z"))
    assert len(sequences) == 2
    assert repr(sequences) == "Sequences(N=2, K=3)"


def test_a_part_counts_the_frames_of_its_good_videos_only() -> None:
    good = [ExtractedVideo(v, StoredFeatures(v, "p", 0, n), None, None) for v, n in (("a", 3), ("b", 4))]
    bad = ExtractedVideo("c", None, None, "no_frames", "NoFrames", "no frame decodes")
    assert PartResult(SPEC, "p", "cpu", [*good, bad]).frames == 7
