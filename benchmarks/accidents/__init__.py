"""Accidents by name: what operators meet, done to a real home, and the ordinary night that follows.

    prepared home ──copy──▶ accident (often in the middle of a night) ──▶ ordinary night ──▶ verdict

The prepared home has six labelled clips, an inbox of one clip known and two that came today, a champion and a
challenger. After the accident and the next ordinary night it must hold what an undisturbed home holds: each
file that is there under the hash of its bytes, with the features and the score that these bytes have; nothing
lost, nothing doubled; no traceback was shown and no failure left without its reason and the next command.

Law: an accident is a function of a `Stage`; it never looks at the verdict.
"""

from benchmarks.accidents import homes, nights, registry, surroundings
from benchmarks.accidents.stage import Accident, Stage, Verdict, prepare

ALL = tuple(a for kind in (nights, homes, registry, surroundings) for a in kind.accidents())
"""By kind."""

__all__ = ["ALL", "Accident", "Stage", "Verdict", "prepare"]
