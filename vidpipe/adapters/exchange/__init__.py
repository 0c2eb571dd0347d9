"""Files that other tools take in: what is known and predicted of videos, in their formats."""
