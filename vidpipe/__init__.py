"""Nightly video classification, from files to SQL."""

__version__ = "0.1.0"
