"""Imports of the data half go one way: no module imports one above it, and geometry imports no data."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import poseda

ROOT = Path(poseda.__file__).parent

LAYERS = (
    ("errors",), ("layouts",), ("joint_names",), ("recipes", "joint_map"), ("conversion",), ("detections",),
    ("bodies", "proportions"), ("tracking",), ("checks",), ("records",), ("screen",), ("filming",),
    ("formats",), ("lens",),
    ("domain_file",), ("synthetic",), ("detection_files", "connectors", "source_files"), ("own",), ("open",),
)  # fmt: skip
"""Modules of poseda.datasets from the bottom."""

LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

DATA = [
    path
    for path in sorted((ROOT / "datasets").rglob("*.py"))
    if path.name not in ("__init__.py", "__main__.py")
]


def imported(path: Path) -> set[str]:
    """Modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def level_of(path: Path) -> int | None:
    return LEVEL.get(path.relative_to(ROOT / "datasets").parts[0].removesuffix(".py"))


@pytest.mark.parametrize("path", DATA, ids=lambda path: path.relative_to(ROOT / "datasets").as_posix())
def test_no_data_module_imports_its_package_or_a_layer_above(path: Path) -> None:
    modules = {name for name in imported(path) if name.startswith("poseda.datasets")}
    assert "poseda.datasets" not in modules, "the package imports its modules, not the other way round"
    own = level_of(path)
    for name in modules:
        other = LEVEL.get(name.split(".")[2])
        if own is not None and other is not None:
            same = name.split(".")[2] == path.relative_to(ROOT / "datasets").parts[0].removesuffix(".py")
            assert other < own or same, f"{name} is not below"


def test_the_readers_import_one_another_without_a_circle() -> None:
    folder = ROOT / "datasets" / "formats"
    uses = {
        path.stem: {
            name.split(".")[3] for name in imported(path) if name.startswith("poseda.datasets.formats.")
        }
        for path in folder.glob("*.py")
    }
    # `from poseda.datasets.formats import limits` names no module: limits itself imports none.
    assert not uses["limits"]
    while uses:
        free = {name for name, others in uses.items() if not others & uses.keys()}
        assert free, f"a circle among {sorted(uses)}"
        uses = {name: others for name, others in uses.items() if name not in free}


@pytest.mark.parametrize("path", sorted((ROOT / "geometry").glob("*.py")), ids=lambda path: path.stem)
def test_geometry_is_the_floor(path: Path) -> None:
    above = [name for name in imported(path) if name.startswith("poseda") and "geometry" not in name]
    assert not above
