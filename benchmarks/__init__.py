"""What the figures of the README come from."""

import vidpipe  # noqa: F401 - before torch: OpenMP reads what it sets
