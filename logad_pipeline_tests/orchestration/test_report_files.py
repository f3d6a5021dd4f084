"""The settings as a report shows them."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from logad_pipeline.orchestration.report_files import settings_in_words
from logad_pipeline.settings import load_settings, without_secrets

SECRET = "hunter2"


def test_no_secret_of_the_settings_is_in_a_report() -> None:
    made = load_settings()
    address = f"https://ann:{SECRET}@example.org/{{}}?token={SECRET}#{SECRET}"
    made = made.model_copy(update={
        "tracking_uri": f"postgresql://ann:{SECRET}@db.example.org:5432/mlflow?sslpassword={SECRET}",
        "alerts": made.alerts.model_copy(update={"webhook": f"https://hooks.example.org/services/T0/{SECRET}"}),
        "explanation": made.explanation.model_copy(update={"url": address, "api_key": SecretStr(SECRET)}),
        "serving": made.serving.model_copy(update={"dagster_url": address, "mlflow_url": address}),
    })  # fmt: skip
    shown = settings_in_words(made)
    assert not [name for name, value in shown.items() if SECRET in value]
    assert shown["tracking_uri"] == "postgresql://***@db.example.org:5432/mlflow?***"
    assert shown["alerts.webhook"] == "https://***"
    assert shown["windows.size"] == "10"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sqlite:////lake/mlflow/mlflow.db", "sqlite:////lake/mlflow/mlflow.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("mysql+pymysql://ann:p/w@1?#@db/mlflow", "mysql+pymysql://***@db/mlflow"),
        ("ann@example.org", "ann@example.org"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_whoever_logs_in(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
