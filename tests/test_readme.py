"""The README's Python runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from poseda.ops.samples import augment_arguments

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_training_loop_trains() -> None:
    (loop,) = [block for block in BLOCKS if "TargetPlacements" in block]
    given = augment_arguments(32, give=("distortion",))
    target_2d = torch.rand(50, 16, 2) - 0.5
    lifter = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32, 48), torch.nn.Unflatten(1, (16, 3)))
    scope = {
        "target_2d": target_2d,
        "target_cameras": given["camera"].rows(torch.zeros(50, dtype=torch.int64)),
        "source_batches": [given["pose_3d"]],
        "generator": torch.Generator().manual_seed(0),
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


def test_no_line_is_left_to_be_filled_in() -> None:
    assert not re.search(r"@[A-Z]+@", README)
