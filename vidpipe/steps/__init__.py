"""The use cases, one file a verb. Each returns a small report; none knows what its ports are made of."""
