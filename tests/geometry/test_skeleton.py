"""Topology facts that everything else relies on."""

import pytest
import torch

from poseda import ops
from poseda.geometry.skeleton import BUILT_IN, COCO17, H36M16, H36M17, MAX_JOINTS, MPI_INF_3DHP, Skeleton


def test_h36m16_is_the_order_of_poseaug() -> None:
    assert H36M16.parents == (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 8, 10, 11, 8, 13, 14)
    assert H36M16.joint_names[3] == "right_ankle" and H36M16.joint_names[12] == "left_wrist"


@pytest.mark.parametrize("skeleton", BUILT_IN.values(), ids=BUILT_IN)
def test_mirroring_twice_is_nothing_and_keeps_the_tree(skeleton: Skeleton) -> None:
    mirror = skeleton.mirror
    assert [mirror[mirror[j]] for j in range(skeleton.num_joints)] == list(range(skeleton.num_joints))
    for joint, parent in enumerate(skeleton.parents):
        assert skeleton.parents[mirror[joint]] == (-1 if parent < 0 else mirror[parent])


@pytest.mark.parametrize("skeleton", BUILT_IN.values(), ids=BUILT_IN)
def test_sides_are_named_as_they_are_paired(skeleton: Skeleton) -> None:
    for left, right in skeleton.symmetric_joints:
        assert skeleton.joint_names[left].replace("left_", "right_") == skeleton.joint_names[right]
    sided = [name for name in skeleton.joint_names if name.startswith(("left_", "right_"))]
    assert len(sided) == 2 * len(skeleton.symmetric_joints)


def test_groups_are_ordered_by_their_first_bone() -> None:
    assert H36M16.bone_groups == (0, 1, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 6, 7, 8)
    assert H36M16.num_groups == 9


def test_sizes_of_the_built_in_skeletons() -> None:
    assert [s.num_joints for s in (H36M16, H36M17, COCO17, MPI_INF_3DHP)] == [16, 17, 17, 28]


@pytest.mark.parametrize(
    ("tree", "symmetric", "message"),
    [
        ({"a": None}, [], "expected 2 to 64 joints, got 1"),
        ({"a": None, "b": "c"}, [], "unknown joint 'c'; it has a, b"),
        ({"a": None, "b": "c", "c": "a"}, [], r"parents\[1\] = 2; expected"),
        ({"a": None, "b": "a"}, [("b", "b")], "at most once"),
        ({f"j{i}": f"j{i - 1}" if i else None for i in range(MAX_JOINTS + 1)}, [], "got 65"),
    ],
)
def test_what_is_no_tree_is_refused(
    tree: dict[str, str | None], symmetric: list[tuple[str, str]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Skeleton.declare("x", tree, symmetric)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="expected one of h36m16, h36m17, coco17, mpi_inf_3dhp, got 'smpl'"):
        Skeleton.named("smpl")


@pytest.mark.parametrize(
    ("parts", "got"),
    [
        ({f"part{i}": (i % 63,) for i in range(33)}, "got 33 with 33 and 0"),
        ({f"part{i}": tuple(range(20)) for i in range(10)}, "got 10 with 200 and 1900"),
        ({"body": tuple(range(63)), "hand": (0, 1)}, "got 2 with 65 and 1954"),
    ],
)
def test_more_parts_than_the_kernels_hold_are_refused(parts: dict[str, tuple[int, ...]], got: str) -> None:
    names = tuple(f"j{i}" for i in range(MAX_JOINTS))
    with pytest.raises(ValueError, match=f"32 parts with 192 bones and 1953 pairs of bones in all, {got}"):
        Skeleton("x", names, tuple(range(-1, MAX_JOINTS - 1)), (), parts)


def test_a_hand_of_twenty_parts_has_its_chain_features() -> None:
    tree = {"wrist": None} | {f"j{i}": f"j{i - 4}" if i >= 4 else "wrist" for i in range(20)}
    parts = {f"pair{i}": [f"j{i}", f"j{(i + 1) % 20}"] for i in range(20)}
    hand = Skeleton.declare("hand", tree, parts=parts)
    assert ops.kinematic_chain_space(torch.randn(3, 21, 3), hand).shape == (3, 20)


def test_groups_are_named_after_the_joint_at_which_their_bones_end() -> None:
    names = H36M16.group_names
    assert len(names) == H36M16.num_groups == len(set(names))
    assert {names[H36M16.bone_groups[H36M16.joint(f"{side}_knee") - 1]] for side in ("left", "right")} == {
        "knee"
    }
