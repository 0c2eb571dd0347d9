#!/usr/bin/env bash
# MLflow 3 links a registered version with its logged model by `model_id`: `create_model_version(model_id=...)` takes it,
# and metrics logged with a `model_id` are shown beside the model. On an SQL store (SQLite here) the version that comes
# back has `model_id` None, though source and run are right, so that code which looks the model up by the version passes
# None on. What works: `search_logged_models` by `source_run_id`.
# Seen with mlflow 3.17.2:
#     given m-..., got back None; by its run: the same m-...
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q mlflow==3.17.2
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import logging
import sys

import mlflow

logging.disable(logging.INFO)
mlflow.set_tracking_uri("sqlite:///mlflow.db")
client = mlflow.MlflowClient()
experiment = client.create_experiment("e")
with mlflow.start_run(experiment_id=experiment) as run:
    logged = mlflow.initialize_logged_model(name="net", source_run_id=run.info.run_id, experiment_id=experiment)
    mlflow.finalize_logged_model(logged.model_id, "READY")
client.create_registered_model("r")
made = client.create_model_version(
    "r", f"models:/{logged.model_id}", run_id=run.info.run_id, model_id=logged.model_id
)
version = client.get_model_version("r", made.version)
(found,) = client.search_logged_models([experiment], filter_string=f"source_run_id = '{version.run_id}'")
print("mlflow", mlflow.__version__)
print(f"given {logged.model_id}, got back {version.model_id}; by its run: {found.model_id}")
sys.exit(0 if version.model_id is None and found.model_id == logged.model_id else 1)
PYTHON
