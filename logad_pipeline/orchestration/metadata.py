"""What a person sees of a run in Dagster's pages: tables and pictures as metadata."""

import base64
from collections.abc import Iterable, Sequence

import dagster as dg


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return dg.MetadataValue.md("\n".join(lines))


def picture(png: bytes, words: str) -> dg.MarkdownMetadataValue:
    """A PNG shown in place."""
    return dg.MetadataValue.md(f"![{words}](data:image/png;base64,{base64.b64encode(png).decode()})")
