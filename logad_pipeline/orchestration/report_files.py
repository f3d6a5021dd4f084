"""Report files on disk, and the settings as a reader sees them."""

from pathlib import Path

from logad_pipeline.reporting.data import ReportData
from logad_pipeline.reporting.report import render_report
from logad_pipeline.settings import Settings


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
    """Every setting by its dotted name."""
    out: dict[str, str] = {}
    for name, value in settings.model_dump(mode="json").items():
        if isinstance(value, dict):
            out |= {f"{name}.{key}": str(inner) for key, inner in value.items()}
        else:
            out[name] = str(value)
    return out
