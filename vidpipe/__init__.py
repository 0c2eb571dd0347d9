"""Nightly batch video classification: CNN features, an LSTM, MLflow versions, predictions in DuckDB."""

import os

__version__ = "0.1.0"

# Read by OpenMP when torch is first imported. Its threads otherwise spin for milliseconds while they wait, on
# the cores that the decoders need: measured on two shared cores, an extraction took 58 s instead of 30 s. To
# spin for microseconds before they sleep does no harm, and a training takes half the time.
# Source: https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
