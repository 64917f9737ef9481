"""From the joints of a detector or a data set to those of a skeleton, by name.

Every target joint is a weighted sum of named source joints. It is seen where all of them are, and its
confidence is the least of theirs. :attr:`Conversion.made_up` names the joints that are not copies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from poseda.datasets.errors import DataError
from poseda.datasets.layouts import Layout
from poseda.geometry.skeleton import H36M17, Skeleton

HEAD_BEYOND_EARS = 1 / 3
"""Human3.6M's head end lies beyond the ears, by about this share of the way from the neck to the ears. An
adult of 1.75 m has ears 0.19 m above the shoulders, and a head end 0.25 m above them."""

HEAD_BEYOND_SKULL = 1.3
"""Where the head joint is the base of the skull (SMPL, many BVH files), it lies 0.10 m above the neck. The
head end lies 0.13 m farther, 1.3 times that way."""


@dataclass(frozen=True)
class Recipe:
    """How one target joint is made.

    Args:
        weights: source joint to weight; the weights sum to one.
        note: how it is made, in words; empty where the joint is copied.
    """

    weights: Mapping[str, float]
    note: str = ""


def _same(joint: str) -> Recipe:
    return Recipe({joint: 1.0})


def _as(joint: str, note: str) -> Recipe:
    return Recipe({joint: 1.0}, f"{joint} in its place: {note}")


def _mean(*joints: str) -> Recipe:
    return Recipe({joint: 1 / len(joints) for joint in joints}, f"mean of {', '.join(joints)}")


def _beyond(start: tuple[str, ...], end: tuple[str, ...], share: float) -> Recipe:
    """Past the mean of ``end`` by a share of the way there from the mean of ``start``."""
    weights = {joint: -share / len(start) for joint in start}
    weights |= {joint: (1 + share) / len(end) for joint in end}
    way = f"{' and '.join(start)} to {' and '.join(end)}"
    return Recipe(weights, f"extrapolated from {way}, and {share:.2g} of that way beyond")


_HIPS, _SHOULDERS, _EARS = (
    tuple(f"{side}_{joint}" for side in ("left", "right")) for joint in ("hip", "shoulder", "ear")
)
_LIMBS = {
    f"{side}_{joint}": _same(f"{side}_{joint}")
    for side in ("right", "left")
    for joint in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
}
_FACE_ONLY = _LIMBS | {
    "pelvis": _mean(*_HIPS),
    "spine": _mean(*_HIPS, *_SHOULDERS),
    "thorax": _mean(*_SHOULDERS),
    "nose": _same("nose"),
    "head_top": _beyond(_SHOULDERS, _EARS, HEAD_BEYOND_EARS),
}
_STUDIO = _LIMBS | {
    "pelvis": _same("pelvis"),
    "spine": _same("spine"),
    "thorax": _as("neck", "the throat, a little above Human3.6M's thorax"),
    "nose": _as("head", "the centre of the head, behind Human3.6M's nose"),
    "head_top": _same("head_top"),
}

TO_H36M17: dict[str, dict[str, Recipe]] = {
    "coco17": _FACE_ONLY,
    "mediapipe33": _FACE_ONLY,
    "halpe26": _LIMBS
    | {
        "pelvis": _as("hip", "annotated as the middle of the hips"),
        "spine": _mean("hip", "neck"),
        "thorax": _as("neck", "annotated as the middle of the shoulders"),
        "nose": _same("nose"),
        "head_top": _same("head_top"),
    },
    "body_25": _LIMBS
    | {
        "pelvis": _as("mid_hip", "the middle of the hips"),
        "spine": _mean("mid_hip", "neck"),
        "thorax": _as("neck", "the middle of the shoulders"),
        "nose": _same("nose"),
        "head_top": _beyond(("neck",), _EARS, HEAD_BEYOND_EARS),
    },
    "mpi_inf_3dhp_28": _STUDIO,
    "mpi_inf_3dhp_17": _STUDIO,
    "mpi_inf_3dhp": _STUDIO,
    "spin24": _STUDIO | {"nose": _as("jaw", "SPIN's place for MPI-INF-3DHP's centre of the head")},
    "smpl24": _LIMBS
    | {
        "pelvis": _mean(*_HIPS),
        "spine": _as("spine2", "at half the height of the trunk"),
        "thorax": _as("neck", "the base of the neck"),
        "nose": _as("head", "the base of the skull, behind Human3.6M's nose"),
        "head_top": _beyond(("neck",), ("head",), HEAD_BEYOND_SKULL),
    },
    "h36m16": {joint: _same(joint) for joint in H36M17.joint_names if joint != "nose"}
    | {"nose": _mean("thorax", "head_top")},
}
"""Source layout to the recipe of each joint of h36m17. h36m16 takes the recipes of its own joints."""


@dataclass(frozen=True)
class Conversion:
    """A tested conversion from one set of joints to another.

    Args:
        source: J_s joints.
        target: J_t joints.
        recipes: one for each target joint.
    """

    source: Layout
    target: Skeleton
    recipes: Mapping[str, Recipe]

    @property
    def made_up(self) -> dict[str, str]:
        """Target joints that are not copies of source joints, and how each is made."""
        return {joint: recipe.note for joint, recipe in self.recipes.items() if recipe.note}

    @property
    def observed(self) -> np.ndarray:
        """(J_t,) bool: joints that show something of their own: copies, and those made of joints not copied.

        A middle of copied joints repeats them. A joint in the place of another stands beside its true place.
        """
        single = {next(iter(recipe.weights)) for recipe in self.recipes.values() if len(recipe.weights) == 1}
        return np.array(
            [not recipe.note or not set(recipe.weights) <= single for recipe in self.recipes.values()]
        )

    @cached_property
    def weights(self) -> np.ndarray:
        """(J_t, J_s), each row summing to one."""
        weights = np.zeros((self.target.num_joints, len(self.source)))
        for row, joint in zip(weights, self.target.joint_names, strict=True):
            recipe = self.recipes[joint].weights
            row[self.source.index(list(recipe))] = list(recipe.values())
        return weights

    def __call__(self, pose: np.ndarray, visible: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Convert poses.

        Args:
            pose: (..., J_s, D) in any coordinates that are linear in pixels or metres.
            visible: (..., J_s) bool, or None; a joint that is not finite is unseen in any case.

        Returns:
            (..., J_t, D) of the same dtype, zeros where unseen, and (..., J_t) bool.

        Raises:
            DataError: if the poses have another number of joints.
        """
        if pose.ndim < 2 or pose.shape[-2] != len(self.source):
            raise DataError(
                f"pose: expected shape (..., {len(self.source)}, D) for {self.source.name}, "
                f"found {pose.shape}"
            )
        seen = np.isfinite(pose).all(-1)
        if visible is not None:
            seen &= visible
        converted = self.weights @ np.where(seen[..., None], pose, 0)
        # A target joint is seen iff no source joint it is made of is unseen.
        whole = ~((~seen).astype(np.float32) @ (self.weights != 0).T.astype(np.float32)).astype(bool)
        return np.where(whole[..., None], converted, 0).astype(pose.dtype), whole

    def confidence(self, confidence: np.ndarray) -> np.ndarray:
        """(..., J_s) to (..., J_t): the least confidence of the joints each is made of."""
        used = self.weights != 0
        return np.stack([confidence[..., row].min(-1) for row in used], -1)


def conversion(source: Layout | str, target: Skeleton | str) -> Conversion:
    """Find the conversion from a layout to a skeleton.

    Args:
        source: a layout, or the name of a built-in one.
        target: a skeleton, or the name of a built-in one.

    Raises:
        DataError: if there is none; the message names the joints that are missing.
    """
    source = Layout.named(source) if isinstance(source, str) else source
    target = Skeleton.named(target) if isinstance(target, str) else target
    recipes = {joint: _same(joint) for joint in target.joint_names if joint in source.joint_names}
    known = TO_H36M17.get(source.name, {})
    if target.name in ("h36m16", "h36m17") and known:
        recipes = {joint: known[joint] for joint in target.joint_names}
    missing = [joint for joint in target.joint_names if joint not in recipes]
    if missing:
        raise DataError(
            f"layout {source.name}: expected joints for skeleton {target.name}, found none for "
            f"{', '.join(missing)}; it has {', '.join(source.joint_names)}"
        )
    return Conversion(source, target, recipes)


def made_up_table() -> str:
    """The joints of h36m17 that each built-in layout lacks and how they are made, as a Markdown table.

    h36m16 has the same joints but for the nose. Layouts with the same recipes share their rows.
    """
    layouts: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name in TO_H36M17:
        made_up = tuple(conversion(name, H36M17).made_up.items())
        layouts.setdefault(made_up, []).append(f"`{name}`")
    rows = [
        f"| {', '.join(names)} | {joint} | {note} |"
        for made_up, names in layouts.items()
        for joint, note in made_up
    ]
    return "\n".join(["| layout | joint | how it is made |", "|---|---|---|", *rows])
