"""The tree is the architecture: imports go down only, without a circle, and the root holds few modules.

``LAYERS`` is the one list of layers, from the lowest up. A package may import itself and those
below it. Imports inside functions count, too; those for type checkers alone do not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "poseda"

LAYERS: list[tuple[str, ...]] = [
    ("config",),  # every option, once
    ("geometry",),  # skeletons, cameras, rotations, placements
    ("ops",),  # the fused ops
    ("device",),
    ("lifters",),
    ("datasets",),
    ("method",),  # generator, discriminators, losses
    ("runs",),  # the run folder
    ("evaluation",),
    ("training",),
    ("export",),
    ("inference", "report", "bench"),
    ("cli",),
]
"""From the floor up. Packages of one line do not import each other."""

ROOT_MODULES = {"__init__", "__main__", "_moved", "device"}
"""All that stands at the package's root, at most six."""


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(path: Path) -> Iterator[str]:
    """Modules of this package that a file imports at run time, without the package's name."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, inner = name.partition(".")
            if package != "poseda":
                continue
            # `from poseda.x import y`: y is a module, or a name that x itself defines.
            yield inner if inner in MODULES else inner.rpartition(".")[0]


# Entry points, `python -m poseda.x`, are imported by nobody and may import everything.
IMPORTS = {
    name: set(imported(path)) - {name} for name, path in MODULES.items() if not name.endswith("__main__")
}


def floor(module: str) -> int:
    return next(level for level, names in enumerate(LAYERS) if module.split(".")[0] in names)


def test_every_package_has_its_layer() -> None:
    here = {name.split(".")[0] for name in MODULES} - {"", "__main__", "_moved"}
    assert here == {name for names in LAYERS for name in names}


def test_nothing_imports_upward() -> None:
    upward = [
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        if name not in ("", "_moved")
        for other in others
        if other and name.split(".")[0] != other.split(".")[0] and floor(other) >= floor(name)
    ]
    assert not upward, "\n".join(upward)


def test_there_is_no_circle() -> None:
    graph = {name: {other for other in others if other} for name, others in IMPORTS.items() if name}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"import circle: {' -> '.join(error.args[1])}")


def test_private_modules_stay_within_their_package() -> None:
    """A module whose name begins with an underscore is imported by its own package alone."""
    outside = [
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        for other in others
        if any(part.startswith("_") and not part.startswith("__") for part in other.split("."))
        and name.split(".")[0] != other.split(".")[0]
        and name != ""
    ]
    allowed = {
        "device imports ops._native",  # says which devices the compiled libraries can use
        "cli.info imports ops._native",
    }
    assert set(outside) <= allowed, "\n".join(sorted(set(outside) - allowed))


def test_training_is_used_by_the_command_line_alone_and_by_its_public_names() -> None:
    users = [
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        for other in others
        if other.split(".")[0] == "training" and name.split(".")[0] != "training"
    ]
    assert users == ["cli.adapt imports training"]


def test_the_order_of_stages_knows_few_of_its_siblings() -> None:
    siblings = [name for name in IMPORTS["training.run"] if name.startswith("training.")]
    assert len(siblings) <= 6, siblings


def test_the_root_is_nearly_empty() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} == ROOT_MODULES


def test_the_laboratory_is_not_in_the_package() -> None:
    """The wheel neither imports the benchmarks nor mocks anything."""
    for path in MODULES.values():
        text = path.read_text()
        assert "unittest.mock" not in text and "from benchmarks" not in text, path
