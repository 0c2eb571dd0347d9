"""MLflow tracking and model registry, and the files of a model version."""
