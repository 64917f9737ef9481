"""How the joints of Human3.6M are made from the joints that a layout has: the best way first.

A way needs joints that the layout names. Some ways also need that it lacks others: a "foot" stands for the
ankle only where no ankle is named. Few data sets mean another joint by a name; they are in ``_OTHERWISE``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product

from poseda.datasets.joint_names import same_joint
from poseda.datasets.layouts import Layout

HEAD_BEYOND_EARS = 1 / 3
"""Human3.6M's head end lies beyond the ears, by about this share of the way from the neck to the ears. An
adult of 1.75 m has ears 0.19 m above the shoulders, and a head end 0.25 m above them."""

HEAD_BEYOND_NOSE = 1 / 2
"""The nose is 0.17 m above the shoulders. Only profiles without ears are extrapolated from it."""

HEAD_BEYOND_SKULL = 1.3
"""Where the head joint is the base of the skull (SMPL, many BVH files), it lies 0.10 m above the neck. The
head end lies 0.13 m farther, 1.3 times that way."""


@dataclass(frozen=True)
class Recipe:
    """One way to make a target joint.

    Args:
        weights: source joint to weight; the weights sum to one.
        note: how it is made, in words; empty where the joint is copied.
    """

    weights: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True)
class _Way:
    """A recipe and when it may be used.

    Args:
        recipe: of the joint.
        lacks: joints that the layout must not name.
        has: joints of which the layout must name one, if there are any.
    """

    recipe: Recipe
    lacks: tuple[str, ...] = ()
    has: tuple[str, ...] = ()

    def suits(self, names: frozenset[str]) -> bool:
        return (
            names >= set(self.recipe.weights)
            and names.isdisjoint(self.lacks)
            and (not self.has or not names.isdisjoint(self.has))
        )


def _same(joint: str) -> Recipe:
    return Recipe({joint: 1.0})


def _as(joint: str, note: str) -> Recipe:
    return Recipe({joint: 1.0}, f"{joint} in its place: {note}")


def _mean(*groups: tuple[str, ...]) -> Recipe:
    """The mean of the groups' means."""
    weights = {joint: 1 / (len(groups) * len(group)) for group in groups for joint in group}
    if len({*map(len, groups)}) == 1:
        return Recipe(weights, f"mean of {', '.join(weights)}")
    middles = [group[0] if len(group) == 1 else f"the middle of {' and '.join(group)}" for group in groups]
    return Recipe(weights, f"mean of {' and '.join(middles)}")


def _beyond(start: tuple[str, ...], end: tuple[str, ...], share: float) -> Recipe:
    """Past the mean of ``end`` by a share of the way there from the mean of ``start``."""
    weights = {joint: -share / len(start) for joint in start}
    weights |= {joint: (1 + share) / len(end) for joint in end}
    way = f"{' and '.join(start)} to {' and '.join(end)}"
    return Recipe(weights, f"extrapolated from {way}, and {share:.2g} of that way beyond")


_HIPS, _SHOULDERS, _EARS, _EYES = (
    tuple(f"{side}_{joint}" for side in ("left", "right")) for joint in ("hip", "shoulder", "ear", "eye")
)
_MID_HIPS = {"hip": "the middle of the hips", "mid_hip": "the middle of the hips"}
_THROATS = {
    "neck": "the middle of the shoulders, or the throat",
    "mid_shoulder": "the middle of the shoulders",
    "neck_base": "the throat",
}
_PELVES = (("pelvis",), *((name,) for name in _MID_HIPS), _HIPS)
_THORAXES = (("thorax",), *((name,) for name in _THROATS), _SHOULDERS)
_SKULL_BASE = ("spine1", "spine2", "spine3", "left_collar", "left_clavicle")
"""Joints that show a rig, whose "head" is the base of the skull."""


def _head_tops() -> Iterator[_Way]:
    yield _Way(_same("head_top"))
    yield _Way(_beyond(("neck",), ("head",), HEAD_BEYOND_SKULL), lacks=("head_top",), has=_SKULL_BASE)
    yield _Way(_beyond(("neck",), ("head",), HEAD_BEYOND_NOSE), lacks=("head_top",), has=("belly",))
    lacks = ("head_top", "belly", *_SKULL_BASE)
    yield _Way(_as("head", "taken for the top of the head"), lacks)
    ends = ((_EARS, HEAD_BEYOND_EARS), *(((ear,), HEAD_BEYOND_EARS) for ear in _EARS))
    starts = (("neck",), ("mid_shoulder",), ("thorax",), _SHOULDERS, *((one,) for one in _SHOULDERS))
    for (end, share), start in product((*ends, (("nose",), HEAD_BEYOND_NOSE)), starts):
        yield _Way(_beyond(start, end, share))


def _noses() -> Iterator[_Way]:
    yield _Way(_same("nose"))
    yield _Way(_as("jaw", "the lower end of the face"), lacks=("nose",))
    yield _Way(
        _as("head", "the centre of the head"), lacks=("nose",), has=("head_top", "belly", *_SKULL_BASE)
    )
    yield _Way(_mean(_EYES), lacks=("nose",))
    for start in ("thorax", *_THROATS):
        yield _Way(_mean((start,), ("head_top",)), lacks=("nose",))
        yield _Way(_mean((start,), ("head",)), lacks=("nose", "head_top"))


def _limb(joint: str, stand_in: str = "") -> tuple[_Way, ...]:
    if not stand_in:
        return (_Way(_same(joint)),)
    return _Way(_same(joint)), _Way(_as(stand_in, "the end of the limb"), lacks=(joint,))


_WAYS: dict[str, tuple[_Way, ...]] = {
    f"{side}_{joint}": _limb(f"{side}_{joint}", stand_in and f"{side}_{stand_in}")
    for side in ("left", "right")
    for joint, stand_in in {
        "hip": "", "knee": "", "ankle": "foot", "shoulder": "", "elbow": "", "wrist": "hand",
    }.items()
} | {
    "pelvis": (
        _Way(_same("pelvis")),
        *(_Way(_as(name, note)) for name, note in _MID_HIPS.items()),
        _Way(_mean(_HIPS)),
    ),
    "thorax": (
        _Way(_same("thorax")),
        *(_Way(_as(name, note)) for name, note in _THROATS.items()),
        _Way(_mean(_SHOULDERS)),
    ),
    "spine": (_Way(_same("spine")), *(_Way(_mean(*pair)) for pair in product(_PELVES, _THORAXES))),
    "nose": tuple(_noses()),
    "head_top": tuple(_head_tops()),
}  # fmt: skip
"""The ways to make each joint of h36m17, the best first."""

_STUDIO = {
    "thorax": _as("neck", "the throat, a little above Human3.6M's thorax"),
    "nose": _as("head", "the centre of the head, behind Human3.6M's nose"),
}
_OTHERWISE: dict[str, dict[str, Recipe]] = {
    "mpi_inf_3dhp_28": _STUDIO,
    "mpi_inf_3dhp_17": _STUDIO,
    "mpi_inf_3dhp": _STUDIO,
    "spin24": _STUDIO | {"nose": _as("jaw", "SPIN's place for MPI-INF-3DHP's centre of the head")},
    "smpl24": {
        "pelvis": _mean(_HIPS),
        "spine": _as("spine2", "at half the height of the trunk"),
        "thorax": _as("neck", "the base of the neck"),
        "nose": _as("head", "the base of the skull, behind Human3.6M's nose"),
    },
}
"""Best ways of layouts whose joints mean another place by these names. They have no second bests."""


def copies(joint: str, source: Layout) -> tuple[Recipe, ...]:
    """The joint of that name, in any spelling, if the layout has it."""
    if joint in source.joint_names:
        return (_same(joint),)
    return tuple(_same(name) for name in source.joint_names if same_joint(name, joint))[:1]


@cache
def ways_to(joint: str, source: Layout) -> tuple[Recipe, ...]:
    """The ways to make a joint of h36m17 from a layout, the best first; none if there is none."""
    best = _OTHERWISE.get(source.name, {}).get(joint)
    if best is not None:
        return (best,)
    names = frozenset(source.joint_names)
    return tuple(way.recipe for way in _WAYS[joint] if way.suits(names))
