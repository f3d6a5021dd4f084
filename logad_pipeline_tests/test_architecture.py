"""Which room may know which: the arrows between the packages, and what must not load at import."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "logad_pipeline"
MODULES = sorted(PACKAGE.rglob("*.py"))
CORE = (
    "logs", "windows", "detectors", "window_scores", "streams", "live", "unit_streams", "explanation", "evaluation",
    "reporting",
)  # fmt: skip
OUTER = ("lake", "registry", "orchestration", "serving", "cli", "definitions", "settings")
HEAVY = {"torch", "transformers", "mlflow", "dagster"}
SERVERS = {"dagster", "dagster_webserver", "mlflow", "flask", "apiflask", "gunicorn", "waitress", "prometheus_client"}
MLFLOW_ITSELF = {"registry/pyfunc_model.py": {"mlflow"}}
"""Code that MLflow loads; its classes are subclasses of MLflow's."""

MAY_KNOW = {
    "logs": {"logs"},
    "windows": {"logs", "windows"},
    "detectors": {"logs", "windows", "detectors"},
    "window_scores": {"windows", "detectors", "window_scores"},
    "streams": {"logs", "windows", "detectors", "window_scores", "streams"},
    "live": {"logs", "windows", "detectors", "streams", "live"},
    "unit_streams": {"logs", "windows", "detectors", "streams", "unit_streams"},
    "explanation": {"logs", "windows", "detectors", "streams", "explanation"},
}
MUST_NOT_KNOW = {
    "evaluation": set(OUTER),
    "reporting": set(OUTER),
    "settings": {"lake", "registry", "orchestration", "serving", "cli", "definitions"},
    "lake": {"orchestration", "serving", "cli", "definitions"},
    "registry": {"orchestration", "serving", "cli", "definitions"},
    "orchestration": {"serving", "cli"},
    "serving": {"orchestration", "cli", "definitions"},
}


def room(module: Path) -> str:
    """The first part of a module's name below the package: ``logs``, ``windows``, …"""
    return module.relative_to(PACKAGE).with_suffix("").parts[0]


def name(module: Path) -> str:
    return str(module.relative_to(PACKAGE))


def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def imports(nodes: Iterable[ast.AST], module: Path = PACKAGE / "__init__.py") -> Iterator[str]:
    """Full names of what is imported; relative ones are resolved against ``module``."""
    package = ["logad_pipeline", *module.parent.relative_to(PACKAGE).parts]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            # `from package import module` names the module only in the second half.
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def at_import(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """The statements that run when a module is imported, those for the type checker left out."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            yield from at_import(statement.orelse)
            continue
        yield statement
        for field in ("body", "orelse", "finalbody"):
            yield from at_import(getattr(statement, field, []))
        for handler in getattr(statement, "handlers", []):
            yield from at_import(handler.body)


def our_rooms(module: Path) -> set[str]:
    found = [full.split(".") for full in imports(ast.walk(tree(module)), module)]
    return {parts[1] for parts in found if parts[0] == "logad_pipeline" and len(parts) > 1}


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) in MAY_KNOW], ids=name)
def test_inner_rooms_know_only_inner_rooms(module: Path) -> None:
    assert our_rooms(module) <= MAY_KNOW[room(module)]


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) in MUST_NOT_KNOW], ids=name)
def test_no_room_knows_one_further_out(module: Path) -> None:
    assert not our_rooms(module) & MUST_NOT_KNOW[room(module)]


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) in CORE], ids=name)
def test_the_core_never_imports_a_server(module: Path) -> None:
    assert not {full.split(".")[0] for full in imports(ast.walk(tree(module)), module)} & SERVERS


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_heavy_libraries_wait_until_they_are_used(module: Path) -> None:
    orchestrates = room(module) in {"orchestration", "definitions"}
    allowed = {"dagster"} if orchestrates else MLFLOW_ITSELF.get(name(module), set())
    loaded = {full.split(".")[0] for full in imports(at_import(tree(module).body), module)}
    assert loaded & HEAVY <= allowed


def test_the_rules_see_an_import_where_it_stands() -> None:
    source = """
import torch.nn
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import mlflow
class A:
    import dagster
    def f(self):
        import transformers
try:
    from . import cli
except ImportError:
    pass
"""
    loaded = set(imports(at_import(ast.parse(source).body)))
    assert loaded == {"torch.nn", "typing.TYPE_CHECKING", "dagster", "logad_pipeline.cli"}


def test_every_room_is_under_a_rule() -> None:
    known = set(MAY_KNOW) | set(MUST_NOT_KNOW) | {"cli", "definitions", "__init__", "__main__"}
    assert {room(module) for module in MODULES} <= known
