"""L-BFGS side by side: every function's own minimum, whatever stands beside it."""

from __future__ import annotations

import torch

from vidpipe.learning.lbfgs import minimise

SIZES = torch.tensor([[1.0, 100.0, 3.0], [2.0, 0.01, 1.0], [1e4, 1.0, 1e-2]], dtype=torch.float64)
MINIMA = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.0, 1.0], [0.1, 0.2, -0.3]], dtype=torch.float64)


def bowls(numbers: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Quadratic and quartic around a minimum of each function's own."""
    away, sizes = x - MINIMA[numbers], SIZES[numbers]
    values = (sizes * away.square() + away**4).sum(1)
    return values, 2 * sizes * away + 4 * away**3


def test_each_function_comes_to_its_own_minimum() -> None:
    found = minimise(bowls, torch.zeros(3, 3, dtype=torch.float64), 1e-16)
    assert (found - MINIMA).abs().max() < 1e-6


def test_a_function_alone_ends_where_it_ends_beside_others() -> None:
    together = minimise(bowls, torch.zeros(3, 3, dtype=torch.float64), 1e-12)
    for number in range(3):

        def alone(
            numbers: torch.Tensor, x: torch.Tensor, n: int = number
        ) -> tuple[torch.Tensor, torch.Tensor]:
            return bowls(numbers + n, x)

        assert torch.allclose(
            minimise(alone, torch.zeros(1, 3, dtype=torch.float64), 1e-12)[0], together[number], atol=1e-9
        )


def test_what_is_at_its_minimum_stays_there() -> None:
    asked: list[int] = []

    def counted(numbers: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        asked.append(len(numbers))
        return bowls(numbers, x)

    start = torch.stack([MINIMA[0], torch.zeros(3, dtype=torch.float64)])
    found = minimise(counted, start, 1e-12)
    assert torch.equal(found[0], MINIMA[0])
    assert asked[0] == 2 and set(asked[1:]) == {1}, "a function that is done is not evaluated again"
