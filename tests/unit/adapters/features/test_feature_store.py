"""Parquet parts: what goes in comes out, one video at a time, and nothing half-written is ever seen."""

from __future__ import annotations

import errno
import random
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import certain
from hypothesis import given, settings
from hypothesis import strategies as st

from vidpipe.adapters.atomic import replacing
from vidpipe.adapters.features.part_reader import PartReader
from vidpipe.adapters.features.part_writer import TEMP_SUFFIX
from vidpipe.adapters.features.store import FeatureStore
from vidpipe.errors import IncompatibleFeatures
from vidpipe.records.features import StoredFeatures, VideoFeatures
from vidpipe.vision.feature_specs import default_spec

D = 8
SPEC = replace(default_spec(4.0), feature_size=D)
SET = SPEC.feature_set_id
NUMERICS = "cpu-float32/torch-2/ffmpeg-9"


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features")


def features(name: str, T: int, seed: int = 0) -> VideoFeatures:
    rng = np.random.default_rng([seed, *name.encode()])
    values = rng.normal(size=(T, D)).astype(np.float16).astype(np.float32)
    return VideoFeatures(name, np.sort(rng.uniform(0, 60, T)), values)


def write(store: FeatureStore, *videos: VideoFeatures) -> list[StoredFeatures]:
    """One committed part; where each video's rows lie."""
    stored = []
    with store.new_part(SPEC, NUMERICS) as part:
        for video in videos:
            stored.append(StoredFeatures(video.video_id, part.name, part.rows, len(video.values)))
            part.append(video)
        assert part.commit() == part.name
    return stored


def same(a: VideoFeatures, b: VideoFeatures) -> bool:
    return (
        a.video_id == b.video_id
        and np.array_equal(a.times_s, b.times_s)
        and np.array_equal(a.values, b.values)
        and a.values.dtype == b.values.dtype == np.float32
    )


def files(store: FeatureStore) -> list[str]:
    return [p.name for p in store.parts()]


# -- what goes in comes out ---------------------------------------------------------------------


def query(sql: str) -> list[tuple[Any, ...]]:
    return certain(duckdb.sql(sql)).fetchall()


def test_features_come_back_bit_for_bit_in_the_order_of_their_rows(store: FeatureStore) -> None:
    videos = [features("a", 3), features("b", 1), features("c", 40)]
    stored = write(store, *videos)

    found = list(store.read(SET, reversed(stored)))

    assert len(found) == 3
    assert all(same(f, v) for f, v in zip(found, videos, strict=True))


def test_extreme_floats_survive(store: FeatureStore) -> None:
    odd = [0.0, -0.0, np.inf, -np.inf, 6e-8, 65504, np.nan, 1 / 3]
    values = np.array([odd], np.float16).astype(np.float32)
    stored = write(store, VideoFeatures("odd", np.array([1 / 3]), values))

    (found,) = store.read(SET, stored)

    assert found.values.tobytes() == values.tobytes()
    assert found.times_s[0] == 1 / 3


def test_new_parts_take_two_bytes_a_number_and_sql_reads_them(store: FeatureStore) -> None:
    written = features("a", 40)
    (stored,) = write(store, written)

    (file,) = store.parts(SET)
    column = pq.read_metadata(file).row_group(0).column(3)
    assert column.physical_type == "FIXED_LEN_BYTE_ARRAY"
    assert column.total_uncompressed_size < 40 * D * 2 + 200
    found = query(f"select features from '{file}' order by frame_index")
    assert np.array_equal(np.array(found, np.float32)[:, 0], written.values)
    assert query(f"select distinct typeof(features) from '{file}'") == [("FLOAT[]",)]
    assert stored.n_frames == 40


def test_parts_of_float32_are_read_and_copied_without_loss(store: FeatureStore) -> None:
    values = np.random.default_rng(1).normal(size=(5, D)).astype(np.float32)
    with store.new_part(SPEC, NUMERICS, pa.float32()) as part:
        part.append(VideoFeatures("old", np.arange(5.0), values))
        part.append(VideoFeatures("gone", np.arange(5.0), values))
        part.commit()

    (moved,) = store.rewrite(SET, [StoredFeatures("old", part.name, 0, 5)])

    (found,) = store.read(SET, [moved])
    assert found.values.dtype == np.float32 and np.array_equal(found.values, values)


def test_several_parts_are_read_together(store: FeatureStore) -> None:
    a, b, c = features("a", 2), features("b", 3), features("c", 4)
    stored = [*write(store, a, b), *write(store, c)]

    found = {f.video_id: f for f in store.read(SET, [stored[1], stored[2]])}

    assert found.keys() == {"b", "c"}
    assert same(found["b"], b)
    assert same(found["c"], c)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=3), min_size=1, max_size=6), st.randoms())
def test_any_video_in_any_slices_is_found_among_any_neighbours(
    tmp_path_factory: pytest.TempPathFactory, shapes: list[list[int]], rng: random.Random
) -> None:
    store = FeatureStore(tmp_path_factory.mktemp("any"))
    videos = [features(f"v{i}", sum(slices)) for i, slices in enumerate(shapes)]
    stored = []
    with store.new_part(SPEC, NUMERICS) as part:
        for video, slices in zip(videos, shapes, strict=True):
            stored.append(StoredFeatures(video.video_id, part.name, part.rows, len(video.values)))
            first = 0
            for T in slices:
                rows = slice(first, first + T)
                part.append(VideoFeatures(video.video_id, video.times_s[rows], video.values[rows]), first)
                first += T
        part.commit()
    wanted = rng.sample(range(len(videos)), rng.randint(1, len(videos)))

    found = list(store.read(SET, [stored[i] for i in wanted]))

    assert all(same(f, videos[i]) for f, i in zip(found, sorted(wanted), strict=True))


def test_reading_one_video_touches_only_its_row_groups(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = write(store, *(features(f"v{i}", 5) for i in range(20)))
    asked: list[list[int]] = []
    original = pq.ParquetFile.read_row_groups

    def counted(file: Any, groups: list[int], **how: Any) -> Any:
        asked.append(groups)
        return original(file, groups, **how)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counted)

    list(store.read(SET, [stored[7]]))

    assert asked == [[7]]


def test_a_damaged_neighbour_does_not_matter_to_the_video_that_is_read(store: FeatureStore) -> None:
    stored = write(store, features("a", 50), features("b", 50), features("c", 50))
    file = store.folder(SET) / stored[0].part
    group = pq.ParquetFile(file).metadata.row_group(1)
    start = min(group.column(i).data_page_offset for i in range(group.num_columns))
    content = bytearray(file.read_bytes())
    content[start : start + group.total_byte_size // 2] = b"\xff" * (group.total_byte_size // 2)
    file.write_bytes(content)

    found = list(store.read(SET, [stored[0], stored[2]]))

    assert same(found[0], features("a", 50))
    assert same(found[1], features("c", 50))


def test_a_part_says_by_which_spec_and_in_which_numerics_class_it_was_made(store: FeatureStore) -> None:
    (stored,) = write(store, features("a", 2))
    file = store.folder(SET) / stored.part

    part = PartReader(pq.ParquetFile(file), file)
    assert (part.spec, part.numerics) == (SPEC, NUMERICS)


def test_duckdb_reads_a_part_as_people_would(store: FeatureStore) -> None:
    stored = write(store, features("a", 3), features("b", 2))
    file = store.folder(SET) / stored[0].part

    rows = query(
        "select video_id, count(*), min(frame_index), max(frame_index), max(time_s), max(len(features)) "
        f"from read_parquet('{file}') group by all order by all"
    )
    value = query(f"select features[1] from read_parquet('{file}') where video_id = 'b' and frame_index = 1")

    assert rows == [
        ("a", 3, 0, 2, features("a", 3).times_s.max(), D),
        ("b", 2, 0, 1, features("b", 2).times_s.max(), D),
    ]
    assert value == [(float(features("b", 2).values[1, 0]),)]


# -- nothing half-written -----------------------------------------------------------------------


def test_leaving_without_commit_leaves_nothing(store: FeatureStore) -> None:
    with store.new_part(SPEC, NUMERICS) as part:
        part.append(features("a", 3))
        assert files(store) == [f"{part.name}.tmp"]

    assert files(store) == []


def test_an_error_on_the_way_leaves_nothing(store: FeatureStore) -> None:
    with pytest.raises(KeyError), store.new_part(SPEC, NUMERICS) as part:
        part.append(features("a", 3))
        raise KeyError

    assert files(store) == []


def test_a_part_has_its_name_only_once_it_is_complete(store: FeatureStore) -> None:
    with store.new_part(SPEC, NUMERICS) as part:
        part.append(features("a", 3))
        assert not (store.folder(SET) / part.name).exists()
        part.commit()
        assert files(store) == [part.name]

    assert files(store) == [part.name]


def test_a_part_without_rows_is_no_part(store: FeatureStore) -> None:
    with store.new_part(SPEC, NUMERICS) as part:
        assert part.commit() is None

    assert files(store) == []


def test_two_writers_at_once_have_two_names(store: FeatureStore) -> None:
    with store.new_part(SPEC, NUMERICS) as one, store.new_part(SPEC, NUMERICS) as two:
        one.append(features("a", 1))
        two.append(features("b", 1))
        assert one.commit() != two.commit()

    assert len(files(store)) == 2


def test_a_feature_set_lists_only_its_own_parts(store: FeatureStore) -> None:
    (stored,) = write(store, features("a", 1))
    other = replace(SPEC, sample_fps=1.0)
    with store.new_part(other, NUMERICS) as part:
        part.append(features("a", 1))
        part.commit()

    assert [p.name for p in store.parts(SET)] == [stored.part]
    assert [p.name for p in store.parts(other.feature_set_id)] == [part.name]
    assert len(store.parts()) == 2


def test_a_store_that_does_not_exist_yet_has_no_parts(tmp_path: Path) -> None:
    assert FeatureStore(tmp_path / "nowhere").parts() == []


# -- parts that are not what the ledger says ----------------------------------------------------


def test_a_missing_part_is_named(store: FeatureStore) -> None:
    with pytest.raises(IncompatibleFeatures, match=r"part-gone\.parquet") as caught:
        list(store.read(SET, [StoredFeatures("a", "part-gone.parquet", 0, 1)]))

    assert "backup" in caught.value.next_step


@pytest.mark.parametrize("damage", ["cut", "emptied", "overwritten"])
def test_a_corrupt_part_is_refused(damage: str, store: FeatureStore) -> None:
    (stored,) = write(store, features("a", 30))
    file = store.folder(SET) / stored.part
    content = file.read_bytes()
    file.write_bytes({"cut": content[: len(content) // 2], "emptied": b"", "overwritten": b"x" * 999}[damage])

    with pytest.raises(IncompatibleFeatures, match="cannot be read"):
        list(store.read(SET, [stored]))


def test_a_part_whose_rows_are_damaged_is_refused(store: FeatureStore) -> None:
    (stored,) = write(store, features("a", 50))
    file = store.folder(SET) / stored.part
    group = pq.ParquetFile(file).metadata.row_group(0)
    start = group.column(3).data_page_offset
    content = bytearray(file.read_bytes())
    content[start : start + 40] = b"\xff" * 40
    file.write_bytes(content)

    with pytest.raises(IncompatibleFeatures, match="cannot be read"):
        list(store.read(SET, [stored]))


WRONG = [{"video_id": "b"}, {"row_offset": 3}, {"n_frames": 2}, {"n_frames": 5}, {"row_offset": 1},
         {"row_offset": 900}]  # fmt: skip


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_rows_other_than_the_ledgers_are_refused(change: dict[str, Any], store: FeatureStore) -> None:
    stored, _ = write(store, features("a", 3), features("b", 2))

    with pytest.raises(IncompatibleFeatures, match="expected"):
        list(store.read(SET, [replace(stored, **change)]))


# -- a disk that ends ---------------------------------------------------------------------------

FULL_DISK = """
    import resource, signal, sys
    from pathlib import Path
    import numpy as np
    from vidpipe.adapters.features.store import FeatureStore
    from vidpipe.errors import StorageFailed
    from vidpipe.records.features import FeatureSpec, VideoFeatures

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writes then fail with EFBIG, as on a full disk
    limit, videos = int(sys.argv[2]), int(sys.argv[3])
    store, spec = FeatureStore(Path(sys.argv[1])), FeatureSpec.from_json(sys.argv[4])
    values = np.ones((1000, spec.feature_size), np.float32)
    with store.new_part(spec, "test") as part:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            for number in range(videos):
                part.append(VideoFeatures(f"v{number}", np.arange(1000.0), values))
            part.commit()
        except StorageFailed as error:
            print("refused:", error)
        else:
            print("written")
"""


@pytest.mark.parametrize(
    ("limit", "videos", "says"),
    [(1 << 20, 40, "refused:"), (30_000, 1, "refused:"), (1 << 20, 1, "written")],
    ids=["while appending", "while closing", "room enough"],
)
def test_a_disk_that_ends_is_a_clear_error_and_leaves_no_file(
    limit: int, videos: int, says: str, tmp_path: Path
) -> None:
    arguments = [str(tmp_path), str(limit), str(videos), SPEC.to_json()]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(says), done.stdout
    left = [p.name for p in tmp_path.rglob("part-*")]
    if says == "refused:":
        assert left == []
        assert "Next: free space" in done.stdout
    else:
        assert len(left) == 1
        assert not left[0].endswith(TEMP_SUFFIX)


def test_a_disk_that_became_read_only_hides_no_error_behind_that_of_the_cleaning_up(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: Path, **_: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(file))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(ZeroDivisionError), store.new_part(SPEC, NUMERICS):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "page.html"):
        raise ZeroDivisionError
