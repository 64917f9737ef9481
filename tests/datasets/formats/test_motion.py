"""Motion files as people have them: which axis is up, joints that are missing or one place, units, gaps."""

import numpy as np
import pytest
import torch
from motions import BONES, MARKERS, STANDING, bvh, trc, write_c3d, y_up

from poseda.datasets import DataError, LabelledPoses, read_source
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.motion import Motion, world_poses
from poseda.datasets.formats.upright import find_up, turned
from poseda.geometry.camera import project
from poseda.geometry.skeleton import H36M16, H36M17

# ------------------------------------------------------------------------------------------------ bodies

LAID = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
"""Turns z to y and y to -z: a person who stands comes to lie."""


def h36m17(rotation: np.ndarray | None = None, shift: tuple = (0, 0, 0)) -> np.ndarray:
    pose = np.array([STANDING[name] for name in H36M17.joint_names], np.float64)
    return (pose if rotation is None else pose @ rotation.T) + shift


def upright(poses: LabelledPoses) -> float:
    """How far the head is above the ankles before the assumed cameras, which look down a little; metres."""
    top, ankle = (poses.pose_3d[:, H36M16.joint(name), 1] for name in ("head_top", "left_ankle"))
    return float((ankle - top).mean())


def bone(poses: LabelledPoses, joint: str) -> float:
    at = H36M16.joint(joint)
    parent = H36M16.parents[at]
    return float((poses.pose_3d[:, at] - poses.pose_3d[:, parent]).norm(dim=-1).median())


# --------------------------------------------------------------------------------------------- which is up


def test_the_rest_pose_tells_which_axis_is_up_and_a_lying_person_stays_lying(tmp_path):
    path = tmp_path / "lying.bvh"
    path.write_text(bvh([{"root": (0, 12, 0), "Hips": (0, -90, 0)}] * 3))
    poses = read_source(path)
    assert abs(upright(poses)) < 0.4
    assert poses.reading.up == ("+y is up, by the rest pose",)
    assert any("people lie or bend" in sentence for sentence in poses.reading.warnings)
    path.write_text(bvh([{}] * 3))
    assert upright(read_source(path)) > 1.3 and not read_source(path).reading.warnings


def test_a_rest_pose_with_z_up_is_read_as_such(tmp_path):
    bones = {name: (parent, (x, -z, y)) for name, (parent, (x, y, z)) in BONES.items()}
    (tmp_path / "z.bvh").write_text(bvh([{"root": (0, 0, 95)}] * 2, bones=bones))
    poses = read_source(tmp_path / "z.bvh")
    assert poses.reading.up == ("+z is up, by the rest pose",) and upright(poses) > 1.3


def test_feet_on_the_floor_of_another_axis_overrule_the_rest_pose():
    rest, pose = y_up(h36m17()), h36m17(shift=(0, 2, 0))[None]
    found = find_up(pose, rest - rest[0])
    assert (found.axis, found.told_by) == ("+z", "the trunks of the motion")
    assert found.warning == "the rest pose says +y is up"
    lying = h36m17(LAID, (0, 0, 0.1))[None]  # the head points to +y, the feet are nowhere near y = 0
    assert find_up(lying + np.array([0, 3, 0]), h36m17() - h36m17()[0]).axis == "+z"


def test_bones_laid_out_along_one_axis_are_no_rest_pose_but_its_root_may_tell():
    strange = np.zeros((17, 3))
    strange[:, 0] = np.arange(17) * 0.4
    lying = y_up(h36m17(LAID, (0, 3, 0.1)))[None]
    assert find_up(lying, strange - strange[0] + [0, 0.95, 0]).told_by == "the root's height in the rest pose"
    assert find_up(lying, strange - strange[0] + [0, 0.95, 0]).axis == "+y"
    assert find_up(y_up(h36m17())[None], strange - strange[0]).told_by == "the trunks of the motion"


@pytest.mark.parametrize("axis", ["+x", "-x", "+y", "-y", "+z", "-z"])
def test_turning_an_axis_up_is_a_rotation(axis):
    world = np.eye(3)
    images = turned(world, axis)
    assert np.linalg.det(images) == pytest.approx(1)
    up = world["xyz".index(axis[1])] * (1 if axis[0] == "+" else -1)
    assert turned(up, axis).tolist() == [0, 0, 1]


# ------------------------------------------------------------------------------------ joints of skeletons


def test_a_spine_at_the_place_of_the_neck_is_passed_over_for_one_that_is_apart(tmp_path):
    bones = BONES | {"Neck": ("Spine1", (0, 0, 0)), "Head": ("Neck", (0, 20, 0))}
    (tmp_path / "cmu.bvh").write_text(bvh([{}], bones=bones))
    poses = read_source(tmp_path / "cmu.bvh")
    assert bone(poses, "spine") == pytest.approx(0.10, abs=0.01)
    assert bone(poses, "thorax") == pytest.approx(0.14, abs=0.01)
    for name in ("LowerBack", "Abdomen2"):  # one that is known, one that is not
        renamed = {n.replace("Spine", name, 1) if n == "Spine" else n: (
            (p.replace("Spine", name) if p == "Spine" else p), o) for n, (p, o) in bones.items()}  # fmt: skip
        (tmp_path / "cmu.bvh").write_text(bvh([{}], bones=renamed))
        reading = read_source(tmp_path / "cmu.bvh").reading
        assert ("spine" in reading.made_up) == (name == "Abdomen2")
        assert bone(read_source(tmp_path / "cmu.bvh"), "thorax") > 0.1


def test_a_missing_head_and_neck_are_made_up_and_said(tmp_path):
    headless = {name: entry for name, entry in BONES.items() if name != "Head"}
    (tmp_path / "a.bvh").write_text(bvh([{}], bones=headless))
    poses = read_source(tmp_path / "a.bvh")
    assert poses.reading.made_up["head_top"] == "pelvis and Neck"
    assert 0.15 < bone(poses, "head_top") < 0.35 and upright(poses) > 1.3
    neckless = {name: entry for name, entry in headless.items() if name != "Neck"}
    (tmp_path / "a.bvh").write_text(bvh([{}], bones=neckless))
    poses = read_source(tmp_path / "a.bvh")
    assert poses.reading.made_up["thorax"] == "LeftArm and RightArm"
    assert bone(poses, "thorax") > 0.1


def test_two_joints_at_one_place_are_refused_with_the_remedy(tmp_path):
    bones = BONES | {"LeftForeArm": ("LeftArm", (0, 0, 0))}
    (tmp_path / "a.bvh").write_text(bvh([{}], bones=bones))
    with pytest.raises(DataError, match=r"left_elbow: .*apart from left_shoulder \(--joints left_elbow=NAME"):
        read_source(tmp_path / "a.bvh")


def test_an_unknown_name_of_a_joint_gets_a_suggestion(tmp_path):
    (tmp_path / "a.bvh").write_text(bvh([{}]))
    with pytest.raises(DataError, match=r"found LeftFoots; did you mean LeftFoot\?"):
        read_source(tmp_path / "a.bvh", joints={"left_ankle": "LeftFoots"})
    with pytest.raises(DataError, match=r"found left_ancle; did you mean left_ankle\?"):
        read_source(tmp_path / "a.bvh", joints={"left_ancle": "LeftFoot"})


def test_frame_times_give_times_and_files_of_two_rates_are_said(tmp_path):
    (tmp_path / "a.bvh").write_text(bvh([{}] * 4))
    poses = read_source(tmp_path, stride=2)
    assert poses.reading.rates == (60.0,)  # every second frame of 120 a second
    assert poses.columns["time"][:2].tolist() == pytest.approx([0, 2 * 0.008333])
    (tmp_path / "b.bvh").write_text(bvh([{}] * 4).replace("0.008333", "0.033333"))
    assert read_source(tmp_path).reading.warnings == ("files have 30, 120 frames per second",)


# ------------------------------------------------------------------------------------------------ markers


def test_trc_markers_are_a_source(tmp_path):
    (tmp_path / "markers.trc").write_text(trc())
    poses = read_source(tmp_path / "markers.trc")
    assert len(poses) == 4 * 4 and upright(poses) > 1.5
    seen = project(poses.pose_3d.double(), poses.camera.to(torch.float64))
    assert torch.allclose(seen, poses.pose_2d.double(), atol=1e-5)
    reading = poses.reading
    assert (reading.format, reading.rates) == ("TRC", (60.0,))
    assert reading.up == ("+y is up, by the format's custom",)
    assert set(reading.made_up) == {"pelvis", "spine"} and reading.warnings == ()
    # They face -z, and their left is at -x.
    left, right, nose = (poses.pose_3d[:, H36M16.joint(n)] for n in ("left_hip", "right_hip", "thorax"))
    assert bone(poses, "left_knee") == pytest.approx(0.45, abs=1e-3) and len(nose) == len(left) == len(right)


def test_trc_units_come_from_the_header_unless_they_cannot_be(tmp_path):
    path, plain = tmp_path / "markers.trc", tmp_path / "plain.trc"
    plain.write_text(trc())
    path.write_text(trc(unit="mm", scale=1000))
    poses = read_source(path)
    assert torch.allclose(poses.pose_3d, read_source(plain).pose_3d, atol=1e-4) and not poses.reading.warnings
    path.write_text(trc(unit="mm"))
    poses = read_source(path)
    assert bone(poses, "left_knee") == pytest.approx(0.45, abs=1e-3)
    assert poses.reading.warnings == (
        "markers.trc: the unit should be mm, but legs of 0.87 units are in metres",
    )


def test_trc_frames_without_a_marker_are_left_out_and_counted(tmp_path):
    (tmp_path / "markers.trc").write_text(trc(gap="LKnee"))
    poses = read_source(tmp_path / "markers.trc")
    assert len(poses) == 3 * 4 and poses.reading.dropped == {"a joint is unseen": 1}
    (tmp_path / "markers.trc").write_text(trc(gap="LKnee", frames=1))
    with pytest.raises(
        DataError, match="joints: expected a frame in which every joint is seen, found none; LK"
    ):
        read_source(tmp_path / "markers.trc")


def test_markers_with_z_up_are_told_by_feet_on_the_floor():
    pose = np.array([STANDING[joint] for joint in MARKERS.values()])[None]
    motion = Motion("TRC", list(MARKERS), pose, up="+y", up_told_by="the format's custom")
    world = world_poses(Field("a.trc"), motion)
    assert world.up.axis == "+z" and world.warnings == ("the format's custom says +y is up",)
    lying = (pose - [0, 0, 0.9]) @ LAID.T + [0, 0.1, 2]
    assert world_poses(Field("a.trc"), Motion("TRC", list(MARKERS), lying, up="+y")).up.axis == "+y"


def test_markers_on_the_skin_make_joints_and_say_so():
    skin = {
        "LASI": ("left_hip", (-0.03, 0.1, 0.09)), "RASI": ("right_hip", (0.03, 0.1, 0.09)),
        "LPSI": ("left_hip", (0.05, -0.1, 0.09)), "RPSI": ("right_hip", (-0.05, -0.1, 0.09)),
        **{f"{s}{m}": (f"{side}_{joint}", (0, 0, 0)) for s, side in (("L", "left"), ("R", "right"))
           for m, joint in (("KNE", "knee"), ("ANK", "ankle"), ("SHO", "shoulder"), ("ELB", "elbow"))},
        **{f"{s}WR{m}": (f"{side}_wrist", (shift, 0, 0)) for s, side in (("L", "left"), ("R", "right"))
           for m, shift in (("A", 0.03), ("B", -0.03))},
        **{f"{s}{m}HD": ("head_top", (x, y, -0.08)) for s, x in (("L", -0.07), ("R", 0.07))
           for m, y in (("F", 0.1), ("B", -0.1))},
        "C7": ("thorax", (0, -0.05, 0.05)), "CLAV": ("thorax", (0, 0.05, -0.05)),
        "T10": ("spine", (0, -0.1, 0)),
    }  # fmt: skip
    place = np.array([np.array(STANDING[joint]) + shift for joint, shift in skin.values()])[None]
    world = world_poses(
        Field("a.c3d"), Motion("C3D", list(skin), place, unit="m", up="+z", up_told_by="custom")
    )
    error = np.linalg.norm(world.pose[0] - h36m17(), axis=-1)
    assert dict(zip(H36M17.joint_names, error < 0.06, strict=True)) == dict.fromkeys(H36M17.joint_names, True)
    assert world.made_up["left_hip"] == "LASI and LPSI and left_knee"
    assert world.made_up["left_wrist"] == "LWRA and LWRB"


def test_bad_trc_files_are_named(tmp_path):
    path, good = tmp_path / "bad.trc", trc()
    for old, new, message in (
        ("Frame#", "Frames", "header: expected a line that begins with Frame#"),
        ("LKnee", "Bag", "left_knee: expected a joint of that meaning .*--joints left_knee=NAME.*Bag"),
        ("60\t60", "sixty\t60", "DataRate: expected frames per second, found sixty"),
        ("60\t60", "1e-310\t60", "DataRate: expected frames per second, found 1e-310"),
        ("0.500000", "half", "frame 0: expected numbers, found half"),
        ("0.500000", "inf", "rows: expected finite numbers"),
        ("0.500000", "0.500000\t" * 9, "frame 0: expected 47 cells, found"),
    ):
        assert old in good
        path.write_text(good.replace(old, new, 1))
        with pytest.raises(DataError, match=rf"bad\.trc: {message}"):
            read_source(path)
    path.write_text(good.replace("\t4\t15\tm", "\t9\t16\tm"))
    assert read_source(path).reading.warnings == (
        "bad.trc: the header names 16 markers, the file holds 15",
        "bad.trc: the header names 9 frames, the file holds 4",
    )


def test_damaged_trc_files_raise_nothing_but_data_errors(tmp_path):
    path, rng, refused = tmp_path / "x.trc", np.random.default_rng(0), 0
    whole = trc().encode()
    for trial in range(150):
        damaged = bytearray(whole[: int(rng.integers(1, len(whole)))] if trial % 4 == 0 else whole)
        for at in rng.integers(0, len(damaged), size=int(rng.integers(1, 6))):
            damaged[at] = rng.integers(32, 127)
        path.write_bytes(damaged)
        try:
            read_source(path)
        except DataError:
            refused += 1
    assert 10 < refused < 150


@pytest.mark.filterwarnings("ignore:No analog data")
def test_c3d_labels_units_and_axes(tmp_path):
    standing = np.array([STANDING[joint] for joint in MARKERS.values()])
    place = np.tile(standing * 1000, (3, 1, 1))
    place[2, 4] = np.nan
    write_c3d(tmp_path / "a.c3d", MARKERS, place)
    poses = read_source(tmp_path / "a.c3d")
    assert len(poses) == 2 * 4 and upright(poses) > 1.5
    assert (poses.reading.format, poses.reading.rates) == ("C3D", (100.0,))
    assert poses.reading.up == ("+z is up, by the format's custom",)
    assert poses.reading.dropped == {"a joint is unseen": 1} and poses.reading.warnings == ()
    write_c3d(tmp_path / "b.c3d", MARKERS, y_up(place), screen="+Y")
    other = read_source(tmp_path / "b.c3d")
    assert other.reading.up == ("+y is up, by POINT:Y_SCREEN",)
    assert torch.allclose(other.pose_3d, poses.pose_3d, atol=1e-4)


@pytest.mark.filterwarnings("ignore:No analog data")
def test_damaged_c3d_files_raise_nothing_but_data_errors(tmp_path):
    path, rng, refused = tmp_path / "x.c3d", np.random.default_rng(0), 0
    standing = np.array([STANDING[joint] for joint in MARKERS.values()])
    write_c3d(path, MARKERS, np.tile(standing, (3, 1, 1)), unit="m")
    whole = path.read_bytes()
    for trial in range(150):
        damaged = bytearray(whole[: int(rng.integers(1, len(whole)))] if trial % 4 == 0 else whole)
        for at in rng.integers(0, min(len(damaged), 1600), size=int(rng.integers(1, 6))):
            damaged[at] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            read_source(path)
        except DataError:
            refused += 1
    assert refused > 30


def test_positions_in_another_unit_or_with_another_axis_up_are_turned_and_scaled(tmp_path):
    world = np.tile(h36m17(), (3, 1, 1))[:, [H36M17.joint(name) for name in H36M16.joint_names]]
    np.savez(tmp_path / "world.npz", positions=world)
    np.savez(tmp_path / "other.npz", positions=y_up(world) * 1000)
    poses, other = (read_source(tmp_path / f"{name}.npz") for name in ("world", "other"))
    assert torch.allclose(poses.pose_3d, other.pose_3d, atol=1e-4) and poses.reading.warnings == ()
    assert other.reading.warnings == (
        "other.npz: the format says +z is up",
        "other.npz: the unit should be m, but legs of 870 units are in millimetres",
    )


# -------------------------------------------------------------------------------------------------- folders


def test_a_bad_file_of_a_folder_is_left_out_and_named_unless_strict(tmp_path):
    (tmp_path / "a.bvh").write_text(bvh([{}]))
    (tmp_path / "empty.bvh").write_text("")
    (tmp_path / "cut.bvh").write_text(bvh([{}])[:600])
    (tmp_path / "notes.bvh").write_text("to do")
    poses = read_source(tmp_path)
    assert len(poses) == 4 and poses.reading.files == 1
    skipped = {path.rpartition("/")[2]: why for path, why in poses.reading.skipped.items()}
    assert skipped == {
        "empty.bvh": "file: expected content, found an empty file",
        "cut.bvh": "MOTION: expected this section, found none",
        "notes.bvh": "expected bvh as the other files, found text",
    }
    with pytest.raises(DataError, match=r"(empty|cut|notes)\.bvh: "):
        read_source(tmp_path, strict=True)
    (tmp_path / "a.bvh").unlink()
    with pytest.raises(DataError, match=r"cut\.bvh: MOTION"):
        read_source(tmp_path)


def test_of_a_motion_and_its_filtered_copy_the_copy_is_read(tmp_path):
    (tmp_path / "walk.trc").write_text(trc())
    (tmp_path / "walk_filt_butterworth.trc").write_text(trc())
    poses = read_source(tmp_path)
    assert set(poses.columns["subject"]) == {"walk_filt_butterworth"}
    assert list(poses.reading.skipped.values()) == ["its filtered copy is read"]
