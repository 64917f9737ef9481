"""Joints from one set to another: by name, mirrored alike, with made-up and unseen joints marked."""

import numpy as np
import pytest
from walkers import HEIGHT, side, standing, stem

from poseda.datasets import DataError
from poseda.datasets.conversion import Conversion, conversion, why_too_few
from poseda.datasets.layouts import BODY_25, H36M32, LAYOUTS, MPI_INF_3DHP_28, Layout
from poseda.datasets.recipes import Recipe
from poseda.geometry.skeleton import COCO17, H36M16, H36M17, MPI_INF_3DHP, Skeleton

SOURCES = tuple(LAYOUTS)


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


@pytest.mark.parametrize("source", SOURCES)
def test_every_way_to_make_a_joint_has_weights_that_sum_to_one_and_a_note(source):
    convert = conversion(source, H36M17)
    assert np.allclose(convert.weights.sum(1), 1, atol=1e-12)
    for joint, ways in convert.recipes.items():
        for recipe in ways:
            assert sum(recipe.weights.values()) == pytest.approx(1)
            assert (list(recipe.weights) == [joint]) == (recipe.note == ""), (
                "a joint that is no copy says how"
            )
        assert len({frozenset(recipe.weights.items()) for recipe in ways}) == len(ways), "a way stands twice"
        assert bool(ways[0].note) == (joint in convert.made_up)


def test_what_is_made_up_is_listed():
    made_up = conversion("coco17", "h36m17").made_up
    assert list(made_up) == ["pelvis", "spine", "thorax", "head_top"]
    assert made_up["pelvis"] == "mean of left_hip, right_hip"
    assert made_up["head_top"].startswith("extrapolated from left_shoulder and right_shoulder to left_ear")
    assert conversion("h36m17", "h36m16").made_up == {}
    assert conversion("h36m16", "h36m17").made_up == {"nose": "mean of thorax, head_top"}
    assert "head_top" not in conversion("halpe26", "h36m16").made_up


def test_a_joint_is_seen_iff_all_joints_of_one_way_to_make_it_are():
    convert = conversion("body_25", "h36m17")
    names = BODY_25.joint_names
    visible = np.random.default_rng(0).random((200, len(names))) > 0.3
    pose, seen = convert(np.ones((200, len(names), 2)), visible)
    for column, joint in enumerate(H36M17.joint_names):
        ways = [visible[:, BODY_25.index(list(recipe.weights))].all(1) for recipe in convert.recipes[joint]]
        assert np.array_equal(seen[:, column], np.any(ways, 0)) and 0 < seen[:, column].sum() < 200
        assert np.array_equal(
            convert.chosen(visible)[:, column], np.where(np.any(ways, 0), np.argmax(ways, 0), -1)
        )
    assert np.allclose(pose[seen], 1) and (pose[~seen] == 0).all()


def profile(hidden: str) -> tuple[np.ndarray, np.ndarray]:
    """A standing person in BODY_25 without the joints whose names begin so."""
    names = BODY_25.joint_names
    return standing(BODY_25)[None], np.array([[not name.startswith(tuple(hidden.split())) for name in names]])


@pytest.mark.parametrize(
    ("hidden", "note"),
    [
        ("none", "extrapolated from neck to left_ear and right_ear"),
        ("left_ear", "extrapolated from neck to right_ear"),
        ("right_ear left_eye right_eye nose", "extrapolated from neck to left_ear"),
        ("left_ear right_ear", "extrapolated from neck to nose"),
        ("neck left_ear", "extrapolated from left_shoulder and right_shoulder to right_ear"),
        ("neck left_shoulder left_ear right_ear", "extrapolated from right_shoulder to nose"),
    ],
)
def test_a_profile_has_a_head_top_from_what_it_shows(hidden, note):
    convert, (pose, visible) = conversion("body_25", "h36m16"), profile(hidden)
    converted, seen = convert(pose, visible)
    top = H36M16.joint("head_top")
    assert seen[0, top] and abs(converted[0, top, 1] - HEIGHT["head_top"]) < 0.1
    (how,) = [how for how in convert.made_up_rows(visible)["head_top"] if how.startswith(note)]
    assert convert.made_up_rows(visible)["head_top"][how] == 1


def test_second_bests_stand_in_for_the_middle_joints_and_are_counted():
    convert = conversion("body_25", "h36m16")
    pose, visible = np.repeat(standing(BODY_25)[None], 4, 0), np.ones((4, 25), bool)
    visible[1, BODY_25.index(["mid_hip"])] = False
    visible[2, BODY_25.index(["neck"])] = False
    visible[3, BODY_25.index(["mid_hip", "left_hip"])] = False
    converted, seen = convert(pose, visible)
    assert np.allclose(converted[:3], converted[:1], atol=0.03) and seen[:3].all()
    assert not seen[3, H36M16.joint("pelvis")] and converted[3, H36M16.joint("pelvis")].tolist() == [0, 0]
    counts = convert.made_up_rows(visible)
    assert counts["pelvis"] == {
        "mid_hip in its place: the middle of the hips": 2,
        "mean of left_hip, right_hip": 1,
    }
    assert (
        sum(counts["thorax"].values()) == 4 and counts["thorax"]["mean of left_shoulder, right_shoulder"] == 1
    )
    assert "left_knee" not in counts


def test_rows_that_are_seen_whole_are_converted_bit_by_bit_as_alone():
    rng = np.random.default_rng(0)
    pose, visible = rng.normal(size=(50, 25, 2)), np.ones((50, 25), bool)
    visible[::2] = rng.random((25, 25)) > 0.4
    convert = conversion("body_25", "h36m17")
    converted, _ = convert(pose, visible)
    assert np.array_equal(converted[1::2], convert(pose[1::2])[0])
    assert np.array_equal(convert(pose)[0], convert.weights @ pose)


def test_a_foot_or_a_hand_stands_in_only_where_no_ankle_or_wrist_is_named():
    body = [name for name in COCO17.joint_names if "ankle" not in name]
    feet = Layout("feet", (*body, "left_foot", "right_foot"))
    assert conversion(feet, "h36m16").made_up["left_ankle"] == "left_foot in its place: the end of the limb"
    both = Layout("both", (*COCO17.joint_names, "left_foot", "right_foot"))
    assert len(conversion(both, "h36m16").recipes["left_ankle"]) == 1


def test_a_head_is_the_top_the_face_or_the_base_of_the_skull_by_what_else_is_named():
    body = tuple(name for name in COCO17.joint_names if "_e" not in name and name != "nose")
    arms = ("left_elbow", "right_elbow")
    plain = conversion(Layout("own", (*body, *arms, "neck", "head")), "h36m17").made_up
    assert plain["head_top"] == "head in its place: taken for the top of the head"
    assert plain["nose"] == "mean of neck, head"
    rig = conversion(Layout("rig", (*body, *arms, "neck", "head", "spine1")), "h36m17").made_up
    assert rig["head_top"].endswith("1.3 of that way beyond")


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
    assert isinstance(conversion(layout, fly), Conversion)
    assert conversion(layout, fly).recipes["head"] == (Recipe({"head": 1.0}),)


@pytest.mark.parametrize(
    ("detected", "own", "why"),
    [
        (8, 4, ""),
        (7, 7, "7 of 8 joints seen (--min-joints)"),
        (11, 3, "3 of 4 joints seen that the lifter has"),
        (0, 0, "0 of 8 joints seen (--min-joints)"),
    ],
)
def test_a_row_that_shows_too_little_says_why(detected, own, why):
    assert why_too_few(np.arange(25) < detected, np.arange(13) < own, 8) == why
