"""Names of joints: every spelling of a joint is the same joint, and what is unknown stays as it is."""

import numpy as np
import pytest

from poseda.datasets.conversion import conversion
from poseda.datasets.joint_names import MIDDLE, OWN_JOINTS, RIG, SIDED, canonical, layout_of_names, same_joint
from poseda.datasets.layouts import LAYOUTS, Layout
from poseda.geometry.skeleton import H36M16, Skeleton


@pytest.mark.parametrize(
    "spelling",
    [
        "left_big_toe", "LBigToe", "LEFT_BIG_TOE", "leftBigToe", "left-big-toe", "Left big toe", "l_bigtoe",
        "L_Big_Toe", "big_toe_l", "BigToe.L", "bigtoe_left", "lft_big_toe", "rig:LeftBigToe",
        "left_big_toe_joint", " lbigtoe ",
    ],
)  # fmt: skip
def test_every_spelling_of_a_joint_is_that_joint(spelling):
    assert canonical(spelling) == "left_big_toe"


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.name)
def test_our_own_names_of_common_joints_stay_what_they_are(layout):
    for name in layout.joint_names:
        assert canonical(name) in (name, None)
    assert layout_of_names(layout.joint_names).joint_names == layout.joint_names


def test_no_word_stands_for_two_joints():
    for words in (MIDDLE, SIDED | {f"rig {joint}": stems for joint, stems in RIG.items()}):
        every = [word for stems in words.values() for word in stems.split()]
        assert len(set(every)) == len(every)


@pytest.mark.parametrize(
    "name", ["rear", "tail base", "snout", "left wing", "l", "", "  ", "face-0", "left_thumb1"]
)
def test_what_is_no_joint_of_a_person_is_unknown(name):
    assert canonical(name) is None


PEOPLE = {
    "coco17": """
        nose leftEye rightEye leftEar rightEar leftShoulder rightShoulder leftElbow rightElbow leftWrist
        rightWrist leftHip rightHip leftKnee rightKnee leftAnkle rightAnkle""",
    "halpe26": """
        Nose LEye REye LEar REar LShoulder RShoulder LElbow RElbow LWrist RWrist LHip RHip LKnee RKnee
        LAnkle RAnkle Head Neck Hip LBigToe RBigToe LSmallToe RSmallToe LHeel RHeel""",
    "body_25": """
        Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist MidHip RHip RKnee RAnkle LHip LKnee LAnkle
        REye LEye REar LEar LBigToe LSmallToe LHeel RBigToe RSmallToe RHeel""",
    "crowdpose14": """
        left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_hip right_hip
        left_knee right_knee left_ankle right_ankle head neck""",
    "aic14": """
        right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee
        right_ankle left_hip left_knee left_ankle head_top neck""",
    "posetrack17": """
        nose head_bottom head_top left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow
        left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle""",
    "jhmdb15": """
        neck belly face right_shoulder left_shoulder right_hip left_hip right_elbow left_elbow right_knee
        left_knee right_wrist left_wrist right_ankle left_ankle""",
    "mpii16": """
        r-ankle r-knee r-hip l-hip l-knee l-ankle pelvis thorax upper-neck head-top r-wrist r-elbow
        r-shoulder l-shoulder l-elbow l-wrist""",
    "h36m17": """
        Hip RHip RKnee RFoot LHip LKnee LFoot Spine Thorax Neck/Nose Head LShoulder LElbow LWrist RShoulder
        RElbow RWrist""",
    "mediapipe33": " ".join(name.upper() for name in LAYOUTS["mediapipe33"].joint_names),
}  # fmt: skip


@pytest.mark.parametrize("layout", PEOPLE)
def test_names_as_data_sets_and_detectors_spell_them_are_their_layout(layout):
    assert layout_of_names(PEOPLE[layout].split()) is LAYOUTS[layout]


def test_a_head_of_crowdpose_is_the_top_in_any_order():
    names = sorted(PEOPLE["crowdpose14"].split())
    found = layout_of_names(names)
    assert found.name == OWN_JOINTS and "head_top" in found.joint_names and "head" not in found.joint_names
    assert "head_top" not in conversion(found, H36M16).made_up


def test_mmposes_names_of_a_whole_body_model_are_its_body():
    body = list(LAYOUTS["coco17"].joint_names)
    names = [*body, *(f"face-{at}" for at in range(68)), *(f"left_part{at}" for at in range(48))]
    assert len(names) == 133 and layout_of_names(names) is LAYOUTS["coco17"]


def test_names_of_a_motion_file_are_read_as_bones():
    rig = layout_of_names(
        ["Hips", "Spine", "Neck", "Head"]
        + [f"{side}{bone}" for side in ("Left", "Right") for bone in ("Shoulder", "Arm", "ForeArm", "Hand")]
        + [f"{side}{bone}" for side in ("Left", "Right") for bone in ("UpLeg", "Leg", "Foot")]
    )
    assert rig.joint_names[4:8] == ("left_clavicle", "left_shoulder", "left_elbow", "left_hand")
    assert rig.joint_names[12:15] == ("left_hip", "left_knee", "left_foot")
    assert conversion(rig, H36M16).made_up["left_wrist"] == "left_hand in its place: the end of the limb"


def test_unknown_names_stay_and_a_users_skeleton_finds_them_in_any_spelling():
    layout = layout_of_names(["Snout", "leftear", "tail base"])
    assert layout.joint_names == ("snout", "left_ear", "tail_base")
    mouse = Skeleton.declare("mouse", {"tailbase": None, "snout": "tailbase", "leftear": "snout"})
    pose, seen = conversion(layout, mouse)(np.arange(6.0).reshape(3, 2))
    assert pose.tolist() == [[4, 5], [0, 1], [2, 3]] and seen.all()
    assert same_joint("WingTip", "wing_tip") and not same_joint("wing", "wing_tip")


def test_of_two_names_for_a_joint_the_one_spelled_as_ours_has_it():
    assert layout_of_names(["LShoulder", "left_shoulder", "nose"]).joint_names == (
        "lshoulder",
        "left_shoulder",
        "nose",
    )
    with pytest.raises(ValueError, match="a name occurs twice"):
        layout_of_names(["tail", "nose", "Tail"])


def test_a_layout_of_few_joints_says_which_are_missing():
    with pytest.raises(ValueError, match="found none for pelvis, right_hip"):
        conversion(Layout(OWN_JOINTS, ("nose", "neck")), H36M16)
