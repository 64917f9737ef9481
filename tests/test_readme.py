"""The READMEs keep what they say: their Python runs, tables are the records', links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from benchmarks.tables import MARKED, READMES, TABLES, refreshed
from poseda.ops.samples import augment_arguments

ROOT = Path(__file__).parents[1]
DOOR = ROOT / "README.md"
ROOMS = sorted(ROOT.glob("*/**/README.md"))
ALL = [DOOR, *ROOMS]
BLOCKS = re.findall(r"```python\n(.*?)```", DOOR.read_text(), re.DOTALL)

LONGEST_DOOR = 180
"""Lines of the first README."""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(text: str) -> set[str]:
    """What links into a page can name, as GitHub makes it of headings."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_door_is_short() -> None:
    assert len(DOOR.read_text().splitlines()) <= LONGEST_DOOR


def test_the_training_loop_trains() -> None:
    (loop,) = [block for block in BLOCKS if "TargetPlacements" in block]
    given = augment_arguments(32, give=("distortion",))
    target_2d = torch.rand(50, 16, 2) - 0.5
    lifter = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(32, 48), torch.nn.Unflatten(1, (1, 16, 3))
    )
    scope = {
        "target_2d": target_2d,
        "target_cameras": given["camera"].rows(torch.zeros(50, dtype=torch.int64)),
        "source_batches": [given["pose_3d"]],
        "lifter": lifter,
    }
    exec(loop, scope)
    assert scope["pair"].valid.any()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in lifter.parameters())


def test_a_declared_tree_has_its_bones() -> None:
    (declaration,) = [block for block in BLOCKS if "Skeleton.declare" in block]
    scope: dict[str, object] = {}
    exec(declaration, scope)
    assert scope["dog"].bone_names == ("hip-chest", "chest-nose", "hip-tail")  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", READMES)
def test_tables_are_those_of_the_records(path: str) -> None:
    text = (ROOT / path).read_text()
    assert MARKED.search(text), f"{path} has no marked table"
    assert text == refreshed(text), "python -m benchmarks.tables --write redraws them"


def test_every_table_has_a_place() -> None:
    shown = {found[2] for path in READMES for found in MARKED.finditer((ROOT / path).read_text())}
    assert shown == set(TABLES)


@pytest.mark.parametrize("path", ALL, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        there = path if not file else path.parent / file
        assert there.exists(), f"{name(path)} links to {target}, which is not there"
        assert not anchor or anchor in anchors(there.read_text()), f"{name(path)}: no heading for {target}"


@pytest.mark.parametrize("path", ALL, ids=name)
def test_files_that_are_named_exist(path: Path) -> None:
    """Paths of the repository in backticks, such as `csrc/core/rotation.h`."""
    tops = ("poseda", "csrc", "tests", "benchmarks", ".ci")
    for named in re.findall(r"`([\w./-]+/[\w./-]+)`", path.read_text()):
        if named.split("/")[0] in tops and "NAME" not in named:
            assert (ROOT / named).exists(), f"{name(path)} names {named}, which is not there"


def test_every_proof_is_a_test() -> None:
    proofs = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", (ROOT / "tests" / "README.md").read_text())
    assert proofs
    for path, test in proofs:
        assert f"\ndef {test}(" in (ROOT / path).read_text(), f"{path} has no test {test}"


SCRIPTS = [
    path for path in (ROOT / "benchmarks/gpu_check.sh", *sorted((ROOT / ".ci").glob("*"))) if path.is_file()
]


@pytest.mark.parametrize("path", [*ALL, *SCRIPTS], ids=name)
def test_modules_that_are_run_do_run(path: Path) -> None:
    """``python -m`` runs a package's ``__main__`` or a module that acts when it is run."""
    for module in re.findall(r"python3? (?:-P )?-m ((?:poseda|benchmarks)[\w.]*)", path.read_text()):
        there = ROOT / module.replace(".", "/")
        main = there / "__main__.py" if there.is_dir() else there.with_suffix(".py")
        assert main.exists() and ("__main__" in main.read_text() or main.name == "__main__.py"), (
            f"{name(path)}: python -m {module} does nothing"
        )


@pytest.mark.parametrize("path", ALL, ids=name)
def test_lines_fit_and_nothing_is_left_to_be_filled_in(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"@[A-Z]+@|TODO|FIXME", text)
    for number, line in enumerate(text.splitlines(), 1):
        assert len(line) <= 130 or line.startswith("|"), f"{name(path)}:{number} has {len(line)} characters"
