"""Promotion evidence as a table, for the terminal, Markdown and the HTML report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MEASURES = {
    "mean_average_precision": "mAP", "accuracy": "accuracy", "macro_f1": "macro F1", "micro_f1": "micro F1",
}  # fmt: skip
"""In words; the first and the last are of versions that give a video several labels."""


def evidence_rows(evidence: Mapping[str, Any]) -> list[list[str]]:
    """Evidence as a table: one row per number, one column per contender; the head first."""
    if not evidence:
        return []
    names = [name for name in ("challenger", "champion", "baseline") if evidence[name]]
    scores = [evidence[name] for name in names]
    eval_set, difference, coin = evidence["eval_set"], evidence["difference"], evidence["mcnemar"]
    which = f"{'frozen' if eval_set['frozen'] else 'own'} set {eval_set['eval_set_hash']}"
    rows = [
        [f"on {eval_set['videos']} videos, {which}", *names],
        *(
            [title, *(f"{s[name]:.3f}" for s in scores)]
            for name, title in MEASURES.items()
            if name in scores[0]
        ),
        ["calibration error", *(f"{evidence['calibration_error'][n]:.3f}" for n in names)],
        *(
            [f"recall of {label}", *(f"{s['per_label'][label]['recall']:.3f}" for s in scores)]
            for label, mine in scores[0]["per_label"].items()
            if mine["support"]
        ),
    ]
    blank = [""] * (len(names) - 1)
    if difference:
        for name, title in MEASURES.items():
            if name in difference:
                rows.append([f"{title} gained, 95 %", _interval(difference[name]), *blank])
        won = f"{coin['only_challenger']} won, {coin['only_champion']} lost, p = {coin['p']:.2g}"
        rows.append(["McNemar", won, *blank])
    rows.append(["p of luck against chance", f"{evidence['p_chance']:.2g}", *blank])
    return rows


def part_rows(facts: Mapping[str, Any]) -> list[list[Any]]:
    """Scores of a version, of its parts with their weights, and of the baselines, as a table; the head first.

    Args:
        facts: `parts` and `baselines` with scores by name, and the version's own as `evaluate` gives them, or
            as `train` does, with `test_` before each name.
    """
    parts, baselines = facts["parts"], facts["baselines"]
    measures = [m for m in MEASURES if m in next(iter(parts.values()))]
    own = [facts.get(m, facts.get(f"test_{m}")) for m in measures]
    named = [(f"part {name}", of) for name, of in parts.items() if of["weight"] or name not in baselines]
    named += [(f"baseline {name}", of) for name, of in baselines.items()]
    return [
        ["", *(MEASURES[m] for m in measures), "weight"],
        ["registered", *map(_rounded, own), None],
        *([name, *(_rounded(of.get(m)) for m in measures), _rounded(of.get("weight"))] for name, of in named),
    ]


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 3)


def decision_markdown(facts: Mapping[str, Any]) -> str:
    """Promotion decision with reasons, warnings and evidence table as Markdown."""
    lines = [f"# {facts['model']} version {facts['version']}: {facts['decision']}", ""]
    lines += [
        f"- **{kind.removesuffix('s')}**: {text}" for kind in ("reasons", "warnings") for text in facts[kind]
    ]
    if rows := evidence_rows(facts["evidence"]):
        cells = [
            [str(c).replace("|", "\\|") for c in row] for row in (rows[0], ["---"] * len(rows[0]), *rows[1:])
        ]
        lines += ["", *(f"| {' | '.join(row)} |" for row in cells)]
    return "\n".join(lines) + "\n"


def _interval(found: Mapping[str, float]) -> str:
    return f"{found['value']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"
