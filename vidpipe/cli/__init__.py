"""The command line: one file for each noun, adapters reached through `wiring` alone."""
