"""The arguments of augment: one list for Python and C++, wrong ones are named, and so is a lack of memory."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from poseda import ops
from poseda.geometry.skeleton import H36M16
from poseda.ops import reference
from poseda.ops._arguments import DIFFERENTIABLE, AugmentArguments
from poseda.ops._arguments import augment as record
from poseda.ops.samples import augment_arguments

EVERYTHING = (
    "bone_rotation",
    "group_scale",
    "body_rotation",
    "placement",
    "placement_index",
    "distortion",
    "aspect",
)


def test_python_and_the_compiled_op_have_the_same_arguments() -> None:
    forward = torch.ops.poseda.augment.default._schema
    backward = torch.ops.poseda.augment_backward.default._schema
    assert tuple(argument.name for argument in forward.arguments) == AugmentArguments._fields
    own = ("grad_pose_3d", "grad_pose_2d", "valid", "augmented", "wanted")
    assert tuple(argument.name for argument in backward.arguments) == (*own, *AugmentArguments._fields)
    assert [result.name for result in backward.returns] == list(DIFFERENTIABLE)
    assert tuple(result.name for result in forward.returns) == ops.AugmentedPose._fields


def test_the_op_and_its_reference_have_one_signature() -> None:
    shown = inspect.signature(ops.augment)
    assert shown == inspect.signature(reference.augment)
    assert list(shown.parameters)[:3] == ["pose_3d", "skeleton", "camera"]
    assert shown.parameters["gpa"].default in get_args(ops.Gpa)
    assert shown.return_annotation == "AugmentedPose" and ops.augment.__doc__ is not None
    with pytest.raises(TypeError, match=r"^augment\(\) got an unexpected keyword argument 'bone_scales'$"):
        ops.augment(**augment_arguments(2), bone_scales=1)


BAD = {
    "joints": (
        lambda a: {"pose_3d": a["pose_3d"][:, :15]},
        ValueError,
        r"pose_3d: expected shape \(N, 16, 3\)",
    ),
    "rank": (lambda a: {"pose_3d": a["pose_3d"][0]}, ValueError, r"pose_3d: expected shape .* got \(16, 3\)"),
    "bones": (
        lambda a: {"bone_rotation": a["bone_rotation"][:, :4]},
        ValueError,
        r"bone_rotation: expected shape \(5, 15, 3\)",
    ),
    "batch": (
        lambda a: {"body_rotation": a["body_rotation"][:3]},
        ValueError,
        r"body_rotation: expected shape \(5, 3\) .* got \(3, 3\)",
    ),
    "scales": (
        lambda a: {"bone_scale": a["bone_scale"][:, :7]},
        ValueError,
        r"bone_scale: expected shape .*\(5, 9\)",
    ),
    "placement": (
        lambda a: {"placement": a["placement"][:, :3]},
        ValueError,
        r"placement: expected shape \(4, 4\)",
    ),
    "index": (
        lambda a: {"placement_index": a["placement_index"][:2]},
        ValueError,
        r"placement_index: expected shape \(5,\)",
    ),
    "index dtype": (
        lambda a: {"placement_index": a["placement_index"].int()},
        TypeError,
        r"placement_index: expected a dense int64 tensor",
    ),
    "index alone": (lambda a: {"placement": None}, ValueError, r"placement_index: picks rows of placement"),
    "root and placement": (
        lambda a: {"root": torch.ones(5, 3)},
        ValueError,
        r"root: cannot be given together with placement",
    ),
    "exact without placement": (
        lambda a: {"gpa": "exact", "placement": None, "placement_index": None},
        ValueError,
        r"^gpa: exact solves for the depth of placement, which was not given$",
    ),
    "mask without placement": (
        lambda a: {"joint_mask": torch.ones(5, 16).bool(), "placement": None, "placement_index": None},
        ValueError,
        r"^joint_mask: has the joints that span placement's box, which was not given$",
    ),
    "propagate without rotation": (
        lambda a: {"propagate": True, "bone_rotation": None},
        ValueError,
        r"^propagate: hands on the rotations of bone_rotation, which was not given$",
    ),
    "mask": (
        lambda a: {"joint_mask": torch.ones(5, 15, dtype=torch.bool)},
        ValueError,
        r"joint_mask: expected shape \(5, 16\)",
    ),
    "mask dtype": (
        lambda a: {"joint_mask": torch.ones(5, 16)},
        TypeError,
        r"joint_mask: expected a dense bool tensor",
    ),
    "dtype": (
        lambda a: {"bone_rotation": a["bone_rotation"].double()},
        TypeError,
        r"^bone_rotation: expected float32 as pose_3d, got float64$",
    ),
    "camera's dtype": (
        lambda a: {"camera": a["camera"].to(torch.float64)},
        TypeError,
        r"^camera.focal: expected float32 as pose_3d, got float64$",
    ),
    "pose's dtype": (
        lambda a: {"pose_3d": a["pose_3d"].to(torch.float8_e5m2)},
        TypeError,
        r"^pose_3d: expected float32 or float64, got float8_e5m2$",
    ),
    "integers": (
        lambda a: {"bone_rotation": a["bone_rotation"].long()},
        TypeError,
        r"bone_rotation: expected a dense floating-point tensor, got torch.int64",
    ),
    "sparse": (
        lambda a: {"bone_rotation": a["bone_rotation"].to_sparse()},
        TypeError,
        r"bone_rotation: expected a dense floating-point tensor, got torch.float32, torch.sparse_coo",
    ),
    "flag": (
        lambda a: {"propagate": "yes"},
        TypeError,
        r"propagate: expected True or False, got 'yes'",
    ),
    "min_depth": (
        lambda a: {"min_depth": float("nan")},
        ValueError,
        r"min_depth: expected at least 0 metres, got nan",
    ),
    "list": (lambda a: {"pose_3d": [1.0]}, TypeError, r"pose_3d: expected a tensor, got list"),
    "list of scales": (
        lambda a: {"bone_scale": [0.1]},
        TypeError,
        r"bone_scale: expected a dense floating-point tensor, got list",
    ),
    "one scale": (
        lambda a: {"bone_scale": torch.tensor(0.1)},
        ValueError,
        r"bone_scale: expected shape \(5, 15\) .* got \(\)",
    ),
    "gpa": (lambda a: {"gpa": "fast"}, ValueError, r"gpa: expected one of closed_form, exact, got 'fast'"),
    "camera": (
        lambda a: {"camera": a["camera"].rows(torch.arange(3))},
        ValueError,
        r"camera.focal: expected shape \(4, 2\)",
    ),
    "skeleton": (
        lambda a: {"skeleton": "h36m16"},
        TypeError,
        r"skeleton: expected a poseda.geometry.skeleton.Skeleton, got str",
    ),
    "no frames": (
        lambda a: {"pose_3d": torch.ones(5, 0, 16, 3)},
        ValueError,
        r"pose_3d: expected at least one frame",
    ),
    "aspect": (
        lambda a: {"require_in_frame": True, "camera": replace(a["camera"], aspect=None)},
        ValueError,
        r"require_in_frame: needs camera.aspect",
    ),
}


@pytest.mark.parametrize("function", [ops.augment, reference.augment], ids=["ops", "reference"])
@pytest.mark.parametrize("way", BAD)
def test_a_wrong_argument_is_named_with_what_was_expected_and_what_came(way: str, function: Any) -> None:
    change, error, message = BAD[way]
    arguments = augment_arguments(5, give=EVERYTHING, rows=4)
    with pytest.raises(error, match=message):
        function(**{**arguments, **change(arguments)})


@pytest.mark.parametrize("fullgraph", [False, True], ids=["with graph breaks", "fullgraph"])
@pytest.mark.parametrize("way", ["bones", "dtype", "index", "gpa", "root and placement", "aspect"])
def test_messages_surface_as_they_are_while_compiling(way: str, fullgraph: bool) -> None:
    change, error, message = BAD[way]
    arguments = augment_arguments(5, give=EVERYTHING, rows=4)
    torch._dynamo.reset()
    compiled = torch.compile(lambda **given: ops.augment(**given), backend="eager", fullgraph=fullgraph)
    # A program of one graph cannot raise: its compiler says that this one would, and with which words.
    with pytest.raises(RuntimeError if fullgraph else error, match=message.strip("^$")):
        compiled(**{**arguments, **change(arguments)})


def count_calls(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """A list that grows at each call of the compiled op."""
    module, calls = sys.modules["poseda.ops.augment"], []
    op: Callable[..., Any] = module._augment  # type: ignore[attr-defined]

    def counted(*inputs: Any) -> Any:
        calls.append(None)
        return op(*inputs)

    monkeypatch.setattr(module, "_augment", counted)
    return calls


@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_a_batch_that_no_memory_holds_is_refused_in_one_sentence_after_one_attempt(
    layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = count_calls(monkeypatch)
    arguments = augment_arguments(1, give=("bone_rotation", "shared_camera"))
    pose = arguments["pose_3d"]
    if layout == "columns":  # whose numbers must be copied side by side, for which there is no memory either
        pose = pose.transpose(1, 2).contiguous().transpose(1, 2)
    arguments["pose_3d"] = pose.expand(2**40, -1, -1)
    with pytest.raises(RuntimeError) as caught:
        ops.augment(**arguments)
    assert str(caught.value) == "not enough memory for 1099511627776 poses"
    assert len(calls) == 1


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_promoted_before_the_one_call(
    half: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = count_calls(monkeypatch)
    arguments = augment_arguments(4, give=("bone_rotation", "placement"))
    ops.augment(**{**arguments, "bone_rotation": arguments["bone_rotation"].to(half)})
    assert len(calls) == 1


def test_what_the_arguments_do_not_explain_is_raised_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("the device is on fire")

    monkeypatch.setattr(sys.modules["poseda.ops.augment"], "_augment", broken)
    with pytest.raises(RuntimeError, match=r"^the device is on fire$"):
        ops.augment(**augment_arguments(4))


@pytest.mark.parametrize(
    "field", ["pose_3d", "focal", "bone_rotation", "bone_scale", "body_rotation", "placement", "joint_mask"]
)
def test_fake_and_real_kernels_refuse_the_same_shapes(field: str) -> None:
    """Straight at the dispatcher, past the public function."""
    given = record(**augment_arguments(5, give=(*EVERYTHING, "joint_mask"), rows=4))
    inputs = given._replace(**{field: getattr(given, field)[..., :-1]})
    with pytest.raises(RuntimeError, match=r"(un)?expected"):
        torch.ops.poseda.augment.default(*inputs)
    meta = [v.to("meta") if isinstance(v, Tensor) else v for v in inputs]
    with pytest.raises((ValueError, RuntimeError), match="expected"):
        torch.ops.poseda.augment.default(*meta)


def test_fake_and_real_kernels_refuse_an_index_of_another_length() -> None:
    given = record(**augment_arguments(5, give=EVERYTHING, rows=4))
    inputs = given._replace(placement_index=given.placement_index[:-1])
    with pytest.raises(RuntimeError, match=r"placement_index: unexpected shape \(4\)"):
        torch.ops.poseda.augment.default(*inputs)
    meta = [v.to("meta") if isinstance(v, Tensor) else v for v in inputs]
    with pytest.raises((ValueError, RuntimeError), match=r"placement_index: expected shape \(5,\)"):
        torch.ops.poseda.augment.default(*meta)


def test_a_malformed_tree_is_refused_by_the_op_itself() -> None:
    given = record(**augment_arguments(2, give=()))
    with pytest.raises(RuntimeError, match=r"^parents: expected topological order$"):
        torch.ops.poseda.augment.default(*given._replace(parents=(-1, 0, 7, *H36M16.parents[3:])))


def test_more_frames_than_a_kernel_counts_are_refused() -> None:
    given = record(**augment_arguments(1, give=(), frames=1))
    inputs = given._replace(pose_3d=given.pose_3d.expand(1, 2**32, -1, -1))
    valid = torch.ones(1, dtype=torch.bool)
    with pytest.raises(RuntimeError, match=r"pose_3d: expected 1 to 2\^31 - 1 frames"):
        torch.ops.poseda.augment_backward.default(None, None, valid, None, 0, *inputs)
