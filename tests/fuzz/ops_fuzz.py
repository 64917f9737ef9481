"""Any arguments for every op: it computes, or names the argument in a sentence, and never crashes.

    python tests/fuzz/ops_fuzz.py --seconds 300
    python tests/fuzz/ops_fuzz.py --cases 2000 --seed 1

The public functions get sound arguments with a few replaced by others of the wrong shape, type, device or
kind. The raw ops behind them, which check in C++ what memory needs, get the same past the public checks.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import COCO17, H36M16, Skeleton
from poseda.ops.samples import augment_arguments

OPTIONAL = (
    "bone_rotation", "bone_scale", "body_rotation", "root", "placement", "placement_index", "joint_mask",
    "distortion", "aspect", "group_scale", "shared_parameters", "shared_camera",
)  # fmt: skip
TREES = [H36M16, COCO17, Skeleton.declare("pair", {"a": None, "b": "a"})]


def odd_tensor(rng: random.Random, value: Tensor) -> Any:
    """Something else where a tensor should be."""
    choices: list[Callable[[], Any]] = [
        lambda: value[:0],
        lambda: value[..., :1],
        lambda: value.unsqueeze(rng.randrange(value.dim() + 1)),
        lambda: value.flatten(),
        lambda: value.sum(),
        lambda: value.to(
            rng.choice([torch.float16, torch.float64, torch.int32, torch.bool, torch.complex64])
        ),
        lambda: value.to("meta"),
        lambda: value.to_sparse(),
        lambda: value.expand(3, *value.shape),
        lambda: value.transpose(0, -1),
        lambda: torch.cat([value, value]),
        lambda: value * rng.choice([float("nan"), float("inf"), -1, 1e30, 0]),
        lambda: value - 2**62,
        lambda: value.clone().requires_grad_(),
        lambda: torch.empty(0),
        lambda: torch.empty((2**20, 0, 3)),
        lambda: rng.choice([None, 0, "text", [], float("nan"), value.tolist()]),
    ]
    try:
        return rng.choice(choices)()
    except (RuntimeError, NotImplementedError):  # not every tensor can be made into every other
        return None


def odd_camera(rng: random.Random, camera: Camera) -> Any:
    """A camera whose parts do not fit, if it lets itself be made, or something else."""
    name = rng.choice(["focal", "center", "distortion", "aspect"])
    parts = {n: getattr(camera, n) for n in ("focal", "center", "distortion", "aspect")}
    part = parts[name] if parts[name] is not None else torch.ones(len(camera), 5)
    try:
        return Camera(**(parts | {name: odd_tensor(rng, part)}))
    except (ValueError, TypeError, AttributeError, IndexError):
        return rng.choice([None, camera.focal, "pinhole"])


def damaged(rng: random.Random, given: dict[str, Any]) -> dict[str, Any]:
    """Sound arguments with up to two replaced."""
    given = dict(given)
    for name in rng.sample(sorted(given), min(rng.randrange(3), len(given))):
        value = given[name]
        if isinstance(value, Tensor):
            given[name] = odd_tensor(rng, value)
        elif isinstance(value, Camera):
            given[name] = odd_camera(rng, value)
        elif isinstance(value, Skeleton):
            given[name] = rng.choice([*TREES, None, "h36m16"])
        else:
            odd = [-1, 0, 3] if type(value) is int else [None, -1, 0, 2**40, float("nan"), "exact", True, []]
            given[name] = rng.choice(odd)
    return given


def sound(rng: random.Random) -> dict[str, Any]:
    skeleton = rng.choice(TREES)
    give = [name for name in OPTIONAL if rng.random() < 0.4]
    if "root" in give:
        give = [name for name in give if name != "placement"]
    placed = "placement" in give
    if not placed:
        give = [name for name in give if name not in ("placement_index", "joint_mask")]
    batch, frames = rng.choice([0, 1, 5, 33]), rng.choice([None, None, 1, 3])
    dtype = rng.choice([torch.float32, torch.float64])
    given = augment_arguments(batch, skeleton, give=tuple(give), dtype=dtype, frames=frames)
    given |= {"min_depth": 0.1, "propagate": "bone_rotation" in give and rng.random() < 0.5}
    given["gpa"] = rng.choice(["closed_form", "exact"]) if placed else "closed_form"
    if "aspect" in give:
        given["require_in_frame"] = True
    return given


def augment(rng: random.Random) -> None:
    given = damaged(rng, sound(rng))
    for name, value in given.items():
        if isinstance(value, Tensor) and value.is_floating_point() and value.is_leaf and rng.random() < 0.5:
            given[name] = value.clone().requires_grad_()
    result = ops.augment(**given)
    if result.pose_3d.requires_grad and result.pose_3d.device.type == "cpu":
        (result.pose_3d.sum() + result.pose_2d.sum()).backward()


def siblings(rng: random.Random) -> None:
    base = sound(rng)
    pose, skeleton, camera = base["pose_3d"], base["skeleton"], base["camera"]
    function, given = rng.choice(
        [
            (ops.bones, {"pose_3d": pose, "skeleton": skeleton}),
            (ops.kinematic_chain_space, {"pose_3d": pose, "skeleton": skeleton}),
            (ops.procrustes_align, {"prediction": pose, "target": pose.flip(0)}),
            (ops.project, {"points": pose, "camera": camera}),
            (
                ops.random_parameters,
                {"rng_state": ops.random_state(1), "batch": 4, "skeleton": skeleton, "table_rows": 3},
            ),
        ]
    )
    arguments = damaged(rng, given)
    try:
        function(**arguments)
    except TypeError as error:
        if "unexpected keyword" in str(error) or "missing" in str(error):
            raise AssertionError(f"the fuzzer calls {function.__name__} by other names: {error}") from error
        raise


def raw(rng: random.Random) -> None:
    """An op itself, with arguments that its schema admits and its guards must check."""
    schemas = {
        name: getattr(torch.ops.poseda, name).default._schema
        for name in (
            "augment", "augment_backward", "tree_transform", "project", "project_backward", "sum_rows",
            "kinematic_chain_space", "kinematic_chain_space_backward", "procrustes_align",
            "random_parameters", "sort_index", "sum_picked_rows",
        )
    }  # fmt: skip
    name = rng.choice(sorted(schemas))
    base = sound(rng)
    camera: Camera = base["camera"]
    known = base | {
        "focal": camera.focal, "center": camera.center, "distortion": camera.distortion,
        "aspect": camera.aspect,
        "parents": list(base["skeleton"].parents), "rows": base["pose_3d"], "points": base["pose_3d"],
        "prediction": base["pose_3d"], "target": base["pose_3d"], "grad": base["pose_3d"],
        "rng_state": ops.random_state(0), "valid": torch.ones(len(base["pose_3d"]), dtype=torch.bool),
        "camera": torch.rand(len(base["pose_3d"]), 9), "index": torch.arange(len(base["pose_3d"])),
        "part_sizes": [1, 2], "part_bones": [0, 1, 2],
    }  # fmt: skip
    arguments: dict[str, Any] = {}
    for argument in schemas[name].arguments:
        kind = str(argument.type)
        if argument.name in known:
            arguments[argument.name] = known[argument.name]
        elif kind == "Optional[Tensor]":
            arguments[argument.name] = rng.choice([None, base["pose_3d"]])
        elif kind == "Tensor":
            arguments[argument.name] = rng.choice([base["pose_3d"], torch.arange(4), torch.rand(3, 2)])
        elif kind == "List[int]":
            arguments[argument.name] = rng.choice([[], [0], list(range(20)), [-1, 0, 0], [99] * 15])
        elif kind == "bool":
            arguments[argument.name] = rng.random() < 0.5
        elif kind == "float":
            arguments[argument.name] = rng.choice([0.1, -1.0, float("nan"), 1e300])
        else:
            arguments[argument.name] = rng.choice([0, 1, 3, 17, 511, -1, 2**33])
    if name == "random_parameters":  # its sizes decide on memory: within what a machine has
        arguments = {n: min(v, 2**12) if type(v) is int else v for n, v in arguments.items()}
    if name == "sum_picked_rows":
        arguments = {n: min(v, 2**12) if type(v) is int else v for n, v in arguments.items()}
    for argument_name in rng.sample(sorted(arguments), rng.randrange(3)):
        value = arguments[argument_name]
        if isinstance(value, Tensor):
            arguments[argument_name] = odd_tensor(rng, value)
    getattr(torch.ops.poseda, name)(**arguments)


def fuzz(seconds: float, cases: int, seed: int) -> Counter[str]:
    """Call ops for so long or so often; return how many calls of each kind.

    Raises:
        SystemExit: at the first error that names nothing.
    """
    counted, ends, number = Counter[str](), time.monotonic() + seconds, 0
    while number < cases and time.monotonic() < ends:
        rng = random.Random(seed * 1_000_003 + number)
        call = rng.choice([augment, augment, siblings, raw])
        number += 1
        try:
            call(rng)
            counted[f"{call.__name__} computed"] += 1
        except (TypeError, ValueError) as error:
            if call is not raw and ("\n" in str(error) or ":" not in str(error)):
                raise SystemExit(f"case {number - 1} of seed {seed}: names nothing: {error!r}") from error
            counted[f"{call.__name__} refused"] += 1
        except (RuntimeError, NotImplementedError, IndexError):  # the last from shape functions in Python
            if call is not raw:
                raise SystemExit(f"case {number - 1} of seed {seed}:\n{traceback.format_exc()}") from None
            counted["raw refused"] += 1
        except Exception:
            raise SystemExit(f"case {number - 1} of seed {seed}:\n{traceback.format_exc()}") from None
    return counted


if __name__ == "__main__":
    # As pyproject.toml has it for pytest: warnings at our own lines are errors.
    warnings.filterwarnings("error", module="poseda|__main__")
    # The cases here make sparse tensors, which torch calls unfinished.
    warnings.filterwarnings("ignore", message=".*[Ss]parse.*")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--cases", type=int, default=sys.maxsize)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    total = fuzz(given.seconds, given.cases, given.seed)
    print(f"{total.total()} calls, every one computed or refused by name: {dict(total)}")
