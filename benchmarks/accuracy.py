"""What the classifier is worth: the LSTM beside the mean + linear baseline.

    python -m benchmarks.accuracy [--source DIR] [--manifest FILE] [--split-column COL] [--seeds 5]
                                  [--tasks NAME,…] [--home DIR] [--ablation] [--json]

Real labelled clips (default: the shared UCF101 subset) through `ingest` and `extract`, then trainings on the
stored features, with the code that `vidpipe train` runs:

    split       the manifest's own train and test split
    5, 10       only 5 or 10 training videos of each label, one of each group; the whole test split
    uneven      60, 30, 15, 8, 5 and 3 training videos of the labels; the whole test split
    order       a video of one label followed by one of another, or the other way round; groups disjoint
    arrow       forwards against backwards
    movement    which of five ways a video's picture is moved: a stand-in for classes that differ in motion
                alone; made here, from the clips, and decoded like any other

`--ablation` takes the classifier apart: one choice after the other is undone, on tasks `5`, `uneven` and
`movement`.
Every figure is a test accuracy: its mean and deviation over the seeds, which draw the videos and the weights.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vidpipe.adapters.media.binaries import find_tools
from vidpipe.cli.display import TerminalProgress
from vidpipe.learning.baseline import BaselineTrainer
from vidpipe.learning.calibration import Trainer
from vidpipe.learning.inference import predict
from vidpipe.learning.training import LSTMTrainer, TrainingConfig
from vidpipe.metrics import calibration_error
from vidpipe.ports import Ports
from vidpipe.records.models import LabelledVideo, Sequences
from vidpipe.records.videos import Floats
from vidpipe.settings import load_settings
from vidpipe.splits import resolve
from vidpipe.steps import scoring
from vidpipe.steps.extract import extract
from vidpipe.steps.ingest import ingest
from vidpipe.vision.backbones import block_sizes
from vidpipe.vision.flow import DIRECTIONS
from vidpipe.wiring import open_home, open_ports

TASKS = ("split", "10", "5", "uneven", "order", "arrow", "movement")
SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "ucf101"
Task = Callable[[int], tuple[Sequences, Sequences, Sequences]]
"""A seed to training, validation and test data."""
DEFAULT = TrainingConfig()
Lesson = Callable[[Sequences, Sequences, int], Trainer]
"""Training data, validation data and a seed to a trainer."""
UNEVEN = (60, 30, 15, 8, 5, 3)
"""Training videos of the labels."""
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
MOVEMENTS = {
    "up and down": "crop=iw*0.75:ih*0.75:iw*0.125:ih*(0.125+0.09*{a}*sin({w}*t+{p}))",
    "to and fro": "crop=iw*0.75:ih*0.75:iw*(0.125+0.09*{a}*sin({w}*t+{p})):ih*0.125",
    "nearer and farther": "zoompan=z='1.25*(1+0.16*{a}*sin({w}*in_time+{p}))':d=1:x='iw/2-iw/zoom/2'"
    ":y='ih/2-ih/zoom/2':s=240x180:fps={fps}",
    "tilting": "rotate='0.16*{a}*sin({w}*t+{p})',crop=iw*0.75:ih*0.75",
    "hopping": "crop=iw*0.75:ih*0.75:iw*0.125:ih*(0.2-0.18*{a}*abs(sin({w}*t+{p})))",
}
"""ffmpeg filters: amplitude a, angular speed w and phase p are drawn for each video."""


# -- data -----------------------------------------------------------------------------------------


class Clips:
    """A labelled collection with features, and its official split."""

    def __init__(self, ports: Ports, collection: str, split_column: str | None) -> None:
        self.spec = ports.limits.spec
        videos = scoring.labelled(ports, collection, self.spec)
        self.labels = tuple(sorted({v.label for v in videos}))
        split = resolve(videos, split_column, 0)
        self.train, self.val, self.test = split.train, split.val, split.test
        found = scoring.load(ports, self.spec, videos, self.labels)
        self.features = dict(zip(found.video_ids, found.features, strict=True))

    def sequences(self, videos: Iterable[LabelledVideo]) -> Sequences:
        """Their features and labels."""
        chosen = list(videos)
        targets = np.array([self.labels.index(v.label) for v in chosen], np.int64)
        ids = tuple(v.video_id for v in chosen)
        return Sequences(ids, tuple(self.features[i] for i in ids), targets, self.labels)

    def by_label(self, videos: Iterable[LabelledVideo]) -> dict[str, list[LabelledVideo]]:
        """Label to videos."""
        found: dict[str, list[LabelledVideo]] = defaultdict(list)
        for video in videos:
            found[video.label].append(video)
        return found


def whole_split(clips: Clips) -> Task:
    """The manifest's split."""
    return lambda seed: (
        clips.sequences(clips.train),
        clips.sequences(clips.val),
        clips.sequences(clips.test),
    )


def few(clips: Clips, count: int) -> Task:
    """Few training videos of each label, each of another group where there are enough, and as few for
    validation as a fifth of them."""

    def draw(seed: int) -> tuple[Sequences, Sequences, Sequences]:
        dice = np.random.default_rng(seed)

        def some(videos: Sequence[LabelledVideo], wanted: int) -> list[LabelledVideo]:
            chosen = []
            for of_label in clips.by_label(videos).values():
                groups = dice.permutation(sorted({v.group for v in of_label}))[:wanted]
                for group in groups:
                    members = [v for v in of_label if v.group == group]
                    chosen.append(members[dice.integers(len(members))])
            return chosen

        val = some(clips.val, max(2, count // 5))
        return clips.sequences(some(clips.train, count)), clips.sequences(val), clips.sequences(clips.test)

    return draw


def uneven(clips: Clips) -> Task:
    """Some labels with few videos beside others with many; the seed says which."""

    def draw(seed: int) -> tuple[Sequences, Sequences, Sequences]:
        dice = np.random.default_rng(seed)

        def some(videos: Sequence[LabelledVideo], share: float) -> list[LabelledVideo]:
            chosen = []
            for k, (_, members) in enumerate(sorted(clips.by_label(videos).items())):
                count = max(2, round(UNEVEN[(k + seed) % len(UNEVEN)] * share))
                chosen += [members[i] for i in dice.permutation(len(members))[:count]]
            return chosen

        val = some(clips.val, 0.2)
        return clips.sequences(some(clips.train, 1)), clips.sequences(val), clips.sequences(clips.test)

    return draw


def order(clips: Clips, pairs: int = 300) -> Task:
    """A then B against B then A, of the first two labels: any mean of frames is the same for both."""

    def draw(seed: int) -> tuple[Sequences, Sequences, Sequences]:
        dice = np.random.default_rng(seed)

        def made(videos: Sequence[LabelledVideo], count: int) -> Sequences:
            first, second = (clips.by_label(videos)[label] for label in clips.labels[:2])
            features, targets = [], []
            for _ in range(count // 2):
                a = clips.features[first[dice.integers(len(first))].video_id]
                b = clips.features[second[dice.integers(len(second))].video_id]
                features += [np.concatenate([a, b]), np.concatenate([b, a])]
                targets += [0, 1]
            return _two(features, targets, ("A then B", "B then A"))

        return made(clips.train, pairs), made(clips.val, pairs // 5), made(clips.test, pairs // 2)

    return draw


def arrow(clips: Clips) -> Task:
    """Forwards against backwards; motion and flow belong to the later of two frames, and flow turns."""
    sizes = block_sizes(clips.spec)
    motion = sum(sizes[:2])
    flow = np.arange(sizes[3]).reshape(-1, DIRECTIONS + 3)
    there = np.arange(clips.spec.feature_size)
    opposite = np.roll(flow[:, :DIRECTIONS], DIRECTIONS // 2, axis=1)
    there[sum(sizes[:3]) :] = sum(sizes[:3]) + np.hstack([opposite, flow[:, DIRECTIONS:]]).reshape(-1)

    def backwards(features: Floats) -> Floats:
        turned = features[::-1].copy()
        turned[1:, motion:] = features[:0:-1, there[motion:]]
        turned[0, motion:] = 0
        return turned

    def made(videos: Sequence[LabelledVideo]) -> Sequences:
        forwards = [clips.features[v.video_id] for v in videos]
        features = [x for f in forwards for x in (f, backwards(f))]
        return _two(features, [0, 1] * len(forwards), ("forwards", "backwards"))

    return lambda seed: (made(clips.train), made(clips.val), made(clips.test))


def _two(features: list[Floats], targets: list[int], labels: tuple[str, str]) -> Sequences:
    ids = tuple(f"{n:064x}" for n in range(len(features)))
    return Sequences(ids, tuple(features), np.array(targets, np.int64), labels)


def make_movements(clips: Clips, source: Path, folder: Path, train: int = 250, test: int = 200) -> Path:
    """Videos of moving pictures from the clips, and their manifest; groups stay on their side."""
    ffmpeg, dice = find_tools().ffmpeg, np.random.default_rng(7)
    rows = []
    for split, videos, count in (("train", [*clips.train, *clips.val], train), ("test", clips.test, test)):
        for n in range(count):
            label = list(MOVEMENTS)[n % len(MOVEMENTS)]
            video = videos[dice.integers(len(videos))]
            values = {
                "a": round(dice.uniform(0.5, 1), 3), "w": round(6.283 * dice.uniform(0.5, 1.2), 3),
                "p": round(dice.uniform(0, 6.283), 3), "fps": 25,
            }  # fmt: skip
            name = f"{split}-{n:03d}.mp4"
            graph = f"fps=25,{MOVEMENTS[label].format(**values)},scale=240:180"
            subprocess.run(
                [ffmpeg, "-loglevel", "error", "-i", str(source / video.path), "-t", "6", "-vf", graph, "-an",
                 "-c:v", "libx264", "-preset", "ultrafast", "-crf", "20", "-y", str(folder / name)],
                check=True,
            )  # fmt: skip
            rows.append(
                {"path": name, "label": label, "group": f"{video.label} {video.group}", "split": split}
            )
    manifest = folder / "movements.csv"
    with manifest.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return manifest


# -- scores ---------------------------------------------------------------------------------------


def lstm(config: TrainingConfig, blocks: Sequence[int]) -> Lesson:
    """The LSTM, trained in this way."""
    return lambda train, val, seed: LSTMTrainer(train, val, replace(config, seed=seed), blocks)


def baseline(train: Sequences, val: Sequences, _seed: int) -> Trainer:
    """Mean + linear; its training throws no dice."""
    return BaselineTrainer(train, val)


def score(task: Task, lesson: Lesson, seeds: int) -> dict[str, float]:
    """Test accuracy and calibration error over the seeds."""
    accuracies, errors = [], []
    for seed in range(seeds):
        train, val, test = task(seed)
        teacher = lesson(train, val, seed)
        for _ in teacher.epochs():
            pass
        given = predict(teacher.model, test.features)
        right = given.argmax(1) == test.targets
        accuracies.append(right.mean())
        errors.append(calibration_error(right, given.max(1)))
    return {
        "accuracy": round(float(np.mean(accuracies)), 3), "deviation": round(float(np.std(accuracies)), 3),
        "calibration_error": round(float(np.mean(errors)), 3),
    }  # fmt: skip


def contest(tasks: dict[str, Task], blocks: Sequence[int], seeds: int) -> dict[str, Any]:
    """Every contender on every task."""
    found: dict[str, Any] = {}
    for name, task in tasks.items():
        contenders = {"LSTM": lstm(DEFAULT, blocks), "mean + linear": baseline}
        found[name] = {who: score(task, lesson, seeds) for who, lesson in contenders.items()}
        _say(name, found[name])
    return found


def ablation(tasks: dict[str, Task], blocks: Sequence[int], seeds: int) -> dict[str, Any]:
    """The LSTM on some tasks, with one choice undone at a time."""
    found: dict[str, Any] = {}
    for name, config in ABLATION.items():
        own = () if name.startswith("one projection") else blocks
        found[name] = {task: score(tasks[task], lstm(config, own), seeds) for task in ABLATED}
        _say(name, found[name])
    return found


def _say(name: str, row: dict[str, dict[str, float]]) -> None:
    cells = [f"{who} {s['accuracy']:.3f} ± {s['deviation']:.3f}" for who, s in row.items()]
    print(f"{name:<34}{'   '.join(cells)}", flush=True)


def measure(given: argparse.Namespace, home: Path, folder: Path) -> dict[str, Any]:
    """Ingest, extract, train and score."""
    ports = open_ports(open_home(load_settings(home)), TerminalProgress())
    ingest(ports, "clips", given.source, manifest=given.manifest)
    extract(ports, "clips")
    clips = Clips(ports, "clips", given.split_column)
    tasks = {
        "split": whole_split(clips), "10": few(clips, 10), "5": few(clips, 5), "uneven": uneven(clips),
        "order": order(clips), "arrow": arrow(clips),
    }  # fmt: skip
    if given.ablation or "movement" in given.tasks:
        manifest = make_movements(clips, given.source, folder)
        ingest(ports, "movement", folder, manifest=manifest, replace_source=True)
        extract(ports, "movement")
        tasks["movement"] = whole_split(Clips(ports, "movement", "split"))
    blocks = block_sizes(clips.spec)
    if given.ablation:
        return ablation(tasks, blocks, given.seeds)
    return contest({name: tasks[name] for name in given.tasks}, blocks, given.seeds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--source", type=Path, default=SHARED)
    parser.add_argument("--manifest", type=Path, default=SHARED / "splits.csv")
    parser.add_argument("--split-column", default="split1")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tasks", type=lambda text: text.split(","), default=[*TASKS])
    parser.add_argument("--home", type=Path, help="Keep the features there for the next time.")
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if not given.manifest.is_file():
        parser.error(f"no {given.manifest}: pass --source DIR and --manifest FILE of labelled clips.")
    with tempfile.TemporaryDirectory(prefix="vidpipe-accuracy-") as folder:
        found = measure(given, given.home or Path(folder) / "home", Path(folder))
    if given.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
