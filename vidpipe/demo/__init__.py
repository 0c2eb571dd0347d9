"""Generated clips for the demo and the tests."""
