"""Nightly video classification, from files to SQL."""

import os

__version__ = "0.1.0"

# Read by OpenMP when torch is first imported. Its threads otherwise spin while they wait, on the cores that
# the decoders need: measured on two shared cores, an extraction took 58 s instead of 30 s.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
