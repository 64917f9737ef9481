"""Keypoint layouts: which joints detectors and data sets write, by name and in their own order.

A layout is a list of names. Trees of joints are skeletons and are in :mod:`poseda.geometry.skeleton`. A joint
has the same name in two layouts if, and only if, it means the same in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from poseda.config.near import guess
from poseda.datasets.errors import DataError
from poseda.geometry.skeleton import BUILT_IN, Skeleton


@dataclass(frozen=True)
class Layout:
    """Joints in the order in which a format writes them.

    Args:
        name: for messages.
        joint_names: J names.

    Raises:
        ValueError: if a name occurs twice.
    """

    name: str
    joint_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.joint_names)) != len(self.joint_names):
            raise ValueError(f"layout {self.name!r}: a name occurs twice in joint_names: {self.joint_names}")

    def __len__(self) -> int:
        return len(self.joint_names)

    @classmethod
    def of(cls, skeleton: Skeleton) -> Layout:
        """The joints of a skeleton in its order."""
        return cls(skeleton.name, skeleton.joint_names)

    @classmethod
    def named(cls, name: str) -> Layout:
        """Return the built-in layout of that name.

        Raises:
            DataError: if there is none; the message lists all names.
        """
        if name not in LAYOUTS:
            raise DataError(
                f"layout: expected one of {', '.join(LAYOUTS)}, found {name!r}{guess(name, LAYOUTS)}"
            )
        return LAYOUTS[name]

    def index(self, names: Sequence[str]) -> list[int]:
        """Indices of the joints of these names."""
        return [self.joint_names.index(name) for name in names]


def _layout(name: str, joints: str) -> Layout:
    return Layout(name, tuple(joints.split()))


_COCO = """
    nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist
    right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle"""

HALPE26 = _layout(
    "halpe26",
    _COCO + """
    head_top neck hip left_big_toe right_big_toe left_small_toe right_small_toe left_heel right_heel""",
)  # fmt: skip
"""Halpe's body with feet, as AlphaPose and RTMPose's body26 models write it."""

BODY_25 = _layout(
    "body_25", """
    nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist mid_hip right_hip
    right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear left_big_toe
    left_small_toe left_heel right_big_toe right_small_toe right_heel""",
)  # fmt: skip
"""OpenPose's default."""

BODY_25B = _layout(
    "body_25b",
    _COCO + """
    upper_neck head_top left_big_toe left_small_toe left_heel right_big_toe right_small_toe right_heel""",
)  # fmt: skip
"""OpenPose's experimental body model: COCO's joints first. BODY_135 begins with it."""

COCO18 = _layout(
    "coco18", """
    nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee
    right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear""",
)  # fmt: skip
"""OpenPose's COCO model, which DWPose and older exports of AlphaPose follow."""

OPENPOSE_MPI15 = _layout(
    "openpose_mpi15", """
    head_top neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip
    right_knee right_ankle left_hip left_knee left_ankle chest""",
)  # fmt: skip
"""OpenPose's MPI model; its last joint is the middle of the trunk."""

CROWDPOSE14 = _layout(
    "crowdpose14", """
    left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_hip right_hip left_knee
    right_knee left_ankle right_ankle head_top neck""",
)  # fmt: skip
"""CrowdPose."""

AIC14 = _layout(
    "aic14", """
    right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee
    right_ankle left_hip left_knee left_ankle head_top neck""",
)  # fmt: skip
"""AI Challenger."""

POSETRACK17 = _layout(
    "posetrack17", """
    nose upper_neck head_top left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist
    right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle""",
)  # fmt: skip
"""PoseTrack 2018, whose "head_bottom" is the upper end of the neck."""

MPII16 = _layout(
    "mpii16", """
    right_ankle right_knee right_hip left_hip left_knee left_ankle pelvis thorax upper_neck head_top
    right_wrist right_elbow right_shoulder left_shoulder left_elbow left_wrist""",
)  # fmt: skip
"""MPII Human Pose."""

JHMDB15 = _layout(
    "jhmdb15", """
    neck belly head right_shoulder left_shoulder right_hip left_hip right_elbow left_elbow right_knee
    left_knee right_wrist left_wrist right_ankle left_ankle""",
)  # fmt: skip
"""J-HMDB, whose head is the middle of the face."""

MEDIAPIPE33 = _layout(
    "mediapipe33", """
    nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer left_ear right_ear
    mouth_left mouth_right left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist
    left_pinky right_pinky left_index right_index left_thumb right_thumb left_hip right_hip left_knee
    right_knee left_ankle right_ankle left_heel right_heel left_foot_index right_foot_index""",
)  # fmt: skip
"""MediaPipe Pose (BlazePose)."""

MPI_INF_3DHP_28 = _layout(
    "mpi_inf_3dhp_28", """
    spine3 spine4 spine2 spine pelvis neck head head_top left_clavicle left_shoulder left_elbow left_wrist
    left_hand right_clavicle right_shoulder right_elbow right_wrist right_hand left_hip left_knee left_ankle
    left_foot left_toe right_hip right_knee right_ankle right_foot right_toe""",
)  # fmt: skip
"""MPI-INF-3DHP's training annotations (annot.mat)."""

MPI_INF_3DHP_17 = _layout(
    "mpi_inf_3dhp_17", """
    head_top neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip
    right_knee right_ankle left_hip left_knee left_ankle pelvis spine head""",
)  # fmt: skip
"""MPI-INF-3DHP's test annotations (annot_data.mat)."""

SMPL24 = _layout(
    "smpl24", """
    pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot
    right_foot neck left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow
    left_wrist right_wrist left_hand right_hand""",
)  # fmt: skip
"""SMPL's joints, as 3DPW stores them."""

SPIN24 = _layout(
    "spin24", """
    right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist right_elbow right_shoulder
    left_shoulder left_elbow left_wrist neck lsp_head_top pelvis mpii_thorax spine jaw head_top nose left_eye
    right_eye left_ear right_ear""",
)  # fmt: skip
"""The 24 annotated joints of SPIN's npz files; MPI-INF-3DHP fills 17 of them."""

H36M32 = _layout(
    "h36m32", """
    pelvis right_hip right_knee right_ankle right_toe right_toe_end left_hip left_knee left_ankle left_toe
    left_toe_end lower_spine spine thorax nose head_top left_clavicle left_shoulder left_elbow left_wrist
    left_thumb left_thumb_end left_hand left_hand_end right_clavicle right_shoulder right_elbow right_wrist
    right_thumb right_thumb_end right_hand right_hand_end""",
)  # fmt: skip
"""Human3.6M's 32 joints, as VideoPose3D's data_3d_h36m.npz holds them."""

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        HALPE26,
        BODY_25,
        BODY_25B,
        COCO18,
        OPENPOSE_MPI15,
        CROWDPOSE14,
        AIC14,
        POSETRACK17,
        MPII16,
        JHMDB15,
        MEDIAPIPE33,
        MPI_INF_3DHP_28,
        MPI_INF_3DHP_17,
        SMPL24,
        SPIN24,
        H36M32,
        *map(Layout.of, BUILT_IN.values()),
    )
}
"""Every built-in layout. The joints of each built-in skeleton are one too: ``coco17`` has COCO's order."""

BY_JOINTS: dict[int, tuple[Layout, int]] = {
    17: (LAYOUTS["coco17"], 17), 18: (COCO18, 18), 25: (BODY_25, 25), 26: (HALPE26, 26),
    33: (MEDIAPIPE33, 33), 68: (HALPE26, 26), 133: (LAYOUTS["coco17"], 17), 134: (COCO18, 18),
    135: (BODY_25B, 25), 136: (HALPE26, 26),
}  # fmt: skip
"""The layout that a number of detected joints stands for, and how many of the first joints it takes.

Whole-body models write the body first, then face and hands.
"""
