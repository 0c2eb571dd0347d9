"""The registered pyfunc, as code: MLflow stores this file and runs it to serve the model.

Input: a table with one video a row and a column `features`, a list of T lists of D numbers. Output: `label`,
`score` and `top`, the labels with their scores from best to worst.
"""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from vidpipe.adapters import bundle
from vidpipe.classifier import predict


class ServedClassifier(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined, misc]
    """Scores per-frame features with the registered LSTM."""

    def load_context(self, context: Any) -> None:
        """Load the bundle that was registered, and refuse any other."""
        expected = str(context.model_config["digest"])
        self._bundle = bundle.load(Path(context.artifacts["bundle"]), expected)

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """One row of label, score and top for each video."""
        sequences = [np.array([list(x) for x in f], np.float32) for f in model_input["features"]]
        scores = predict(self._bundle.lstm, sequences)
        labels = self._bundle.labels
        order = np.argsort(-scores, axis=1, kind="stable")
        return pd.DataFrame(
            {
                "label": [labels[row[0]] for row in order],
                "score": scores.max(axis=1).astype(float),
                "top": [
                    json.dumps({labels[k]: round(float(scores[n, k]), 6) for k in row})
                    for n, row in enumerate(order)
                ],
            }
        )


mlflow.models.set_model(ServedClassifier())
