"""Command line interface: one file for each noun; adapters are reached through `wiring` alone."""
