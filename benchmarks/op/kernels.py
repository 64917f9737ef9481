"""Every variant of the kernels of `augment`: ``python -m benchmarks.op.kernels [--quick] [--json FILE]``.

Forward and adjoint are called as ops, without autograd, and replayed from CUDA graphs over several sets of
poses. First each variant must agree with the same op in float64 on the CPU. Then forward, adjoint and a large
copy are timed in alternating rounds, variant by variant. A time is a median over rounds. A share is that of
the copy's bandwidth, if every input were read once and every result written once. Sequences are as many whole
ones as fit the batch, at least one.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor

from poseda.bench.clock import Call, clock_of, timed_rounds
from poseda.bench.op import BANDWIDTH_FROM, COPY_BYTES, large_copy
from poseda.bench.record import json_alone, machine, markdown_table, save_record, show_seconds
from poseda.cli import attempt
from poseda.cli.measuring import device_to_measure
from poseda.cli.options import read
from poseda.cli.program import Program
from poseda.cli.screen import say
from poseda.config import ConfigError
from poseda.config.limits import Above, Bare, Distinct, Found, check_fields
from poseda.config.near import guess
from poseda.geometry.skeleton import COCO17, H36M16, H36M17, MPI_INF_3DHP, Skeleton
from poseda.ops import samples
from poseda.ops._arguments import DIFFERENTIABLE, AugmentArguments
from poseda.ops._arguments import augment as arguments_of
from poseda.ops.samples import LEARNED, METHOD, augment_arguments

CHECKED = 4096
"""Poses of each variant that are compared with float64."""

CLOSE = {"pose_3d": 1e-5, "pose_2d": 1e-5, "gradients": 1e-4}
"""Largest error against float64 of 999 in 1 000 poses, relative to the largest number of the pose. Where two
joints tie for an edge of the box, either may take the gradient."""

BATCHES = (1, 1024, 16_384, 131_072, 1_048_576, 4_194_304)
LARGEST_NUMBERS = 1 << 28
"""Fewer joints than these in a call: 4 M poses of 64 joints take tens of gigabytes."""


@dataclass(frozen=True)
class Variant:
    """One way to call the kernels.

    Attributes:
        skeleton: the tree.
        give: arguments beside the poses, as :func:`poseda.ops.samples.augment_arguments` names them.
        wanted: arguments whose gradient the adjoint gives.
        frames: of a sequence, or None for single poses.
        settings: other arguments of `augment`.
        dtype: of all numbers.
    """

    skeleton: Skeleton = H36M16
    give: Collection[str] = METHOD
    wanted: tuple[str, ...] = LEARNED
    frames: int | None = None
    settings: tuple[tuple[str, Any], ...] = ()
    dtype: torch.dtype = torch.float32

    def draw(self, poses: int, seed: int, device: str) -> AugmentArguments:
        """The op's arguments for so many poses, cut into sequences where the variant has them."""
        batch = max(1, poses // (self.frames or 1))
        drawn = augment_arguments(
            batch,
            self.skeleton,
            give=self.give,
            dtype=self.dtype,
            device=device,
            frames=self.frames,
            seed=seed,
        )
        return arguments_of(**drawn, **dict(self.settings))


SOURCE = (*LEARNED, "pose_3d")
VARIANTS = {
    "h36m16": Variant(),
    "+ gradient of the source": Variant(wanted=SOURCE),
    "+ joint mask": Variant(give=(*METHOD, "joint_mask")),
    "+ propagate": Variant(settings=(("propagate", True),)),
    "+ exact GPA": Variant(settings=(("gpa", "exact"),)),
    "in sequences of 27": Variant(frames=27),
    "in float64": Variant(dtype=torch.float64),
    "h36m17": Variant(H36M17),
    "coco17": Variant(COCO17),
    "mpi_inf_3dhp": Variant(MPI_INF_3DHP),
    "chain of 64": Variant(samples.CHAIN64),
}
"""The method's call with each skeleton, and with one thing more."""


class Timed:
    """Forward and adjoint of a variant on one set of poses.

    Args:
        given: the op's arguments.
        cotangents: gradients of its poses, in space and on the screen.
        wanted: bits of the arguments whose gradient the adjoint gives.
    """

    def __init__(self, given: AugmentArguments, cotangents: tuple[Tensor, ...], wanted: int) -> None:
        self.given, self.cotangents, self.wanted = given, cotangents, wanted
        self.results = self.forward()

    @classmethod
    def draw(cls, variant: Variant, poses: int, seed: int, device: str) -> Timed:
        """So many poses on a device."""
        given = variant.draw(poses, seed, device)
        draws, pose = torch.Generator(device).manual_seed(seed), given.pose_3d
        cotangents = tuple(
            torch.randn(*pose.shape[:-1], axes, generator=draws, device=device).to(pose) for axes in (3, 2)
        )
        places = {name: place for place, name in enumerate(DIFFERENTIABLE)}
        return cls(given, cotangents, sum(1 << places[name] for name in variant.wanted))

    def exact(self) -> Timed:
        """The same in float64 on the CPU."""
        given = AugmentArguments(*(_double(value) for value in self.given))
        return Timed(given, tuple(_double(value) for value in self.cotangents), self.wanted)

    def forward(self) -> tuple[Tensor, Tensor, Tensor]:
        """pose_3d, pose_2d, valid."""
        done: tuple[Tensor, Tensor, Tensor] = torch.ops.poseda.augment.default(*self.given)
        return done

    def adjoint(self) -> list[Tensor]:
        """The wanted gradients."""
        pose_3d, _, valid = self.results
        solved = pose_3d if self.given.exact else None
        found = torch.ops.poseda.augment_backward.default(
            *self.cotangents, valid, solved, self.wanted, *self.given
        )
        return [gradient for gradient in found if gradient is not None]

    @property
    def frames(self) -> int:
        """Poses, those of sequences frame by frame."""
        return self.given.pose_3d.shape[:-2].numel()

    def bytes(self) -> tuple[int, int]:
        """Smallest traffic of forward and adjoint."""
        given = [value for value in self.given.tensors if value is not None]
        forward = _size(given) + _size(self.results)
        valid = self.results[2]
        return forward, _size(given) + _size([*self.cotangents, valid]) + _size(self.adjoint())

    def errors(self) -> dict[str, float]:
        """Relative errors against the op in float64 on the CPU, each that of the 999th of 1 000 poses.

        Raises:
            RuntimeError: if other poses are valid there.
        """
        exact, (pose_3d, pose_2d, valid) = self.exact(), self.results
        if not torch.equal(valid.cpu(), exact.results[2]):
            raise RuntimeError("valid: expected the same poses as in float64")
        pairs = {"pose_3d": [(pose_3d, exact.results[0])], "pose_2d": [(pose_2d, exact.results[1])]}
        pairs["gradients"] = list(zip(self.adjoint(), exact.adjoint(), strict=True))
        return {name: max(_error(*pair) for pair in found) for name, found in pairs.items()}


def _double(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value.cpu().double() if value.is_floating_point() else value.cpu()


def _error(found: Tensor, exact: Tensor) -> float:
    exact = exact.flatten(1)
    largest = exact.abs().amax(1).clamp_min(1e-6)
    errors = (found.cpu().double().flatten(1) - exact).abs().amax(1) / largest
    return float(errors.quantile(0.999))


def _size(tensors: Collection[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def checked(variants: dict[str, Variant], device: str) -> dict[str, dict[str, float]]:
    """The errors of each variant.

    Raises:
        RuntimeError: if one is too large, or other poses are valid; nothing is timed then.
    """
    found = {name: Timed.draw(variant, CHECKED, 0, device).errors() for name, variant in variants.items()}
    for name, errors in found.items():
        for which, error in errors.items():
            if not error <= CLOSE[which]:
                raise RuntimeError(
                    f"{name}: {which} has an error of {error:.1e}, expected at most {CLOSE[which]}"
                )
    return found


def measure(variants: dict[str, Variant], poses: int, quick: bool, device: str) -> list[dict[str, Any]]:
    """One record a variant and direction: seconds a call, bytes, and the share of the copy's bandwidth.

    ``poses`` is what was asked for, ``frames`` what whole sequences make of it.
    """
    rows = []
    for name, variant in variants.items():
        if poses * variant.skeleton.num_joints >= LARGEST_NUMBERS:
            continue
        clock = clock_of(device, quick)
        timed = [Timed.draw(variant, poses, seed, device) for seed in range(clock.sets_of_inputs(poses))]
        calls: dict[str, Call] = {
            "forward": clock.prepare([one.forward for one in timed], graph=True),
            "adjoint": clock.prepare([one.adjoint for one in timed], graph=True),
            "copy": large_copy(device, clock),
        }
        seconds = {way: statistics.median(times) for way, times in timed_rounds(calls, clock).items()}
        bandwidth = 2 * COPY_BYTES / seconds["copy"]
        for way, size in zip(("forward", "adjoint"), timed[0].bytes(), strict=True):
            share = size / seconds[way] / bandwidth if poses >= BANDWIDTH_FROM else None
            row = {"variant": name, "direction": way, "poses": poses, "seconds": seconds[way]}
            row |= {"frames": timed[0].frames, "bytes": size}
            rows.append(row | {"copy_bandwidth": bandwidth, "copy_share": share})
    return rows


def table(record: dict[str, Any], batches: Collection[int] = ()) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: a variant a row, a batch a column. Cells hold forward / adjoint.

    From BANDWIDTH_FROM poses a call on, with their shares of the copy's bandwidth. ``batches`` are those to
    show, by default all.
    """
    rows = record["rows"]
    shown = sorted({row["poses"] for row in rows if not batches or row["poses"] in batches})
    found = {(row["variant"], row["poses"], row["direction"]): row for row in rows}
    cells = []
    for name in dict.fromkeys(row["variant"] for row in rows):
        pairs = [[found.get((name, batch, way)) for way in ("forward", "adjoint")] for batch in shown]
        cells.append([name, *(" / ".join(map(_cell, pair)) if all(pair) else "-" for pair in pairs)])
    return ["forward / adjoint", *(f"{batch:,}" for batch in shown)], cells


def _cell(row: dict[str, Any] | None) -> str:
    assert row is not None
    share = "" if row["copy_share"] is None else f" ({row['copy_share']:.0%})"
    return show_seconds(row["seconds"]) + share


@dataclass(frozen=True)
class KernelsOptions:
    """Every variant of the kernels of augment."""

    device: str = "cuda"
    """Where to compute: auto, cpu, cuda or cuda:INDEX."""
    batches: Annotated[tuple[Annotated[int, Above(0)], ...], Distinct()] = BATCHES
    """Poses a call."""
    variants: Annotated[tuple[str, ...], Distinct()] = tuple(VARIANTS)
    """What to time, by the names in the table."""
    quick: bool = False
    """Take short rounds."""
    json: Annotated[Path | None, Bare("-")] = None
    """Record the results in this file. Without a file, they go to stdout and the table to stderr."""
    markdown: Annotated[Path | None, Found()] = None
    """Measure nothing, but print this record as Markdown."""

    def __post_init__(self) -> None:
        check_fields(self)
        for name in self.variants:
            if name not in VARIANTS:
                wanted = f"expected one of {', '.join(VARIANTS)}, got {name!r}{guess(name, VARIANTS)}"
                raise ConfigError("variants", wanted)


PROGRAM = Program(
    "python -m benchmarks.op.kernels",
    "Time every variant of the kernels of augment, forward and adjoint, beside a large copy.",
    (KernelsOptions,),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, measure and print; returns 2 for bad input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return attempt(lambda: _main(given), "benchmarks.op.kernels")


def _main(arguments: list[str]) -> int:
    options = read(PROGRAM, arguments, lambda given: given.build(KernelsOptions))
    device = device_to_measure(options, _markdown)
    if device is None:
        return 0
    variants = {name: VARIANTS[name] for name in options.variants}
    errors = checked(variants, device)
    rows = [row for batch in options.batches for row in measure(variants, batch, options.quick, device)]
    record = {"machine": machine(device), "errors": errors, "rows": rows}
    with json_alone(options.json):
        say(_markdown(record))
    save_record(options.json, record)
    return 0


def _markdown(record: dict[str, Any]) -> str:
    return "\n".join(markdown_table(*table(record)))


if __name__ == "__main__":
    sys.exit(main())
