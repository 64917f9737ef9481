"""The fused kernels against the reference: values and gradients over devices, dtypes, batches and options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import COCO17, H36M16, MPI_INF_3DHP, Skeleton
from poseda.ops import reference
from poseda.ops.samples import CHAIN64, LEARNED, augment_arguments

CHAIN3 = Skeleton.declare("chain3", {"a": None, "b": "a", "c": "b"})
SKELETONS = {s.name: s for s in (H36M16, COCO17, MPI_INF_3DHP, CHAIN3, CHAIN64)}

OPTIONS = {
    "project only": {"give": ()},
    "rotate": {"give": ("bone_rotation",)},
    "scale": {"give": ("bone_scale",)},
    "group scale": {"give": ("group_scale", "body_rotation")},
    "propagate": {"give": ("bone_rotation", "bone_scale", "body_rotation", "distortion"), "propagate": True},
    "root": {"give": ("bone_rotation", "root", "distortion")},
    "gpa": {"give": ("bone_rotation", "group_scale", "body_rotation", "placement")},
    "gpa table": {
        "give": (
            "bone_rotation",
            "group_scale",
            "body_rotation",
            "placement",
            "placement_index",
            "distortion",
        )
    },
    "gpa mask": {"give": ("bone_rotation", "placement", "joint_mask", "distortion")},
    "exact": {"give": ("bone_rotation", "placement", "joint_mask", "body_rotation"), "gpa": "exact"},
    "exact lens": {"give": ("bone_scale", "placement", "placement_index", "distortion"), "gpa": "exact"},
    "shared": {
        "give": (
            "bone_rotation",
            "bone_scale",
            "body_rotation",
            "shared_parameters",
            "shared_camera",
            "distortion",
        )
    },
    "in frame": {"give": ("bone_rotation", "aspect"), "require_in_frame": True},
}

TensorCheck = Callable[..., None]


def floating_leaves(
    arguments: dict[str, Any], wanted: tuple[str, ...] | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Every floating tensor as a leaf that requires a gradient, and the call that uses those leaves.

    Or only the ``wanted`` ones, none of the camera's.
    """
    leaves = {
        name: value.detach().requires_grad_()
        for name, value in arguments.items()
        if isinstance(value, Tensor) and value.is_floating_point() and (wanted is None or name in wanted)
    }
    if wanted is not None:
        return leaves, arguments | leaves
    camera: Camera = arguments["camera"]
    lens = {
        n: getattr(camera, n) for n in ("focal", "center", "distortion") if getattr(camera, n) is not None
    }
    lens = {name: value.detach().requires_grad_() for name, value in lens.items()}
    return {**leaves, **lens}, {**arguments, **leaves, "camera": replace(camera, **lens)}


def gradients(
    function: Callable[..., Any], arguments: dict[str, Any], wanted: tuple[str, ...] | None = None
) -> tuple[Any, dict[str, Tensor]]:
    leaves, call = floating_leaves(arguments, wanted)
    result = function(**call)
    generator = torch.Generator().manual_seed(7)
    weights = [
        torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value)
        for value in (result.pose_3d, result.pose_2d)
    ]
    loss = (result.pose_3d * weights[0]).sum() + (result.pose_2d * weights[1]).sum()
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    zeros = [
        torch.zeros_like(leaf) if g is None else g for g, leaf in zip(found, leaves.values(), strict=True)
    ]
    return result, dict(zip(leaves, zeros, strict=True))


def in_double(arguments: dict[str, Any]) -> dict[str, Any]:
    def cast(value: Any) -> Any:
        if isinstance(value, Camera):
            return value.to(torch.float64)
        return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value

    return {name: cast(value) for name, value in arguments.items()}


def check_against_reference(
    arguments: dict[str, Any],
    assert_close: TensorCheck,
    assert_gradient_close: TensorCheck,
    wanted: tuple[str, ...] | None = None,
) -> None:
    """The kernels in their dtype against the reference in float64."""
    actual, actual_gradients = gradients(ops.augment, arguments, wanted)
    expected, expected_gradients = gradients(reference.augment, in_double(arguments), wanted)
    assert actual.valid.tolist() == expected.valid.tolist()
    assert_close(actual.pose_3d, expected.pose_3d)
    assert_close(actual.pose_2d, expected.pose_2d)
    for name, gradient in expected_gradients.items():
        assert_gradient_close(actual_gradients[name], gradient)


@pytest.mark.parametrize("frames", [None, 1, 4], ids=["pose", "T=1", "T=4"])
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("batch", [1, 37])
def test_values_and_gradients_are_the_references(
    batch: int,
    option: str,
    frames: int | None,
    device: torch.device,
    dtype: torch.dtype,
    assert_close: TensorCheck,
    assert_gradient_close: TensorCheck,
) -> None:
    settings = dict(OPTIONS[option])
    give = settings.pop("give")
    arguments = augment_arguments(batch, give=give, dtype=dtype, device=device, frames=frames, rows=11)
    check_against_reference({**arguments, **settings}, assert_close, assert_gradient_close)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
@pytest.mark.parametrize("propagate", [False, True], ids=["alone", "propagated"])
@pytest.mark.parametrize("frames", [None, 19], ids=["pose", "T=19"])
def test_any_tree_up_to_64_joints(
    skeleton: Skeleton,
    propagate: bool,
    frames: int | None,
    device: torch.device,
    dtype: torch.dtype,
    assert_close: TensorCheck,
    assert_gradient_close: TensorCheck,
) -> None:
    give = ("bone_rotation", "group_scale", "body_rotation", "placement", "distortion")
    arguments = augment_arguments(19, skeleton, give=give, dtype=dtype, device=device, frames=frames)
    check_against_reference({**arguments, "propagate": propagate}, assert_close, assert_gradient_close)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
@pytest.mark.parametrize("frames", [None, 19], ids=["pose", "T=19"])
def test_gradients_of_learned_parameters_alone(
    skeleton: Skeleton,
    frames: int | None,
    device: torch.device,
    assert_close: TensorCheck,
    assert_gradient_close: TensorCheck,
) -> None:
    arguments = augment_arguments(19, skeleton, device=device, frames=frames, rows=11)
    check_against_reference(arguments, assert_close, assert_gradient_close, LEARNED)


@pytest.mark.parametrize("batch", [2, 4, 8, 15, 16, 17, 1025])
def test_every_remainder_of_the_vector_width(
    batch: int,
    device: torch.device,
    dtype: torch.dtype,
    assert_close: TensorCheck,
    assert_gradient_close: TensorCheck,
) -> None:
    arguments = augment_arguments(batch, dtype=dtype, device=device, rows=5)
    check_against_reference(arguments, assert_close, assert_gradient_close)


def strided(value: Tensor) -> Tensor:
    """The same numbers, every dimension with a stride of its own kind."""
    wide = torch.full(
        [2 * size + 1 for size in value.shape], float("nan") if value.is_floating_point() else 0
    )
    wide = wide.to(value)
    view = wide[tuple(slice(1, None, 2) for _ in value.shape)]
    view.copy_(value)
    return view


STRIDED = [
    "pose_3d",
    "bone_rotation",
    "bone_scale",
    "body_rotation",
    "placement",
    "placement_index",
    "joint_mask",
]


@pytest.mark.parametrize("name", [*STRIDED, "root", "focal", "center", "distortion", "aspect"])
def test_strides_of_each_argument(name: str, device: torch.device, assert_close: TensorCheck) -> None:
    give = ["bone_rotation", "bone_scale", "body_rotation", "distortion", "aspect"]
    give += ["root"] if name == "root" else ["placement", "placement_index", "joint_mask"]
    arguments = augment_arguments(9, give=give, device=device, dtype=torch.float64, rows=6)
    arguments["require_in_frame"] = True
    expected = ops.augment(**arguments)
    assert expected.valid.any()
    if name in arguments:
        changed = {**arguments, name: strided(arguments[name])}
        assert not changed[name].is_contiguous()
    else:
        camera = arguments["camera"]
        changed = {**arguments, "camera": replace(camera, **{name: strided(getattr(camera, name))})}
    for actual, value in zip(ops.augment(**changed), expected, strict=True):
        assert torch.equal(actual, value)


def test_transposed_and_expanded_inputs(device: torch.device) -> None:
    arguments = augment_arguments(8, give=("bone_rotation",), device=device)
    expected = ops.augment(**arguments)
    joints_last = arguments["pose_3d"].permute(1, 2, 0).contiguous().permute(2, 0, 1)
    repeated = arguments["bone_rotation"][:1].expand(8, -1, -1)
    actual = ops.augment(**{**arguments, "pose_3d": joints_last})
    assert torch.equal(actual.pose_2d, expected.pose_2d)
    shared = ops.augment(**{**arguments, "bone_rotation": arguments["bone_rotation"][:1]})
    expanded = ops.augment(**{**arguments, "bone_rotation": repeated})
    assert torch.equal(shared.pose_3d, expanded.pose_3d)


def test_gradients_arrive_through_strided_and_missing_outputs(
    device: torch.device, assert_gradient_close: TensorCheck
) -> None:
    arguments = augment_arguments(6, dtype=torch.float64, device=device, rows=4)
    for pick in (
        lambda r: r.pose_3d[..., 2].sum(),
        lambda r: r.pose_2d[:, ::3, 0].sum(),
        lambda r: r.pose_2d.sum(),
    ):
        results = []
        for function in (ops.augment, reference.augment):
            leaves, call = floating_leaves(arguments)
            results.append(torch.autograd.grad(pick(function(**call)), list(leaves.values())))
        for actual, expected in zip(*results, strict=True):
            assert_gradient_close(actual, expected)


def test_parameters_of_one_frame_serve_a_sequence(
    device: torch.device, assert_gradient_close: TensorCheck
) -> None:
    give = ("bone_rotation", "group_scale", "body_rotation", "placement", "distortion")
    arguments = augment_arguments(5, give=give, dtype=torch.float64, device=device, frames=3)
    for name in ("bone_rotation", "bone_scale", "body_rotation"):
        arguments[name] = arguments[name][:, :1]
    repeated = {
        name: value.repeat_interleave(3, 1)
        if name in ("bone_rotation", "bone_scale", "body_rotation")
        else value
        for name, value in arguments.items()
    }
    once, once_gradients = gradients(ops.augment, arguments)
    often, often_gradients = gradients(ops.augment, repeated)
    assert torch.equal(once.pose_3d, often.pose_3d)
    for name in ("bone_rotation", "bone_scale", "body_rotation"):
        assert_gradient_close(once_gradients[name], often_gradients[name].sum(1, keepdim=True))
    check = gradients(reference.augment, arguments)[1]
    for name, gradient in check.items():
        assert_gradient_close(once_gradients[name], gradient)


def test_a_centre_frame_stands_where_a_single_pose_would(
    device: torch.device, assert_close: TensorCheck
) -> None:
    arguments = augment_arguments(
        7, give=("placement", "body_rotation"), dtype=torch.float64, device=device, frames=5
    )
    sequence = ops.augment(**arguments)
    single = {
        **arguments,
        "pose_3d": arguments["pose_3d"][:, 2],
        "body_rotation": arguments["body_rotation"][:, 2],
    }
    assert_close(sequence.pose_3d[:, 2], ops.augment(**single).pose_3d)


def test_exact_placement_reproduces_place_and_box(device: torch.device) -> None:
    give = ("bone_rotation", "body_rotation", "placement")
    arguments = augment_arguments(4096, give=give, dtype=torch.float64, device=device)
    result = ops.augment(**arguments, gpa="exact")
    assert result.valid.float().mean() > 0.99
    kept = result.valid
    placement = arguments["placement"][kept]
    box = result.pose_2d[kept].amax(1) - result.pose_2d[kept].amin(1)
    misfit = box.sum(-1) / placement[:, 2:].sum(-1) - 1
    assert misfit.abs().max() < 1e-8
    assert (result.pose_2d[kept, 0] - placement[:, :2]).abs().max() < 1e-12


@pytest.mark.parametrize("gpa", ["closed_form", "exact"])
def test_a_strong_lens_puts_valid_roots_in_their_place_or_says_no(
    gpa: str, device: torch.device, dtype: torch.dtype
) -> None:
    """Barrel distortion that folds within the screen: some places have no ray."""
    arguments = augment_arguments(4000, give=("placement",), dtype=dtype, device=device)
    lens = torch.tensor([[-0.4, 0.2, -0.05, 0.0, 0.0]], dtype=dtype, device=device)
    arguments["camera"] = Camera(torch.full_like(lens[:, :2], 1.5), torch.zeros_like(lens[:, :2]), lens)
    arguments["placement"][:, :2] = torch.rand(4000, 2).to(arguments["placement"]) * 3 - 1.5
    result = ops.augment(**arguments, gpa=gpa)
    assert 0.05 < result.valid.float().mean() < 0.95
    miss = (result.pose_2d[:, 0] - arguments["placement"][:, :2])[result.valid].abs().max()
    assert miss < (1e-4 if dtype == torch.float32 else 1e-8)


def test_closed_form_placement_reproduces_the_roots_place(device: torch.device) -> None:
    arguments = augment_arguments(64, dtype=torch.float64, device=device, rows=9)
    result = ops.augment(**arguments)
    place = arguments["placement"][arguments["placement_index"], :2]
    assert (result.pose_2d[:, 0] - place)[result.valid].abs().max() < 1e-12


def relative_error(actual: Tensor, expected: Tensor) -> Tensor:
    """Norm of each pose's error over its norm."""
    return (actual.double() - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1)


@pytest.mark.slow
def test_float32_against_the_float64_reference_on_a_million_poses() -> None:
    """Error norm a pose over norm: forward at most 2e-6, backward 2e-5 at the 99.99th percentile."""
    forward, backward = [], []
    for chunk in range(64):
        arguments = augment_arguments(16384, seed=chunk, rows=4096)
        actual, actual_gradients = gradients(ops.augment, arguments)
        expected, expected_gradients = gradients(reference.augment, in_double(arguments))
        local = expected.pose_3d - expected.pose_3d[:, :1]
        edges = local[..., :2].sort(1).values
        untied = (
            torch.minimum((edges[:, 1] - edges[:, 0]).amin(-1), (edges[:, -1] - edges[:, -2]).amin(-1)) > 1e-5
        )
        kept = expected.valid & actual.valid & untied

        forward += [relative_error(a, e)[kept] for a, e in zip(actual[:2], expected[:2], strict=True)]
        for name in ("pose_3d", "bone_rotation", "bone_scale", "body_rotation"):
            backward.append(relative_error(actual_gradients[name], expected_gradients[name])[kept])
    for errors, bound in ((torch.cat(forward), 2e-6), (torch.cat(backward), 2e-5)):
        top = errors.sort().values
        print(f"99.99th percentile {top[int(0.9999 * len(top))]:.2e}, maximum {top[-1]:.2e} of {len(top)}")
        assert top[int(0.9999 * len(top))] <= bound
