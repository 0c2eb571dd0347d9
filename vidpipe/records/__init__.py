"""Frozen value types that travel between layers: no torch, no I/O."""
