"""Sets of labels as text: one spelling, and what is none."""

from __future__ import annotations

import pytest

from vidpipe.errors import ConfigurationError
from vidpipe.records.label_sets import names_in, set_of, stored_set


def test_the_same_labels_are_the_same_text() -> None:
    assert stored_set("rain | crowd", "x") == stored_set("crowd|rain", "x") == set_of(["rain", "crowd"])
    assert names_in("crowd|rain") == ("crowd", "rain") and stored_set("crowd", "x") == "crowd"


@pytest.mark.parametrize("text", ["crowd||rain", "|crowd", "crowd|", " | ", "crowd| "])
def test_an_empty_label_between_bars_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"m\.csv line 3: .* an empty label between bars") as caught:
        stored_set(text, "m.csv line 3")
    assert repr(text) in caught.value.message and caught.value.next_step


def test_a_label_twice_in_one_video_is_refused_and_the_next_step_says_what_is_meant() -> None:
    with pytest.raises(ConfigurationError, match="'crowd' twice") as caught:
        stored_set("crowd|rain| crowd", "m.csv line 3")
    assert "'crowd|rain'" in caught.value.next_step
