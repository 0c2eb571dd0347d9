"""HTML report of a nightly run, and the evidence tables in it."""
