"""Report files on disk, and the settings as a reader sees them."""

from pathlib import Path
from urllib.parse import urlsplit

from logad_pipeline.reporting.data import ReportData
from logad_pipeline.reporting.report import render_report
from logad_pipeline.settings import Settings, without_secrets


def write_report(file: Path, data: ReportData) -> Path:
    """Render and write a report; the file appears only when it is whole."""
    return write_page(file, render_report(data))


def write_page(file: Path, page: str) -> Path:
    """Write a page; the file appears only when it is whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(page, encoding="utf-8")
    partial.replace(file)
    return file


def settings_in_words(settings: Settings) -> dict[str, str]:
    """Every setting by its dotted name, without its secrets: a report is mailed and kept."""
    out: dict[str, str] = {}
    for name, value in settings.model_dump(mode="json").items():
        inside = value if isinstance(value, dict) else None
        for key, inner in inside.items() if inside is not None else [("", value)]:
            out[f"{name}.{key}" if key else name] = without_secrets(str(inner))
    # Whoever knows the path of a webhook can post to it.
    hook = settings.alerts.webhook
    return out | ({"alerts.webhook": f"{urlsplit(hook).scheme}://***"} if hook else {})
