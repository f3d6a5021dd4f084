"""The model as MLflow's pyfunc flavour serves it. MLflow runs this file as the model's code.

Belongs here: the thin wrapper alone; it reads the same folder and gives the same scores as every door.
"""

from __future__ import annotations

from pathlib import Path

import mlflow
from mlflow.pyfunc import PythonModel, PythonModelContext

from logad_pipeline.detectors.ensemble import AnomalyDetector
from logad_pipeline.streams import score_sequence


class LogadModel(PythonModel):  # type: ignore[misc]
    """Takes sequences of raw log lines, gives one verdict a sequence."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model folder that was logged beside this code."""
        self.detector = AnomalyDetector.load(Path(context.artifacts["model"]), device="cpu")

    def predict(self, model_input: list[list[str]]) -> list[dict[str, object]]:
        """One ``{"score", "is_anomaly", "risk", "windows"}`` for each sequence of lines."""
        # 'object': of 'Any' MLflow warns whoever registers, past every filter. Both mean any type to it.
        return [score_sequence(self.detector, lines) for lines in model_input]


mlflow.models.set_model(LogadModel())
