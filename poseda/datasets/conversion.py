"""From the joints of a detector or a data set to those of a skeleton, by name.

Every target joint is a weighted sum of named source joints. It has a best way to be made, and second bests:
each row takes the first way of which it sees every joint. The ways and their order are in
:mod:`poseda.datasets.recipes`. :attr:`Conversion.made_up` names the joints that are not copies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from poseda.datasets.errors import DataError
from poseda.datasets.layouts import LAYOUTS, Layout
from poseda.datasets.recipes import Recipe, copies, ways_to
from poseda.geometry.skeleton import H36M17, Skeleton


@dataclass(frozen=True)
class Conversion:
    """A tested conversion from one set of joints to another.

    Args:
        source: J_s joints.
        target: J_t joints.
        recipes: the ways to make each target joint, the best first.
    """

    source: Layout
    target: Skeleton
    recipes: Mapping[str, tuple[Recipe, ...]]

    @property
    def made_up(self) -> dict[str, str]:
        """Target joints that are never copies of source joints, and how each is made at best."""
        return {joint: ways[0].note for joint, ways in self.recipes.items() if ways[0].note}

    @property
    def observed(self) -> np.ndarray:
        """(J_t,) bool: joints that show something of their own: copies, and those made of joints not copied.

        A middle of copied joints repeats them. A joint in the place of another stands beside its true place.
        """
        best = [ways[0] for ways in self.recipes.values()]
        single = {next(iter(recipe.weights)) for recipe in best if len(recipe.weights) == 1}
        return np.array([not recipe.note or not set(recipe.weights) <= single for recipe in best])

    @cached_property
    def weights(self) -> np.ndarray:
        """(J_t, J_s) of the best ways, each row summing to one."""
        weights = np.zeros((self.target.num_joints, len(self.source)))
        for row, joint in zip(weights, self.target.joint_names, strict=True):
            recipe = self.recipes[joint][0].weights
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
        known = np.where(seen[..., None], pose, 0)
        converted, chosen = self.weights @ known, self.chosen(seen)
        for joint, way, columns, weights in self._second_bests:
            rows = chosen[..., joint] == way
            if rows.any():
                converted[rows, joint] = weights @ known[rows][:, columns]
        whole = chosen >= 0
        return np.where(whole[..., None], converted, 0).astype(pose.dtype), whole

    def chosen(self, visible: np.ndarray) -> np.ndarray:
        """Which way each row takes for each joint: the first of which it sees every joint.

        Args:
            visible: (..., J_s) bool.

        Returns:
            (..., J_t) int64: the index in :attr:`recipes`; -1 where the row sees no way whole.
        """
        unseen = (~visible).astype(np.float32)
        missing = unseen @ (self.weights != 0).T.astype(np.float32)
        chosen = np.where(missing > 0, -1, 0)
        for joint, way, columns, _ in self._second_bests:
            rows = chosen[..., joint] < 0
            if rows.any():
                rows[rows] = visible[rows][:, columns].all(-1)
                chosen[rows, joint] = way
        return chosen

    def made_up_rows(self, visible: np.ndarray) -> dict[str, dict[str, int]]:
        """For each joint that is made up somewhere: how, and in how many rows.

        Args:
            visible: (N, J_s) bool.
        """
        counts: dict[str, dict[str, int]] = {}
        for column, joint in zip(self.chosen(visible).T, self.target.joint_names, strict=True):
            for way, recipe in enumerate(self.recipes[joint]):
                rows = int((column == way).sum())
                if rows and recipe.note:
                    counts.setdefault(joint, {})[recipe.note] = rows
        return counts

    @cached_property
    def _second_bests(self) -> list[tuple[int, int, list[int], np.ndarray]]:
        """Target joint, way, source joints and their weights, of every way but the best."""
        return [
            (at, way, self.source.index(list(recipe.weights)), np.array(list(recipe.weights.values())))
            for at, joint in enumerate(self.target.joint_names)
            for way, recipe in enumerate(self.recipes[joint][1:], 1)
        ]

    def confidence(self, confidence: np.ndarray) -> np.ndarray:
        """(..., J_s) to (..., J_t): the least confidence of the joints each is best made of."""
        used = self.weights != 0
        return np.stack([confidence[..., row].min(-1) for row in used], -1)


def conversion(source: Layout | str, target: Skeleton | str) -> Conversion:
    """Find the conversion from a layout to a skeleton, by the names of the joints.

    Args:
        source: a layout, or the name of a built-in one.
        target: a skeleton, or the name of a built-in one.

    Raises:
        DataError: if there is none; the message names the joints that are missing.
    """
    source = Layout.named(source) if isinstance(source, str) else source
    target = Skeleton.named(target) if isinstance(target, str) else target
    recipes = _recipes(source, target)
    missing = [joint for joint in target.joint_names if not recipes[joint]]
    if missing:
        raise DataError(
            f"layout {source.name}: expected joints for skeleton {target.name}, found none for "
            f"{', '.join(missing)}; it has {', '.join(source.joint_names)} (name them with --joints, or give "
            f"--layout)"
        )
    return Conversion(source, target, recipes)


def convert_known(pose: np.ndarray, source: Layout, target: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Convert poses of a layout that may lack joints of the skeleton altogether.

    Args:
        pose: (N, J_s, D), NaN where unknown.
        source: of the poses.
        target: to convert to.

    Returns:
        (N, J_t, D), zeros where unknown, and (N, J_t) bool.
    """
    missing = [joint for joint, ways in _recipes(source, target).items() if not ways]
    whole = replace(source, joint_names=(*source.joint_names, *missing))
    nothing = np.full((len(pose), len(missing), pose.shape[2]), np.nan, pose.dtype)
    return conversion(whole, target)(np.concatenate([pose, nothing], 1))


def _recipes(source: Layout, target: Skeleton) -> dict[str, tuple[Recipe, ...]]:
    ways = ways_to if target.name in ("h36m16", "h36m17") else copies
    return {joint: ways(joint, source) for joint in target.joint_names}


FEWEST_OWN = 4
"""Fewest joints of the skeleton in a row that can be lifted, however many the detector has in the face."""


def enough_seen(detected: np.ndarray, own: np.ndarray, fewest: int) -> np.ndarray:
    """Rows that show enough to be lifted with masks: (N,) bool.

    Args:
        detected: (N, J_s) bool, the detector's joints.
        own: (N, J) bool, joints of the skeleton that are not made of others.
        fewest: joints of the detector.
    """
    return (detected.sum(1) >= fewest) & (own.sum(1) >= min(FEWEST_OWN, fewest))


def why_too_few(detected: np.ndarray, own: np.ndarray, fewest: int) -> str:
    """Why a row is not :func:`enough_seen`, in words; empty where it is.

    Args:
        detected: (J_s,) bool.
        own: (J,) bool.
        fewest: joints of the detector.
    """
    if enough_seen(detected[None], own[None], fewest)[0]:
        return ""
    if detected.sum() < fewest:
        return f"{detected.sum()} of {fewest} joints seen (--min-joints)"
    return f"{own.sum()} of {min(FEWEST_OWN, fewest)} joints seen that the lifter has"


def made_up_table() -> str:
    """The joints of h36m17 that built-in layouts lack and how they are best made, as a Markdown table.

    h36m16 has the same joints but for the nose.
    """
    layouts: dict[tuple[str, str], list[str]] = {}
    for name in LAYOUTS:
        for made_up in conversion(name, H36M17).made_up.items():
            layouts.setdefault(made_up, []).append(f"`{name}`")
    order = {joint: at for at, joint in enumerate(H36M17.joint_names)}
    rows = [
        f"| {joint} | {note} | {', '.join(names)} |"
        for (joint, note), names in sorted(layouts.items(), key=lambda row: order[row[0][0]])
    ]
    return "\n".join(["| joint | how it is made | layouts |", "|---|---|---|", *rows])
