"""Published evaluations: their frames, joints, alignment and averages.

Numbers of different protocols cannot be compared, nor can numbers of one protocol with other choices in it.
So each comes with a card that lists the choices. Sets are read from the user's copies of the published files.
A copy with another number of frames is evaluated, and its card states that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from poseda.datasets import DataError, LabelledPoses, read_source
from poseda.evaluation import metrics
from poseda.geometry.skeleton import Skeleton
from poseda.ops import procrustes_align

LIMBS = tuple(
    f"{side}_{joint}"
    for side in ("right", "left")
    for joint in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
)
FOURTEEN = (*LIMBS, "thorax", "head_top")
"""Limbs, neck and head top: what MPI-INF-3DHP counts in PCK, and the 14 joints of 3DPW evaluations."""


@dataclass(frozen=True)
class Protocol:
    """One published evaluation.

    Args:
        name: on the command line.
        files: what to bring.
        skeletons: of the lifters that it can evaluate.
        scored: joints of MPJPE and PA-MPJPE, or None for all.
        counted: joints of PCK and AUC, or None for all.
        frames: how many the published set has, or None where that depends on the copy.
        belongs: whether a file of the data is of the set, by what its columns say.
        card: what else a reader must know.
    """

    name: str
    files: str
    skeletons: tuple[str, ...]
    scored: tuple[str, ...] | None
    counted: tuple[str, ...] | None
    frames: int | None
    belongs: Callable[[LabelledPoses], bool]
    card: dict[str, str]

    def open(self, path: Path, skeleton: Skeleton, cameras: Path | None) -> LabelledPoses:
        """Read the set.

        Raises:
            DataError: if the data is another, or the lifters' skeleton cannot be evaluated on it.
        """
        if skeleton.name not in self.skeletons:
            raise DataError(
                f"--protocol: {self.name} expects lifters of {' or '.join(self.skeletons)}, "
                f"found {skeleton.name}"
            )
        poses = read_source(path, skeleton=skeleton, cameras=cameras)
        if not self.belongs(poses):
            raise DataError(f"{path}: expected {self.files} for --protocol {self.name}, found other poses")
        return poses

    def measure(self, prediction: Tensor, target: Tensor, skeleton: Skeleton, clip: Tensor) -> dict[str, Any]:
        """Score predictions.

        Args:
            prediction, target: (N, J, 3) metres; roots are put at the origin.
            skeleton: of the poses.
            clip: (N,) the sequence of each.

        Returns:
            mpjpe, pa_mpjpe (millimetres), pck, auc (percent) over the protocol's joints, pooled. All but
            pa_mpjpe also as means over sequences, ``…_per_sequence``. Then poses and per_joint.
        """
        scored, counted = (_index(skeleton, joints) for joints in (self.scored, self.counted))
        errors = metrics.joint_errors(prediction, target)
        one, other = prediction[:, scored].double(), target[:, scored].double()
        aligned = (procrustes_align(one, other) - other).norm(dim=-1).mean(-1) * metrics.MILLIMETRES
        by_frame = {
            "mpjpe": errors[:, scored].mean(-1),
            "pck": metrics.share_within(errors[:, counted]),
            "auc": metrics.area_within(errors[:, counted]),
        }
        return {
            **{name: float(values.mean()) for name, values in by_frame.items()},
            "pa_mpjpe": float(aligned.mean()),
            **{
                f"{name}_per_sequence": float(metrics.mean_of_clips(values, clip))
                for name, values in by_frame.items()
            },
            "poses": len(errors),
            "per_joint": dict(zip(skeleton.joint_names, errors.mean(0).tolist(), strict=True)),
        }

    def describe(self, poses: LabelledPoses, skeleton: Skeleton, flip: bool) -> dict[str, str]:
        """The protocol card of an evaluation."""

        def listed(joints: tuple[str, ...] | None) -> str:
            if joints is None:
                return f"all {skeleton.num_joints} of {skeleton.name}"
            return f"{len(joints)} of {skeleton.name}: {', '.join(joints)}"

        frames = str(len(poses))
        if self.frames is not None and len(poses) != self.frames:
            frames += f" (the published set has {self.frames:,}: do not compare with published numbers)"
        return {
            "protocol": self.name,
            "frames": frames,
            "joints": f"MPJPE and PA-MPJPE over {listed(self.scored)}",
            "PCK, AUC": f"{listed(self.counted)}; strictly under 150 mm; mean of PCK at 0, 5, ... 150 mm",
            "alignment": "root-relative by subtraction; PA-MPJPE after a similarity for each frame",
            "averages": "pooled over joints and frames; …_per_sequence: mean over sequences",
            "test-time flip": "averaged with the mirrored pose" if flip else "off",
            "scale fix": "none",
            "selection": "none: averaged weights of the last step",
            **self.card,
        }


def _index(skeleton: Skeleton, joints: tuple[str, ...] | None) -> list[int]:
    names = skeleton.joint_names if joints is None else joints
    return [skeleton.joint(name) for name in names]


def _has_column(name: str, text: str = "") -> Callable[[LabelledPoses], bool]:
    return lambda poses: name in poses.columns and all(text in str(value) for value in poses.columns[name])


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "poseaug-3dhp-2929",
            "SPIN's mpi_inf_3dhp_valid.npz",
            ("h36m16",),
            scored=None,
            counted=None,
            frames=2929,
            belongs=_has_column("image"),
            card={
                "data": "MPI-INF-3DHP's test set as SPIN's mpi_inf_3dhp_valid.npz samples it",
                "2D source": "the file's annotations",
                "exclusions": "none",
                "remark": "PoseAug's joints, frames and metrics; its models were chosen by their test scores",
            },
        ),
        Protocol(
            "mpi-inf-3dhp-official",
            "MPI-INF-3DHP's annot_data.mat of TS1 to TS6",
            ("h36m16", "h36m17"),
            scored=None,
            counted=FOURTEEN,
            frames=None,
            belongs=_has_column("subject", "TS"),
            card={
                "data": "MPI-INF-3DHP's test set TS1 to TS6, univ_annot3",
                "2D source": "annot2 of the file",
                "exclusions": "frames whose valid_frame is 0",
                "remark": "the official MPJPE is over 17 joints: h36m16 lacks the head's centre among them, "
                "h36m17 has its nose there",
            },
        ),
        Protocol(
            "3dpw-14",
            "3DPW's sequence files (test split)",
            ("h36m16", "h36m17"),
            scored=FOURTEEN,
            counted=FOURTEEN,
            frames=None,
            belongs=lambda poses: _has_column("subject", "/")(poses) and "frame" in poses.columns,
            card={
                "data": "the 3DPW files given; the protocol's are those of the test split",
                "2D source": "projection of the 3D joints",
                "exclusions": "frames whose campose_valid is 0, and those with a joint behind the camera",
                "remark": "labels are jointPositions, SMPL's own joints, the head's end extrapolated; joints "
                "regressed from the mesh give other numbers",
            },
        ),
    )
}
"""Every published evaluation by name."""
