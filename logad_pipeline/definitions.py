"""The Dagster code location."""

from logad_pipeline.orchestration.build import build_definitions

defs = build_definitions()
