"""How good a model is, and whether it may serve: comparison, gate, model card."""
