"""A bit that a disk flipped is an error, not a feature; it costs its own video, which is read again."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import concrete, warehouse_rows
from stored import clouds, content_id, put_collection

from vidpipe.adapters.features.store import FeatureStore
from vidpipe.errors import DamagedFeatures
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.records.features import StoredFeatures, VideoFeatures
from vidpipe.steps.classify import classify
from vidpipe.steps.forget import forget
from vidpipe.steps.mean_features import mean_features
from vidpipe.steps.train import train
from vidpipe.steps.vectors import make_vectors

PATHS = [f"{n:02d}.mp4" for n in range(48)]
LABELS = {path: ("cat", "dog")[n % 2] for n, path in enumerate(PATHS)}


@pytest.fixture
def yard(ports: Ports) -> Ports:
    put_collection(ports, "yard", clouds(LABELS, ports.limits.spec.feature_size), LABELS)
    return ports


def stored(ports: Ports, paths: Sequence[str]) -> list[StoredFeatures]:
    ids = map(content_id, paths)
    return ports.ledger.features.stored_features(ports.limits.spec.feature_set_id, ids)


def part_of(ports: Ports, path: str) -> Path:
    (found,) = stored(ports, [path])
    store: FeatureStore = concrete(ports.store, FeatureStore)
    return store.folder(ports.limits.spec.feature_set_id) / found.part


def flip(file: Path, at: int) -> None:
    held = bytearray(file.read_bytes())
    held[at] ^= 0x10
    file.write_bytes(held)


def damage(ports: Ports, path: str) -> None:
    """Flip a bit in the middle of a video's features."""
    file, (of_video,) = part_of(ports, path), stored(ports, [path])
    values = next(ports.store.read(ports.limits.spec.feature_set_id, [of_video])).values
    flip(file, file.read_bytes().index(values[1].astype(np.float16).tobytes()) + 100)


def read(ports: Ports, wanted: Sequence[StoredFeatures]) -> tuple[list[VideoFeatures], set[str]]:
    """What is read, and the videos that are not."""
    found = []
    try:
        for video in ports.store.read(ports.limits.spec.feature_set_id, wanted):
            found.append(video)
    except DamagedFeatures as error:
        return found, set(error.video_ids)
    return found, set()


def test_no_flipped_bit_anywhere_gives_another_feature(yard: Ports) -> None:
    wanted, file = stored(yard, PATHS), part_of(yard, PATHS[0])
    whole = file.read_bytes()
    right = {v.video_id: v for v in read(yard, wanted)[0]}
    draw = np.random.default_rng(0)
    lost = 0
    for at in [*draw.integers(0, len(whole), 60), *draw.integers(len(whole) - 3000, len(whole), 60)]:
        flip(file, int(at))
        found, unread = read(yard, wanted)
        for video in found:
            assert np.array_equal(video.values, right[video.video_id].values), at
            assert np.array_equal(video.times_s, right[video.video_id].times_s), at
        assert unread == right.keys() - {v.video_id for v in found}
        lost += bool(unread)
        file.write_bytes(whole)
    assert lost > 60


def test_a_damaged_video_costs_the_others_of_its_part_nothing(yard: Ports) -> None:
    damage(yard, "07.mp4")
    found, unread = read(yard, stored(yard, PATHS))
    assert unread == {content_id("07.mp4")} and len(found) == 47
    with pytest.raises(DamagedFeatures, match="07") as raised:
        dict(mean_features(yard.store, yard.limits.spec.feature_set_id, stored(yard, ["07.mp4"])))
    assert raised.value.damaged_ids == (content_id("07.mp4"),)
    again = pickle.loads(pickle.dumps(raised.value))
    assert (again.video_ids, again.next_step) == (raised.value.video_ids, raised.value.next_step)


def test_the_night_scores_the_others_and_reads_the_damaged_video_again(yard: Ports) -> None:
    version = train(yard, "yard", config=TrainingConfig(epochs=1)).version
    inbox = dict.fromkeys(("a.mp4", "b.mp4", "c.mp4"), "cat")
    put_collection(yard, "inbox", clouds(inbox, yard.limits.spec.feature_size))
    damage(yard, "b.mp4")
    scored = classify(yard, "inbox", model=str(version))
    assert scored.classified == 2
    (problem,) = scored.problems
    assert "features of 1 videos could not be read; 1 are damaged" in problem
    pending = yard.ledger.features.pending_videos(yard.limits.spec.feature_set_id, None, retry_failed=False)
    assert [video.video_id for video in pending] == [content_id("b.mp4")], (
        "the next extraction reads it again"
    )
    assert classify(yard, "inbox", model=str(version)).problems == []


def test_a_missing_part_stays_on_record(yard: Ports) -> None:
    version = train(yard, "yard", config=TrainingConfig(epochs=1)).version
    put_collection(yard, "inbox", clouds({"a.mp4": "cat"}, yard.limits.spec.feature_size))
    file = part_of(yard, "a.mp4")
    file.rename(file.with_suffix(".away"))
    scored = classify(yard, model=str(version))
    assert scored.classified == 48 and "1 videos could not be read; 0 are damaged" in scored.problems[0]
    file.with_suffix(".away").rename(file)
    assert classify(yard, model=str(version)).classified == 1


def test_a_damaged_neighbour_does_not_keep_a_video_from_being_erased(yard: Ports) -> None:
    damage(yard, "07.mp4")
    file = part_of(yard, "07.mp4")
    forget(yard, content_id("03.mp4"))
    assert not file.exists()
    assert len(read(yard, stored(yard, PATHS))[0]) == 46


def test_vectors_are_made_of_the_others(yard: Ports) -> None:
    damage(yard, "07.mp4")
    assert make_vectors(yard, [yard.limits.spec]) == 47
    assert not stored(yard, ["07.mp4"])
    assert warehouse_rows(yard, "select count(*) from collection_videos where collection = 'yard'") == [(48,)]
