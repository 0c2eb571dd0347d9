"""L-BFGS for several smooth convex functions side by side, evaluated together (PyTorch, float64).

The folds of a cross-validation are one problem with other weights of the videos. Together their gradients are
one large matrix product: five folds and the final fit take the time of one and a half.

Source: Nocedal and Wright, Numerical Optimization (2006), algorithms 7.4 (two loops) and 3.1 (backtracking).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch

MEMORY = 10
"""Pairs of steps and gradient differences that stand for the Hessian."""
MOST_STEPS = 500
MOST_HALVINGS = 40
DECREASE = 1e-4
"""Share of the decrease that the slope promises which a step must keep (Armijo)."""
ROUNDING = 1e-13
"""Of a function's value: so much it may rise."""

Evaluate = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Numbers of b functions and their points (b, n), to values (b,) and gradients (b, n)."""


def minimise(evaluate: Evaluate, start: torch.Tensor, least_square: float) -> torch.Tensor:
    """Minimise B convex functions of n variables each.

    Args:
        evaluate: Values and gradients of some of the functions.
        start: Where each begins, (B, n).
        least_square: A function is done when the sum of squares of its gradient is at most this.

    Returns:
        Points (B, n). Each is what it would be alone, but for rounding; after `MOST_STEPS` what there is.
    """
    found, numbers, at = start.clone(), torch.arange(len(start)), start.clone()
    value, gradient = evaluate(numbers, at)
    memory = _Memory(1 / gradient.norm(dim=1).clamp(min=1e-30))
    for _ in range(MOST_STEPS):
        going = gradient.square().sum(1) > least_square
        found[numbers] = at
        if not going.any():
            return found
        if not going.all():
            numbers, at, value, gradient = numbers[going], at[going], value[going], gradient[going]
            memory.keep(going)
        before, before_gradient = at, gradient
        direction = memory.direction(gradient)
        at, value, gradient = _step(evaluate, numbers, at, value, gradient, direction)
        memory.add(at - before, gradient - before_gradient)
    found[numbers] = at
    return found


class _Memory:
    """The last steps s and gradient differences y of b functions, which approximate the inverse Hessian."""

    def __init__(self, scale: torch.Tensor) -> None:
        self._scale = scale  # (b,)
        self._pairs: deque[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = deque(maxlen=MEMORY)

    def keep(self, going: torch.Tensor) -> None:
        """Forget functions that are done."""
        self._scale = self._scale[going]
        self._pairs = deque(((s[going], y[going], r[going]) for s, y, r in self._pairs), MEMORY)

    def add(self, s: torch.Tensor, y: torch.Tensor) -> None:
        """Learn from a step; where it went nowhere, nothing."""
        product = (s * y).sum(1)
        moved = product > 0
        safe = product.clamp(min=1e-300)
        self._pairs.append((s, y, torch.where(moved, 1 / safe, 0.0)))
        self._scale = torch.where(moved, safe / y.square().sum(1).clamp(min=1e-300), self._scale)

    def direction(self, gradient: torch.Tensor) -> torch.Tensor:
        """Search direction (b, n) by the two-loop recursion: minus the inverse Hessian times the gradient."""
        q, alphas = -gradient, []
        for s, y, r in reversed(self._pairs):
            alphas.append(r * (s * q).sum(1))
            q = q - alphas[-1][:, None] * y
        q = q * self._scale[:, None]
        for (s, y, r), alpha in zip(self._pairs, reversed(alphas), strict=True):
            q = q + (alpha - r * (y * q).sum(1))[:, None] * s
        return q


def _step(
    evaluate: Evaluate, numbers: torch.Tensor, at: torch.Tensor, value: torch.Tensor,
    gradient: torch.Tensor, direction: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    """Go the whole direction, or a half of it, a quarter, ... until the function has fallen enough."""
    slope, share = (gradient * direction).sum(1), torch.ones_like(value)
    for _ in range(MOST_HALVINGS):
        there = at + share[:, None] * direction
        new_value, new_gradient = evaluate(numbers, there)
        rose = new_value > value + DECREASE * share * slope + ROUNDING * value.abs()
        if not rose.any():
            break
        share = torch.where(rose, share / 2, share)
    return there, new_value, new_gradient
