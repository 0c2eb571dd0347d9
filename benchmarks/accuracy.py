"""What the classifier is worth: what `vidpipe train` registers beside its parts, baselines and predecessors.

    python -m benchmarks.accuracy [--panel] [--source DIR] [--manifest FILE] [--split-column COL]
                                  [--sets NAME,…] [--tasks NAME,…] [--seeds 3] [--home DIR]
                                  [--ablation] [--choices] [--json]

Real labelled clips through `ingest` and `extract`, then trainings on the stored features, with the code that
`vidpipe train` runs. Without `--panel`, the tasks of tasks.py on one collection (default: the shared UCF101
subset). With it, first the shared sets of other people's videos, each by group K-fold and by its own split.
Columns: panel.py. `--home DIR` keeps features and results: the next time only what is missing is made.

`--choices` undoes one choice of the linear heads and the weights at a time (choices.py), on the trials whose
networks are in `--home`. `--ablation` takes the LSTM apart: one choice after the other is undone, on tasks
`5`, `uneven`, `movement`.
Every figure is a test accuracy: its mean over the seeds, which draw the videos and the weights.

Cheap: `--panel --sets car_crash --tasks "" --seeds 1`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import choices
from benchmarks.panel import DEFAULT, Records, lines, row, summary
from benchmarks.tasks import (
    Clips,
    Task,
    Trial,
    few,
    group_folds,
    make_arrows,
    make_movements,
    order,
    uneven,
    whole_split,
)
from vidpipe.cli.display import TerminalProgress
from vidpipe.learning.cross_fitting import subset
from vidpipe.learning.inference import predict
from vidpipe.learning.training import LSTMTrainer, TrainingConfig
from vidpipe.ports import Ports
from vidpipe.settings import load_settings
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.wiring import open_home, open_ports

TASKS = ("split", "10", "5", "uneven", "order", "arrow", "movement")
DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
SHARED = DATA / "ucf101"
SETS = ("ut_interaction", "car_crash", "drone_ir")
ONCE = ("split", "arrow")
"""Tasks that no seed draws, and large ones: trained with one seed."""
ABLATED = ("5", "uneven", "movement")
ABLATION: dict[str, TrainingConfig] = {
    "as it is": DEFAULT,
    "the textbook's": DEFAULT.plain(),
    "one projection for all features": DEFAULT,  # see `ablation`: without blocks
    "no projection": replace(DEFAULT, projection=0),
    "no shortcut": replace(DEFAULT, shortcut=False),
    "one direction": replace(DEFAULT, bidirectional=False),
    "last state": replace(DEFAULT, head="last"),
    "mean of states": replace(DEFAULT, head="mean"),
    "maximum of states": replace(DEFAULT, head="max"),
    "no crops": replace(DEFAULT, crop_share=1.0),
    "crops of half": replace(DEFAULT, crop_share=0.5),
    "no label smoothing": replace(DEFAULT, label_smoothing=0.0),
    "no dropout": replace(DEFAULT, dropout=0.0, input_dropout=0.0),
    "dropout of kinds, 0.3": replace(DEFAULT, kind_dropout=0.3),
    "all videos count the same": replace(DEFAULT, balance=0.0),
    "all labels count the same": replace(DEFAULT, balance=1.0),
    "no weight decay": replace(DEFAULT, weight_decay=0.0),
    "two layers": replace(DEFAULT, num_layers=2),
    "256 units": replace(DEFAULT, hidden_size=256),
}


# -- collections ----------------------------------------------------------------------------------


def ready(
    ports: Ports, collection: str, source: Path, manifest: Path, column: str | None, *, made: bool = False
) -> Clips:
    """Ingest and extract what is not there yet."""
    ingest(ports, collection, source, manifest=manifest, replace_source=made)
    extract(ports, collection)
    return Clips(ports, collection, column)


def made(ports: Ports, name: str, clips: Clips, source: Path, folder: Path) -> Clips:
    """The clips of a task whose videos are made."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    make = make_movements if name == "movement" else make_arrows
    manifest = folder / name / "made.csv"
    if not manifest.exists():
        make(clips, source, folder / name)
    return ready(ports, name, folder / name, manifest, "split", made=True)


def tasks_of(ports: Ports, given: argparse.Namespace, folder: Path, names: Sequence[str]) -> dict[str, Task]:
    """Tasks by name, their videos made and extracted."""
    if not names:
        return {}
    clips = ready(ports, "clips", given.source, given.manifest, given.split_column)
    plain = {
        "split": whole_split(clips), "10": few(clips, 10), "5": few(clips, 5), "uneven": uneven(clips),
        "order": order(clips),
    }  # fmt: skip
    return {
        name: plain.get(name) or whole_split(made(ports, name, clips, given.source, folder)) for name in names
    }


# -- trainings --------------------------------------------------------------------------------------


def panel(tasks: Mapping[str, tuple[Task, int]], records: Records) -> dict[str, Any]:
    """Every column on every task; a task comes with its number of seeds."""
    rows = {}
    for name, (task, seeds) in tasks.items():
        rows[name] = row(list(records.of_task(name, task, seeds)))
        print("\n".join(lines(name, rows[name])), flush=True)
    folds = {name: r for name, r in rows.items() if name.endswith(" folds")}
    print("\n".join(summary(folds)), flush=True)
    return {name: asdict(r) for name, r in rows.items()}


def what_choices_are_worth(tasks: Mapping[str, tuple[Task, int]], records: Records) -> dict[str, Any]:
    """Each choice undone, on the tasks of which there are trained networks."""
    found: dict[str, Any] = {}
    for name, (task, seeds) in tasks.items():
        if trials := list(records.trained(name, task, seeds)):
            found[name] = choices.compared(trials)
            print("\n".join([f"{name}, {len(trials)} trials", *choices.lines(found[name])]), flush=True)
    return found


def ablation(tasks: Mapping[str, Task], seeds: int) -> dict[str, Any]:
    """The LSTM by itself on some tasks, with one choice undone at a time: mean and deviation over seeds."""
    found: dict[str, Any] = {}
    for name, config in ABLATION.items():
        found[name] = {}
        for task in ABLATED:
            one_kind = name.startswith("one projection")
            accuracies = [
                _accuracy(trial, replace(config, seed=seed), () if one_kind else trial.layout.blocks)
                for seed in range(seeds)
                for trial in tasks[task](seed)
            ]
            found[name][task] = float(np.mean(accuracies)), float(np.std(accuracies))
        cells = [f"{task} {mean:.3f} ± {std:.3f}" for task, (mean, std) in found[name].items()]
        print(f"{name:<36}{'   '.join(cells)}", flush=True)
    return found


def _accuracy(trial: Trial, config: TrainingConfig, blocks: Sequence[int]) -> float:
    trainer = LSTMTrainer(subset(trial.data, np.arange(len(trial.data))), None, config, blocks)
    for _ in trainer.epochs():
        pass
    return float((predict(trainer.model, trial.test.features).argmax(1) == trial.test.targets).mean())


def measure(given: argparse.Namespace, home: Path, folder: Path) -> dict[str, Any]:
    """Ingest, extract, train and score."""
    ports = open_ports(open_home(load_settings(home)), TerminalProgress())
    if given.ablation:
        return ablation(tasks_of(ports, given, folder, ABLATED), given.seeds)
    chosen: dict[str, tuple[Task, int]] = {}
    for name in given.sets if given.panel else ():
        clips = ready(ports, name, DATA / "sets" / name, DATA / "sets" / name / "splits.csv", "split")
        chosen[f"{name} official"] = whole_split(clips), 1
        chosen[f"{name} folds"] = group_folds(clips), given.seeds
    for name, task in tasks_of(ports, given, folder, given.tasks).items():
        chosen[name] = task, 1 if name in ONCE else given.seeds
    records = Records(ports.limits.spec.feature_set_id, home)
    return what_choices_are_worth(chosen, records) if given.choices else panel(chosen, records)


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--panel", action="store_true", help="The sets of other people's videos as well.")
    parser.add_argument("--sets", type=_names, default=[*SETS])
    parser.add_argument("--source", type=Path, default=SHARED)
    parser.add_argument("--manifest", type=Path, default=SHARED / "splits.csv")
    parser.add_argument("--split-column", default="split1")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", type=_names, default=[*TASKS])
    parser.add_argument("--home", type=Path, help="Keep features and results there for the next time.")
    parser.add_argument("--choices", action="store_true")
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if not given.manifest.is_file():
        parser.error(f"no {given.manifest}: pass --source DIR and --manifest FILE of labelled clips.")
    with tempfile.TemporaryDirectory(prefix="vidpipe-accuracy-") as folder:
        home = (given.home or Path(folder) / "home").absolute()
        found = measure(given, home, home.parent / f"{home.name}-made")
    if given.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
