"""The tree is the architecture: imports go down only, without a circle, and the root holds few modules.

``LAYERS`` is the one list of layers, from the lowest up. A package may import itself and those
below it. Imports inside functions, relative ones and calls of ``import_module`` count, too; those for type
checkers alone do not.
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
    ("pretrained",),  # the lifter that is installed with the package
    ("geometry",),  # skeletons, cameras, rotations, placements
    ("ops",),  # the fused ops
    ("device",),
    ("lifters",),
    ("datasets",),
    ("video",),  # pictures and the 2D detectors that look at them
    ("method",),  # generator, discriminators, losses
    ("runs",),  # the run folder
    ("evaluation",),
    ("training",),
    ("report",),
    ("export",),
    ("inference", "bench"),
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


def typing_only(tree: ast.AST) -> set[ast.AST]:
    """What stands below ``if TYPE_CHECKING``."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }


def calls_of_import(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls of ``import_module`` and ``__import__``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            if name in ("import_module", "__import__"):
                yield node


def literal(call: ast.Call) -> str | None:
    """The module that a call of an import names, if its name stands there."""
    name = call.args[0] if call.args else None
    return name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else None


def whole_name(node: ast.ImportFrom, package: str) -> str:
    """The module of a ``from`` import; a relative one is resolved from its package, as Python does it."""
    if not node.level:
        return node.module or ""
    parts = f"poseda.{package}".rstrip(".").split(".")
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def named(text: str, package: str) -> Iterator[str]:
    """All that a module imports at run time, by whole names; ``package`` is the one it stands in."""
    tree = ast.parse(text)
    aside = typing_only(tree)
    for node in ast.walk(tree):
        if node in aside:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{whole_name(node, package)}.{alias.name}" for alias in node.names)
    yield from filter(None, map(literal, (call for call in calls_of_import(tree) if call not in aside)))


def imported(text: str, module: str, package: str) -> Iterator[str]:
    """Modules of this package that a module imports at run time, without the package's name.

    An import of ``x.y`` from outside of ``x`` runs the ``__init__`` of ``x`` first, so that counts, too.
    """
    for name in named(text, package):
        root, _, inner = name.partition(".")
        if root != "poseda":
            continue
        # `from poseda.x import y`: y is a module, or a name that x itself defines.
        inner = inner if inner in MODULES else inner.rpartition(".")[0]
        yield inner
        while inner := inner.rpartition(".")[0]:
            if not f"{module}.".startswith(f"{inner}."):
                yield inner


def package_of(module: str) -> str:
    return module if MODULES[module].stem == "__init__" else module.rpartition(".")[0]


# Entry points, `python -m poseda.x`, are imported by nobody and may import everything.
IMPORTS = {
    name: set(imported(path.read_text(), name, package_of(name))) - {name}
    for name, path in MODULES.items()
    if not name.endswith("__main__")
}


NAMED_LATER = {
    "": "names that are loaded when they are first used",
    "_moved": "modules under their old names",
    "cli": "the module of a command",
    "cli.program": "the modules of all commands",
    "datasets": "names that are loaded when they are first used",
    "video.extras": "packages of extras",
}
"""Modules that import by a name which they compute, and what it is. No test can follow such an import."""


def floor(module: str) -> int:
    return next(level for level, names in enumerate(LAYERS) if module.split(".")[0] in names)


def test_every_package_has_its_layer() -> None:
    here = {name.split(".")[0] for name in MODULES} - {"", "__main__", "_moved"}
    assert here == {name for names in LAYERS for name in names}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import poseda.runs.folder", {"runs.folder", "runs"}),
        ("from poseda.runs import RunFolder", {"runs"}),
        ("from poseda.runs import folder", {"runs.folder", "runs"}),
        ("def f():\n    from poseda import cli", {"cli"}),
        ("from . import camera", {"geometry.camera"}),
        ("from .camera import Camera", {"geometry.camera"}),
        ("from .. import cli", {"cli"}),
        ("from ..runs.folder import RunFolder", {"runs.folder", "runs"}),
        ("import_module('poseda.cli.lift')", {"cli.lift", "cli"}),
        ("importlib.import_module('poseda.cli')", {"cli"}),
        ("__import__('poseda.cli')", {"cli"}),
        ("if TYPE_CHECKING:\n    from poseda import cli\nelse:\n    from poseda import runs", {"runs"}),
        ("import torch, poseda_other.cli", set()),
    ],
)
def test_every_way_to_import_is_seen(text: str, found: set[str]) -> None:
    assert set(imported(text, "geometry.skeleton", "geometry")) == found


def test_a_package_resolves_relative_imports_from_itself() -> None:
    assert set(imported("from .camera import Camera", "geometry", "geometry")) == {"geometry.camera"}


def test_imports_have_names_that_can_be_followed() -> None:
    later = {
        name
        for name, path in MODULES.items()
        if any(literal(call) is None for call in calls_of_import(ast.parse(path.read_text())))
    }
    assert later == NAMED_LATER.keys()


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
        "cli.doctor imports ops._native",
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
