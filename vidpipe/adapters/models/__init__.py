"""Model versions in MLflow's registry: the only place that imports mlflow."""
