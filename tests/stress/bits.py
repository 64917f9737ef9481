"""Record what this build computes, and compare another build with it, bit for bit.

    python tests/stress/bits.py record FILE.json
    python tests/stress/bits.py check FILE.json

The record holds SHA-256 sums: of every op, forward and backward, over its options; of the tensors and rows
of `poseda adapt --preset tiny` with every arm; of a run that was killed and resumed. A refactoring must not
change them. Matrix products differ between machines, so a record is good for one machine and one torch.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import hashlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from poseda import ops

try:
    from poseda.geometry.camera import Camera
    from poseda.geometry.skeleton import Skeleton
    from poseda.ops.samples import augment_arguments

    VIEW = "gpa_lpa_view"
except ImportError:  # the layout of 0.1.0, to record it
    from poseda.camera import Camera  # type: ignore[import-not-found,no-redef]
    from poseda.samples import augment_arguments  # type: ignore[import-not-found,no-redef]
    from poseda.skeleton import Skeleton  # type: ignore[import-not-found,no-redef]

    VIEW = "plus"

ARMS = ["source_only", "gpa", "lpa", "gpa_lpa", VIEW, "random", "poseaug", "oracle"]

RENAMED = {"gpa_lpa_view": "plus", "samples": "gallery", "view_alignment": "alignment"}
"""New names of files and arms, and those of 0.1.0, under which they are recorded."""


def first_name(name: str) -> str:
    """A name as 0.1.0 would have written it."""
    for new, old in RENAMED.items():
        name = name.replace(new, old)
    return name


def digest(values: list[Tensor | None]) -> str:
    """The sum of tensors' bytes, shapes and types."""
    sum_ = hashlib.sha256()
    for value in values:
        if value is None:
            continue
        sum_.update(f"{value.dtype} {tuple(value.shape)}".encode())
        sum_.update(value.detach().cpu().contiguous().numpy().tobytes())
    return sum_.hexdigest()


def record_ops() -> dict[str, str]:
    """A sum for each op and each choice of its options."""
    found = {}
    wanted = ("bone_rotation", "bone_scale", "body_rotation", "placement")
    for name, dtype, gpa, propagate in product(
        ("h36m16", "coco17"), (torch.float32, torch.float64), ("closed_form", "exact"), (False, True)
    ):
        torch.manual_seed(7)
        skeleton = Skeleton.named(name)
        arguments = augment_arguments(1030, skeleton, give=wanted, dtype=dtype)
        arguments |= {"gpa": gpa, "propagate": propagate}
        leaves = [v for v in arguments.values() if isinstance(v, Tensor) and v.is_floating_point()]
        for leaf in leaves:
            leaf.requires_grad_()
        out = ops.augment(**arguments)
        (out.pose_3d.square().sum() + out.pose_2d.sum()).backward()
        key = f"augment {name} {dtype} {gpa} {'propagate' if propagate else 'each'}"
        found[key] = digest([*out, *(leaf.grad for leaf in leaves)])
    torch.manual_seed(8)
    skeleton = Skeleton.named("h36m16")
    pose = torch.randn(1030, 16, 3) + torch.tensor([0.0, 0.0, 5.0])
    camera = Camera(torch.full((1, 2), 2.2), torch.zeros(1, 2))
    pose.requires_grad_()
    for name, value in {
        "bones": ops.bones(pose, skeleton),
        "kinematic_chain_space": ops.kinematic_chain_space(pose, skeleton),
        "project": ops.project(pose, camera),
    }.items():
        (gradient,) = torch.autograd.grad(value.square().sum(), pose)
        found[name] = digest([value, gradient])
    found["procrustes_align"] = digest([ops.procrustes_align(pose.detach(), pose.detach().roll(1, 0))])
    state = ops.random_state(3)
    drawn = ops.random_augment(pose.detach(), skeleton=skeleton, camera=camera, rng_state=state)
    found["random_augment"] = digest([*drawn, state])
    return found


def record_run(out: Path) -> dict[str, str]:
    """A sum for each file of a run folder, by content: tensors, and rows of results."""
    found = {}
    for path in sorted(out.rglob("*.safetensors")):
        name = path.relative_to(out).as_posix()
        name = first_name(name)
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in sorted(file.keys(), key=first_name)}
        found[name] = digest(list(tensors.values()))
    rows: list[dict[str, Any]] = json.loads((out / "results.json").read_text())
    rows = [row | {"arm": RENAMED.get(row["arm"], row["arm"])} for row in rows]
    found["results.json"] = hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
    return found


def adapt(out: Path, arms: list[str], *more: str) -> list[str]:
    command = [sys.executable, "-m", "poseda", "adapt", "--preset", "tiny", "--device", "cpu", "--seeds", "0"]
    return [*command, "--arms", *arms, "--out", str(out), *more]


def record_training(folder: Path) -> dict[str, dict[str, str]]:
    """Every arm in one go, and two arms with a kill in the middle of a phase."""
    environment = os.environ | {"PYTHONSAFEPATH": "1"}
    whole, cut = folder / "whole", folder / "cut"
    subprocess.run(adapt(whole, ARMS), check=True, env=environment, stdout=subprocess.DEVNULL)
    short = ["source_only", "gpa_lpa"]
    slow = ["--generator-training.steps", "400"]
    victim = subprocess.Popen(adapt(cut, short, *slow), env=environment, stdout=subprocess.DEVNULL)
    while victim.poll() is None and not list(cut.rglob("generator*.partial")):
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    killed = bool(list(cut.rglob("generator*.partial")))
    assert killed, "the run was over before it could be killed"
    again = [*adapt(cut, short, *slow), "--resume"]
    subprocess.run(again, check=True, env=environment, stdout=subprocess.DEVNULL)
    return {"adapt": record_run(whole), "resume": record_run(cut)}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("record", "check"))
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {"torch": {"version": torch.__version__}, "ops": record_ops()} | record_training(Path(folder))
    if options.what == "record":
        options.file.write_text(json.dumps(found, indent=2))
        print(f"{sum(map(len, found.values())) - 1} sums in {options.file}")
        return 0
    expected = json.loads(options.file.read_text())
    differing = [
        f"{kind}: {name}"
        for kind, sums in expected.items()
        for name, value in sums.items()
        if found.get(kind, {}).get(name) != value
    ]
    new = sum(len(found[kind].keys() - expected.get(kind, {}).keys()) for kind in found)
    print("\n".join(differing) or "no differences")
    print(f"{sum(map(len, expected.values()))} sums compared, {len(differing)} differ, {new} are new")
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main())
