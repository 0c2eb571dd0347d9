"""Failure budget of a night: the share or the number of failing videos that it may have."""

from __future__ import annotations

from vidpipe.errors import ConfigurationError


def parse_budget(text: str | None, default: float) -> float | int:
    """Parse a failure budget: a share between 0 and 1 (`0.1`), or a count (`25`).

    Raises:
        ConfigurationError: Neither.
    """
    if text is None:
        return default
    try:
        budget = int(text) if text.isdigit() else float(text)
    except ValueError:
        budget = -1
    if budget < 0 or (isinstance(budget, float) and budget > 1):
        raise ConfigurationError(
            f"a failure budget of {text!r} is neither a share nor a count.",
            next_step="pass a share such as 0.1, or a count such as 25.",
        )
    return budget
