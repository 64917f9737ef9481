"""`poseda doctor`: what is installed, and whether it works."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from poseda.cli.options import read
from poseda.cli.program import Program
from poseda.cli.screen import print_json, say
from poseda.cli.threads import WAIT
from poseda.config import DoctorConfig

PROGRAM = Program(
    "poseda doctor",
    "Show versions, devices and extras, and test op and lifter. Exit code 1: something is broken.",
    (DoctorConfig,),
)

NEEDED = ("torch", "numpy", "lightning", "scipy", "safetensors", "rich", "cyclopts", "jinja2", "pyyaml")
"""Packages without which commands fail."""

EXTRAS = {
    "overlay": ("av", "pillow"),
    "video": ("av", "pillow", "mediapipe"),
    "rtmpose": ("av", "rtmlib", "onnxruntime"),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "h5": ("h5py",),
    "c3d": ("c3d",),
    "tensorboard": ("tensorboard",),
    "wandb": ("wandb",),
}
"""Packages of each extra."""

POSES = 2048
"""Poses of the test of the op."""

AGREE = 1e-3
"""Metres and screen coordinates up to which the op must agree with its reference in float64."""

POSTURES = 8
"""Postures that the package's lifter lifts."""

DISTANCE = 4.0
"""Metres from the camera at which they stand."""

FAR_OFF = 0.2
"""Metres of mean error above which the lifter is broken; it errs by less than half of that."""


def run(arguments: list[str]) -> int:
    """Print a line for each fact and each test."""
    options = read(PROGRAM, arguments, lambda given: given.build(DoctorConfig))
    facts: dict[str, dict[str, Any]] = {"system": _system(), "packages": _packages(), "extras": _extras()}
    tests = {name: _tried(test) for name, test in TESTS.items()}
    broken = [name for name, found in tests.items() if not found["works"]]
    broken += [name for name, found in facts["packages"].items() if found is None]
    if options.json:
        print_json(facts | {"tests": tests, "broken": broken})
    else:
        say("\n".join(_lines(facts, tests, broken)))
    return 1 if broken else 0


def _system() -> dict[str, str]:
    """Python, operating system, processor and memory."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()),
        "cores": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()}, load {os.getloadavg()[0]:.1f}",
        "threads": f"wait {os.environ.get(WAIT, 'as OpenMP does')}",
        "memory": _memory(),
    }


def _memory() -> str:
    """Free and whole memory, as Linux counts it."""
    try:
        with Path("/proc/meminfo").open() as file:
            kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in file)}
        return f"{kib['MemAvailable'] / 2**20:.1f} GiB free of {kib['MemTotal'] / 2**20:.1f}"
    except (OSError, KeyError, ValueError):
        return "unknown"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _packages() -> dict[str, str | None]:
    from poseda import __version__

    return {"poseda": __version__} | {package: _version(package) for package in NEEDED}


def _extras() -> dict[str, dict[str, str | None]]:
    return {extra: {package: _version(package) for package in names} for extra, names in EXTRAS.items()}


def _tried(test: Callable[[], str]) -> dict[str, Any]:
    """Whether a test works, what it found, and its seconds."""
    began = time.perf_counter()
    try:
        works, found = True, test()
    except Exception as error:  # whatever is broken is a finding
        works, found = False, " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return {"works": works, "found": found, "seconds": round(time.perf_counter() - began, 2)}


def _library() -> str:
    """The compiled library loads beside this torch."""
    from poseda.ops._native import build_info

    info = build_info()
    cuda = f"kernels for CUDA {info['cuda_version']}" if info["cuda_loaded"] else "no CUDA kernels"
    return f"torch {info['torch']}, {info['cpu_instruction_set']}, {info['threads']} threads, {cuda}"


def _devices() -> str:
    """Where `--device auto` computes, and what else there is."""
    import torch

    from poseda.device import choose

    names = [torch.cuda.get_device_name(at) for at in range(torch.cuda.device_count())]
    return f"auto is {choose('auto')}; GPUs: {', '.join(names) or 'none'}"


def _op() -> str:
    """The fused op agrees with its reference, forward and backward."""
    import torch

    from poseda.device import choose
    from poseda.ops import augment, reference
    from poseda.ops.samples import LEARNED, augment_arguments

    device, found = choose("auto"), []
    for function, dtype in ((augment, torch.float32), (reference.augment, torch.float64)):
        drawn = augment_arguments(POSES, dtype=dtype, device=device)
        given = {name: value.requires_grad_() if name in LEARNED else value for name, value in drawn.items()}
        pair = function(**given)
        pair.pose_2d.square().mean().backward()
        gradient = given["body_rotation"].grad.double() * POSES
        found.append((pair.pose_3d.detach().double(), pair.pose_2d.detach().double(), gradient))
    worst = max(float((ours - theirs).abs().max()) for ours, theirs in zip(*found, strict=True))
    if not worst < AGREE:
        raise ArithmeticError(f"expected agreement with the reference to {AGREE:g}, got {worst:g}")
    return f"agrees with its reference to {worst:.0e} on {POSES} poses, gradients too"


def _lifter() -> str:
    """The package's lifter lifts postures of the people that it learned from."""
    import numpy as np
    import torch

    from poseda import pretrained
    from poseda.device import choose
    from poseda.geometry.camera import Camera, project
    from poseda.inference import AdaptedLifter, LiftOptions
    from poseda.inference.wide import lift_line
    from poseda.method.postures import Postures
    from poseda.runs.checkpoint import load_checkpoint, unpack_module

    model, camera = AdaptedLifter.load(device=choose("auto")), Camera.from_field_of_view(60, 1, 1)
    tensors, _ = load_checkpoint(pretrained.POSTURES)
    postures = Postures(model.skeleton, width=len(tensors["postures.first.bias"]))
    unpack_module("postures", postures, tensors)
    drawn, off = postures.draw(POSTURES, torch.Generator().manual_seed(0)), 0.0
    for pose in drawn:
        pose_2d = project(pose[None] + torch.tensor([0.0, 0.0, DISTANCE]), camera)[0]
        lifted, _, _ = lift_line(model, pose_2d.numpy(), np.ones(len(pose), bool), camera, LiftOptions())
        off += float((torch.from_numpy(lifted) - pose).norm(dim=-1).mean()) / POSTURES
    if not off < FAR_OFF:
        raise ArithmeticError(f"expected a mean error below {FAR_OFF:g} m, got {off:.2g} m")
    return f"the package's own lifts {POSTURES} postures, mean error {1000 * off:.0f} mm"


TESTS = {"library": _library, "devices": _devices, "op": _op, "lifter": _lifter}
"""What is tested, in this order."""


def _lines(facts: dict[str, Any], tests: dict[str, Any], broken: list[str]) -> list[str]:
    """The whole as lines of two columns."""
    lines = [f"{name:<12} {value}" for name, value in facts["system"].items()]
    lines += [f"{name:<12} {value or 'MISSING'}" for name, value in facts["packages"].items()]
    for extra, packages in facts["extras"].items():
        missing = [package for package, found in packages.items() if found is None]
        there = ", ".join(f"{package} {found}" for package, found in packages.items() if found)
        command = f"pip install 'poseda[{extra}]' brings {', '.join(missing)}"
        lines.append(f"{extra:<12} {'; '.join(filter(None, [there, command if missing else '']))}")
    lines += [
        f"{name:<12} {'ok' if found['works'] else 'BROKEN'}: {found['found']} ({found['seconds']} s)"
        for name, found in tests.items()
    ]
    return [*lines, f"broken: {', '.join(broken)}" if broken else "all is well"]
