"""Joints from one set to another: by name, mirrored alike, with made-up and unseen joints marked."""

import numpy as np
import pytest

from poseda.datasets import DataError
from poseda.datasets.conversion import TO_H36M17, Conversion, Recipe, conversion
from poseda.datasets.layouts import BODY_25, H36M32, LAYOUTS, MPI_INF_3DHP_28, Layout
from poseda.geometry.skeleton import COCO17, H36M16, H36M17, MPI_INF_3DHP, Skeleton

DETECTORS = ("coco17", "halpe26", "body_25", "mediapipe33")
SOURCES = (*DETECTORS, "mpi_inf_3dhp_28", "mpi_inf_3dhp_17", "smpl24", "spin24", "h36m17", "h36m16", "h36m32")

# Heights of a standing adult's joints above the floor, metres; sides are +-x.
HEIGHT = {
    "head_top": 1.75, "lsp_head_top": 1.75, "head": 1.66, "eye": 1.63, "eye_inner": 1.63, "eye_outer": 1.63,
    "ear": 1.62, "nose": 1.6, "jaw": 1.56, "mouth": 1.55, "neck": 1.45, "mpii_thorax": 1.4, "thorax": 1.45,
    "collar": 1.4, "clavicle": 1.4, "shoulder": 1.43, "elbow": 1.1, "wrist": 0.85, "hand": 0.8, "pinky": 0.75,
    "index": 0.75, "thumb": 0.78, "thumb_end": 0.76, "hand_end": 0.74, "pelvis": 0.92, "hip": 0.92,
    "mid_hip": 0.92, "lower_spine": 1.0, "spine": 1.18, "spine1": 1.02, "spine2": 1.18, "spine3": 1.24,
    "spine4": 1.35, "knee": 0.5, "ankle": 0.09, "foot": 0.03, "toe": 0.02, "toe_end": 0.02,
    "foot_index": 0.02, "big_toe": 0.02, "small_toe": 0.02, "heel": 0.03,
}  # fmt: skip


def side(joint: str) -> int:
    words = joint.split("_")
    return ("left" in words) - ("right" in words)


def stem(joint: str) -> str:
    return "_".join(word for word in joint.split("_") if word not in ("left", "right"))


def standing(layout: Layout) -> np.ndarray:
    height = HEIGHT | {"head": 1.55} if layout.name == "smpl24" else HEIGHT  # the base of the skull there
    return np.array([[0.2 * side(joint), height[stem(joint)]] for joint in layout.joint_names])


def mirror(layout: Layout) -> list[int]:
    swap = {"left": "right", "right": "left"}
    return layout.index(["_".join(swap.get(w, w) for w in name.split("_")) for name in layout.joint_names])


@pytest.mark.parametrize("target", [H36M16, H36M17], ids=lambda s: s.name)
@pytest.mark.parametrize("source", SOURCES)
def test_a_standing_person_stays_one(source, target):
    layout = LAYOUTS[source]
    pose, seen = conversion(source, target)(standing(layout))
    assert seen.all()
    expected = np.array([[0.2 * side(j), HEIGHT[stem(j)]] for j in target.joint_names])
    # Made-up joints are where anatomy has them, to within the head's own height.
    assert np.abs(pose - expected).max() < 0.09, dict(zip(target.joint_names, pose - expected, strict=True))
    limbs = [target.joint(name) for name in target.joint_names if side(name)]
    assert np.array_equal(pose[limbs], expected[limbs])


@pytest.mark.parametrize("target", [H36M16, H36M17], ids=lambda s: s.name)
@pytest.mark.parametrize("source", SOURCES)
def test_converting_the_mirrored_pose_mirrors_the_converted_pose(source, target):
    layout, convert = LAYOUTS[source], conversion(source, target)
    pose = np.random.default_rng(0).normal(size=(4, len(layout), 3))
    flip = np.array([-1.0, 1, 1])
    mirrored, _ = convert((pose * flip)[:, mirror(layout)])
    converted, _ = convert(pose)
    assert np.allclose(mirrored, (converted * flip)[:, list(target.mirror)], atol=1e-12)


@pytest.mark.parametrize("source", TO_H36M17)
def test_recipes_name_joints_that_exist_and_weights_sum_to_one(source):
    convert = conversion(source, H36M17)
    assert set(TO_H36M17[source]) == set(H36M17.joint_names)
    assert np.allclose(convert.weights.sum(1), 1, atol=1e-12)
    for joint, recipe in convert.recipes.items():
        copied = list(recipe.weights) == [joint]
        assert copied == (joint not in convert.made_up), "every joint that is no copy says how it is made"


def test_what_is_made_up_is_listed():
    made_up = conversion("coco17", "h36m17").made_up
    assert list(made_up) == ["pelvis", "spine", "thorax", "head_top"]
    assert made_up["pelvis"] == "mean of left_hip, right_hip"
    assert made_up["head_top"].startswith("extrapolated from left_shoulder and right_shoulder to left_ear")
    assert conversion("h36m17", "h36m16").made_up == {}
    assert conversion("h36m16", "h36m17").made_up == {"nose": "mean of thorax, head_top"}
    assert "head_top" not in conversion("halpe26", "h36m16").made_up


def test_a_joint_is_seen_iff_all_it_is_made_of_is():
    convert = conversion("coco17", "h36m17")
    names = COCO17.joint_names
    for hidden in names:
        visible = np.array([name != hidden for name in names])
        pose, seen = convert(np.ones((len(names), 2)), visible)
        for joint, is_seen, place in zip(H36M17.joint_names, seen, pose, strict=True):
            assert is_seen == (hidden not in convert.recipes[joint].weights)
            assert place.tolist() == ([1, 1] if is_seen else [0, 0])


def test_nan_is_unseen_and_does_not_spread():
    pose = np.ones((2, 17, 2), np.float32)
    pose[0, COCO17.joint("left_wrist")] = np.nan
    converted, seen = conversion("coco17", "h36m16")(pose)
    assert converted.dtype == np.float32 and np.isfinite(converted).all()
    assert (~seen).sum() == 1 and not seen[0, H36M16.joint("left_wrist")]


def test_confidence_is_the_least_of_what_a_joint_is_made_of():
    confidence = np.ones((3, 17))
    confidence[1, COCO17.joint("right_hip")] = 0.25
    found = conversion("coco17", "h36m17").confidence(confidence)
    low = [H36M17.joint_names[j] for j in np.flatnonzero(found[1] == 0.25)]
    assert low == ["pelvis", "right_hip", "spine"] and (found[[0, 2]] == 1).all()


def test_17_and_16_joints_round_trip():
    rng = np.random.default_rng(0)
    sixteen = rng.normal(size=(5, 16, 3))
    there, _ = conversion("h36m16", "h36m17")(sixteen)
    back, _ = conversion("h36m17", "h36m16")(there)
    assert np.array_equal(back, sixteen)
    seventeen = rng.normal(size=(5, 17, 3))
    there, _ = conversion("h36m17", "h36m16")(seventeen)
    back, _ = conversion("h36m16", "h36m17")(there)
    kept = [j for j, name in enumerate(H36M17.joint_names) if name != "nose"]
    assert np.array_equal(back[:, kept], seventeen[:, kept])
    middle = (seventeen[:, H36M17.joint("thorax")] + seventeen[:, H36M17.joint("head_top")]) / 2
    assert np.allclose(back[:, H36M17.joint("nose")], middle)


def test_reordered_joints_round_trip():
    pose = np.random.default_rng(0).normal(size=(3, 28, 3))
    tree, seen = conversion(MPI_INF_3DHP_28, MPI_INF_3DHP)(pose)
    assert seen.all()
    as_file = Skeleton.declare(
        "as_file", {name: None if i == 0 else "spine3" for i, name in enumerate(MPI_INF_3DHP_28.joint_names)}
    )
    back, _ = conversion(Layout.of(MPI_INF_3DHP), as_file)(tree)
    assert np.array_equal(back, pose)
    via_tree, _ = conversion("mpi_inf_3dhp", "h36m16")(tree)
    direct, _ = conversion("mpi_inf_3dhp_28", "h36m16")(pose)
    assert np.array_equal(via_tree, direct)


def test_detectors_of_the_same_person_agree_on_shared_joints():
    rng = np.random.default_rng(0)
    place = {name: rng.normal(size=2) for layout in LAYOUTS.values() for name in layout.joint_names}
    shared = [name for name in H36M16.joint_names if side(name)]
    found = [
        conversion(source, H36M16)(np.array([place[n] for n in LAYOUTS[source].joint_names]))[0]
        for source in SOURCES
    ]
    for pose in found:
        assert np.array_equal(pose[[H36M16.joint(name) for name in shared]], [place[name] for name in shared])


def test_human36m_keeps_the_17_of_32_joints_that_videopose3d_keeps():
    removed = {4, 5, 9, 10, 11, 16, 20, 21, 22, 23, 24, 28, 29, 30, 31}  # VideoPose3D, h36m_dataset.py
    convert = conversion(H36M32, H36M17)
    assert convert.made_up == {}
    assert [int(row.argmax()) for row in convert.weights] == [j for j in range(32) if j not in removed]


def test_lengths_and_left_right_order_of_the_formats():
    sizes = {
        "coco17": 17,
        "halpe26": 26,
        "body_25": 25,
        "mediapipe33": 33,
        "mpi_inf_3dhp_28": 28,
        "smpl24": 24,
        "spin24": 24,
    }
    assert {name: len(LAYOUTS[name]) for name in sizes} == sizes
    assert BODY_25.index(["neck", "right_wrist", "mid_hip", "left_ankle", "right_heel"]) == [1, 4, 8, 14, 24]
    assert LAYOUTS["halpe26"].index(["head_top", "neck", "hip"]) == [17, 18, 19]
    assert LAYOUTS["mediapipe33"].index(["left_shoulder", "right_hip", "right_ankle"]) == [11, 24, 28]
    assert MPI_INF_3DHP_28.index(["pelvis", "head_top", "left_hip", "right_hip"]) == [4, 7, 18, 23]
    assert LAYOUTS["smpl24"].index(["left_hip", "neck", "right_wrist"]) == [1, 12, 21]


def test_what_cannot_be_converted_is_named():
    with pytest.raises(
        DataError, match="layout h36m17: expected joints for skeleton coco17, found none for left_eye"
    ):
        conversion("h36m17", COCO17)
    with pytest.raises(DataError, match=r"layout: expected one of .*body_25.*, found 'octopus'"):
        conversion("octopus", H36M16)
    with pytest.raises(
        DataError, match=r"pose: expected shape \(..., 17, D\) for coco17, found \(3, 16, 2\)"
    ):
        conversion("coco17", H36M16)(np.zeros((3, 16, 2)))


def test_a_users_own_joints_are_matched_by_name():
    fly = Skeleton.declare("fly", {"thorax": None, "head": "thorax", "wing": "thorax"})
    layout = Layout("tracked", ("wing", "antenna", "head", "thorax"))
    pose, seen = conversion(layout, fly)(np.arange(8.0).reshape(4, 2))
    assert pose.tolist() == [[6, 7], [4, 5], [0, 1]] and seen.all()
    assert isinstance(conversion(layout, fly), Conversion) and conversion(layout, fly).recipes[
        "head"
    ] == Recipe({"head": 1.0})
