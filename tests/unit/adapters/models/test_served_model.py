"""The registered model serves itself: files to labels, in a clean process, with what travels with it."""

from __future__ import annotations

import ast
import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions, requires
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import concrete
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from vidpipe import __version__
from vidpipe.adapters.models.logged_model import SERVED_WITH, requirements
from vidpipe.adapters.models.registry import Registry
from vidpipe.demo.clips import DemoCollection
from vidpipe.errors import ConfigurationError
from vidpipe.learning.training import TrainingConfig
from vidpipe.ports import Ports
from vidpipe.records.models import ModelVersion
from vidpipe.records.videos import LocalFile
from vidpipe.steps.classify import classify
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.steps.train import train
from vidpipe.vision.feature_specs import default_spec

LABELS = 4
D = default_spec(4.0).feature_size
OUTPUT = ["label", "score", "top", "error"]


@dataclass(frozen=True)
class Job:
    """A home in which a small model was trained and has classified every clip."""

    ports: Ports
    version: ModelVersion
    source: Path
    stored: dict[str, tuple[str, float]]
    """Path of each clip to the label and score that `classify` stored."""
    model: Path
    """The registered model's files, copied out of the home."""


def one_of_each(manifest: Path, file: Path) -> Path:
    """A manifest with the first clip of each label and split."""
    rows = pd.read_csv(manifest)
    rows.groupby(["label", "split"]).head(1).to_csv(file, index=False)
    return file


@pytest.fixture(scope="module")
def job(
    make_ports: Callable[[Path], Ports], clips: DemoCollection, tmp_path_factory: pytest.TempPathFactory
) -> Job:
    folder = tmp_path_factory.mktemp("served")
    ports = make_ports(folder / "home")
    ingest(ports, "clips", clips.labelled, manifest=one_of_each(clips.manifest, folder / "twelve.csv"))
    extract(ports)
    report = train(ports, "clips", config=TrainingConfig(epochs=3, hidden_size=16))
    classify(ports, model="challenger")
    with duckdb.connect(str(folder / "home/state/ledger.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "select path, p.label, score from predictions p join collection_videos using (video_id)"
            " where rank = 1"
        ).fetchall()
    found = [f.parent for f in (folder / "home/mlflow/artifacts").rglob("MLmodel")]
    assert len(found) == 1
    model = Path(shutil.copytree(found[0], folder / "elsewhere" / "model"))
    version = ports.registry.version(str(report.version))
    return Job(ports, version, clips.labelled, {path: (label, score) for path, label, score in rows}, model)


@pytest.fixture(scope="module")
def served(job: Job) -> Any:
    """The model, loaded in this process."""
    import mlflow

    before = list(sys.path)
    yield mlflow.pyfunc.load_model(str(job.model))
    sys.path[:] = before


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    file = tmp_path / "bad.mp4"
    file.write_bytes(b"no video" * 1000)
    return file


def ask(served: Any, **columns: Any) -> pd.DataFrame:
    answer = served.predict(pd.DataFrame(columns))
    assert list(answer.columns) == OUTPUT
    return answer


# -- what goes in and out -----------------------------------------------------------------------


def test_a_file_gets_exactly_the_label_and_score_that_classify_stored(job: Job, served: Any) -> None:
    paths = sorted(job.stored)
    assert len(paths) == LABELS * 3

    answer = ask(served, path=[str(job.source / p) for p in paths])

    assert answer.error.isna().all()
    assert answer.label.tolist() == [job.stored[p][0] for p in paths]
    assert answer.score.tolist() == [job.stored[p][1] for p in paths], "to the last bit"
    assert len(set(answer.score)) > 1


def test_a_file_gets_the_same_bits_alone_as_among_others(job: Job, served: Any) -> None:
    paths = [str(job.source / p) for p in sorted(job.stored)[::-1][:5]]

    together = ask(served, path=paths)
    alone = pd.concat([ask(served, path=[p]) for p in paths], ignore_index=True)

    pd.testing.assert_frame_equal(together, alone)


def test_stored_features_get_the_same_answer_as_their_file(job: Job, served: Any) -> None:
    rows = job.ports.ledger.features.pending_videos("no such set", None, retry_failed=False)[:4]
    spec_id = job.version.spec.feature_set_id
    stored = job.ports.ledger.features.stored_features(spec_id, [v.video_id for v in rows])
    values = {f.video_id: f.values for f in job.ports.store.read(spec_id, stored)}

    from_features = ask(served, features=[values[v.video_id].tolist() for v in rows])
    from_files = ask(served, path=[str(concrete(v.file, LocalFile).path) for v in rows])

    pd.testing.assert_frame_equal(from_features, from_files)


def test_top_holds_all_labels_from_best_to_worst(job: Job, served: Any) -> None:
    row = ask(served, path=[str(job.source / next(iter(job.stored)))]).iloc[0]

    top = json.loads(row.top)
    assert sorted(top) == sorted(job.version.labels)
    assert list(top.values()) == sorted(top.values(), reverse=True)
    assert next(iter(top)) == row.label
    assert math.isclose(row.score, top[row.label], abs_tol=1e-6)


def test_a_bad_file_costs_nothing_but_its_own_row(job: Job, served: Any, bad: Path, tmp_path: Path) -> None:
    good, (label, score) = next(iter(job.stored.items()))
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXTINF:1,\n{job.source / good}\n")
    paths = [bad, job.source / good, tmp_path / "gone.mp4", playlist, "new\nline.mp4", ""]

    answer = ask(served, path=[str(p) for p in paths] + [None])

    assert answer.label.tolist() == [None, label, *[None] * 5]
    assert answer.score.tolist() == [None, score, *[None] * 5]
    assert answer.top.isna().tolist() == [True, False, *[True] * 5]
    errors = answer.error.tolist()
    assert errors[1] is None
    assert errors[0].startswith("bad.mp4 cannot be read as video. ")
    assert "Invalid data found" in errors[0], "the decoder's words"
    assert "gone" in errors[2]
    assert errors[3], "a playlist is not followed"
    assert "control character" in errors[4]
    assert errors[5].startswith(" cannot be read as video. ")
    assert errors[6] == "no features, and no path as text."


@pytest.mark.parametrize(
    "features", [[[1.0, 2.0]], [[]], [], [[1.0] * D, [1.0]], [[math.nan] * D], [["one"]]]
)
def test_features_that_cannot_be_scored_say_what_is_expected(features: list[Any], served: Any) -> None:
    good = [[0.5] * D]
    answer = served.unwrap_python_model().predict(None, pd.DataFrame({"features": [features, good]}))

    assert f"(T, {D})" in answer.error[0]
    assert answer.error[1] is None
    assert answer.label.isna().tolist() == [True, False]


def test_what_is_no_text_is_no_path(served: Any) -> None:
    table = pd.DataFrame({"path": [np.array(["a.mp4"]), 3.5]})
    answer = served.unwrap_python_model().predict(None, table)

    assert answer.error.tolist() == ["no features, and no path as text."] * 2


def test_a_table_without_either_column_is_refused_and_told_the_names(served: Any) -> None:
    with pytest.raises(ConfigurationError, match="neither a column path nor") as caught:
        served.unwrap_python_model().predict(None, pd.DataFrame({"video": ["a.mp4"]}))
    assert "`path`" in caught.value.next_step


def test_an_empty_table_gives_an_empty_table(served: Any) -> None:
    assert len(ask(served, path=pd.Series([], dtype=str))) == 0


# -- what travels with the model ----------------------------------------------------------------


def test_the_facts_are_metadata_of_the_model(job: Job) -> None:
    facts = yaml.safe_load((job.model / "MLmodel").read_text())["metadata"]

    assert facts["software"] == f"vidpipe {__version__}"
    assert facts["labels"] == list(job.version.labels)
    assert (facts["collection"], facts["split_column"]) == ("clips", "split")
    assert facts["dataset_hash"] == job.version.dataset_hash
    assert facts["feature_set_id"] == job.version.spec.feature_set_id
    assert facts["feature_spec"] == json.loads(job.version.spec.to_json())
    assert facts["backbone"] == {
        "name": job.version.spec.backbone,
        "weights_sha256": job.version.spec.weights_sha256,
    }
    assert facts["metrics"] == pytest.approx(dict(job.version.metrics), abs=1e-6)
    assert sum(sum(v.values()) for v in facts["videos"].values()) == LABELS * 3
    assert set(facts["per_label"]) == {
        "registered", "lstm", "mean_linear", "mean_std_linear", "mean_std_change_linear",
        "trend_linear",
    }  # fmt: skip
    assert len(facts["digest"]) == 64


def test_the_card_lies_in_the_model_and_describes_the_version(job: Job) -> None:
    card = (job.model / "artifacts" / "MODEL_CARD.md").read_text(encoding="utf-8")

    client = concrete(job.ports.registry, Registry).store.client
    assert client.get_model_version(job.version.model, str(job.version.version)).description == card
    for said in (
        "`clips`",
        "`split`",
        job.version.dataset_hash,
        job.version.spec.feature_set_id,
        "## Limits",
    ):
        assert said in card
    for label in job.version.labels:
        assert re.search(rf"^\| {label} \| \d+ \| \d+ \| \d+ \|", card, re.M), label


def test_the_code_travels_and_nothing_that_only_this_machine_needs(job: Job) -> None:
    files = {f.relative_to(job.model / "code").as_posix() for f in (job.model / "code").rglob("*")}

    assert {"vidpipe/adapters/models/served_model.py", "vidpipe/vision/extraction.py"} <= files
    assert [f for f in files if f.endswith(".pyc") or "__pycache__" in f] == []


def test_the_requirements_are_pinned_and_found_on_an_index(job: Job) -> None:
    lines = (job.model / "requirements.txt").read_text().split()

    assert lines == requirements(default_spec(4.0))
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", line) for line in lines)


def imported(module: str) -> Iterator[str]:
    """Every module that a module names in an import, anywhere in it."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    for node in ast.walk(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=str(name), names=names):
                yield name
                yield from (f"{name}.{n.name}" for n in names if name.startswith("vidpipe"))
            case ast.Call(func=ast.Name("import_module"), args=[ast.Constant(str(name))]):
                yield name


def test_the_requirements_are_exactly_what_the_served_code_imports() -> None:
    seen, waiting = set(), {"vidpipe.adapters.models.served_model"}
    while waiting:
        seen |= waiting
        names = {name for module in waiting for name in imported(module)}
        ours = {n for n in names if n.split(".")[0] == "vidpipe" and _is_module(n)}
        waiting = ours - seen
        seen |= {n.split(".")[0] for n in names}
    third_party = {n for n in seen if "." not in n} - sys.stdlib_module_names - {"vidpipe"}

    third_party -= {"onnxruntime", "openvino", "timm", "torchvision", "huggingface_hub"}  # by the spec
    provided = packages_distributions()
    found = {canonicalize_name(d) for n in third_party for d in provided[n]}
    assert found - {"mlflow-skinny", "mlflow-tracing"} == set(SERVED_WITH)


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


# -- a clean process ----------------------------------------------------------------------------


def closure(lines: list[str]) -> set[str]:
    """Names of the distributions that pip would install for these requirements."""
    seen: set[str] = set()
    waiting = [(Requirement(line), "") for line in lines]
    while waiting:
        requirement, _ = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in seen:
            continue
        seen.add(name)
        try:
            needs = [Requirement(r) for r in requires(name) or []]
        except ModuleNotFoundError:  # for another platform
            continue
        waiting += [(r, "") for r in needs if r.marker is None or r.marker.evaluate({"extra": ""})]
    return seen


CLEAN = """
    import json, sys
    model, allowed, files = sys.argv[1], set(json.loads(sys.argv[2])), json.loads(sys.argv[3])

    class OnlyWhatTravels:
        def find_spec(self, name, path=None, target=None):
            top = name.partition(".")[0]
            if top == "vidpipe":
                from importlib.machinery import PathFinder
                found = PathFinder.find_spec(name, path)
                if found is None or not found.origin.startswith(model):
                    raise ModuleNotFoundError(f"{name} is not the model's own", name=name)
                return found
            known = top in allowed or top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
            if not known:
                raise ModuleNotFoundError(f"{name} is not among the requirements", name=name)

    sys.meta_path.insert(0, OnlyWhatTravels())
    import mlflow, pandas as pd
    answer = mlflow.pyfunc.load_model(model).predict(pd.DataFrame({"path": files}))
    try:
        import prefect
    except ModuleNotFoundError as error:
        print(error)
    print(sys.modules["vidpipe"].__file__)
    print(json.dumps(answer.to_dict(orient="records")))
"""


def test_the_model_serves_files_in_a_process_that_has_only_its_requirements(
    job: Job, bad: Path, tmp_path: Path
) -> None:
    import textwrap

    needed = closure((job.model / "requirements.txt").read_text().split())
    distributions = packages_distributions()
    tops = [top for top, names in distributions.items() if needed & {canonicalize_name(n) for n in names}]
    assert not {"prefect", "duckdb", "typer", "vidpipe"} & set(tops)
    good, (label, score) = next(iter(job.stored.items()))
    files = [str(job.source / good), str(bad)]

    command = [sys.executable, "-I", "-c", textwrap.dedent(CLEAN), str(job.model), json.dumps(tops)]
    ended = subprocess.run(
        [*command, json.dumps(files)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )

    assert ended.returncode == 0, ended.stderr
    blocked, code, answer = ended.stdout.strip().splitlines()
    assert blocked == "prefect is not among the requirements"
    assert code == str(job.model / "code/vidpipe/__init__.py")
    first, second = json.loads(answer)
    assert (first["label"], np.float32(first["score"]), first["error"]) == (label, np.float32(score), None)
    assert (second["label"], second["score"]) == (None, None)
    assert "Invalid data found" in second["error"]
