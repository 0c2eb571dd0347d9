"""The HTML page of a night and the evidence tables in it."""
