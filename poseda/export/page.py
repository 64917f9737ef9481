"""A page that shows lifted people in the viewer of the report, offline."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import numpy as np

from poseda.export.world import Actor, actors
from poseda.geometry.world import LEVEL
from poseda.report.page import build_viewer
from poseda.report.viewer import SCREEN_SCALE, SPACE_SCALE, flags, packed, turns

if TYPE_CHECKING:
    from poseda.export.poses import LiftedPoses

MOST_FRAMES = 30_000
"""Frames of all people on a page, about 10 MB."""

WIDGET_FRAMES = 3000
"""Frames of all people in a cell of a notebook."""

WIDGET_HEIGHT = 640
"""Of a cell, pixels."""


def poses_page(poses: LiftedPoses, name: str, most: int = MOST_FRAMES, widget: bool = False) -> str:
    """The page as HTML.

    Args:
        poses: to show.
        name: title of the page.
        most: frames of all people; each person shows the first of them.
        widget: leave out the title, for a page within another.

    Raises:
        ValueError: if nobody has a valid frame.
    """
    people = actors(poses)
    if not people:
        raise ValueError(f"{name}: expected a person with a valid frame, got none")
    facts = [
        f"{len(people)} {'person' if len(people) == 1 else 'people'}",
        f"{int(poses.valid.sum())} frames lifted",
        poses.rate_in_words,
    ]
    facts += [f"skeleton {poses.skeleton.name}"]
    facts += [f"arm {poses.arm}"] if poses.arm else []
    return build_viewer(
        name, facts + ([poses.camera] if poses.camera else []), _viewer(poses, people, most), widget
    )


def notebook_cell(poses: LiftedPoses) -> str:
    """The page in a frame of its own, for a notebook; words where nobody was lifted."""
    if not poses.valid.any():
        return f"<p>{len(poses)} frames, none of them lifted</p>"
    page = html.escape(poses_page(poses, "lifted poses", WIDGET_FRAMES, widget=True), quote=True)
    return f'<iframe srcdoc="{page}" width="100%" height="{WIDGET_HEIGHT}" style="border: 0"></iframe>'


def _viewer(poses: LiftedPoses, people: list[Actor], most: int) -> dict[str, Any]:
    """What viewer.js reads: a clip for each person, in the axes of a level camera."""
    skeleton, model = poses.skeleton, poses.arm or "lifted"
    each = max(1, most // len(people))
    parts = [slice(0, min(each, len(actor.time))) for actor in people]
    starts = np.cumsum([0, *(part.stop for part in parts)])
    rows = {
        (int(poses.clip[row]), int(poses.person[row]), int(poses.frame[row])): row
        for row in range(len(poses))
    }
    clips, space, screen = [], [], []
    for actor, part, start in zip(people, parts, starts.tolist(), strict=False):
        # The world is upright already. Where nobody knows which way is up, it is no more than the camera's.
        turn = turns({model: LEVEL} if actor.clip in poses.up else {})
        clips.append(_clip(poses, actor) | {"frames": part.stop, "start": start, "turn": turn})
        space.append((actor.position[part] - actor.position[part, :1]) * [1, -1, -1])
        at = [rows.get((actor.clip, actor.person, int(frame)), -1) for frame in actor.frame[part]]
        screen.append(_placed(poses, np.array(at)))
    cut = any(len(actor.time) > each for actor in people)
    lead = "2D and 3D of each person; joints that were not detected are hollow."
    made_up = [skeleton.joint(name) for name in poses.made_up]
    detected = np.concatenate([actor.seen[part] for actor, part in zip(people, parts, strict=True)])
    if made_up:
        lead += f" So are those that are made of others: {', '.join(poses.made_up).replace('_', ' ')}."
        detected[:, made_up] = False
    return {
        "title": "Lifted poses",
        "lead": f"{lead} The first {each} frames of each person are shown." if cut else lead,
        "joints": list(skeleton.joint_names),
        "parents": list(skeleton.parents),
        "left": [left for left, _ in skeleton.symmetric_joints],
        "right": [right for _, right in skeleton.symmetric_joints],
        "models": [model],
        "source": model,
        "chosen": model,
        "clips": clips,
        "screen": packed(np.concatenate(screen), SCREEN_SCALE),
        "seen": flags(detected),
        "made_up": made_up,
        "valid": flags(
            np.concatenate([actor.known[part] for actor, part in zip(people, parts, strict=True)])
        ),
        "placed": poses.pose_2d is not None,
        "lifted": {model: packed(np.concatenate(space), SPACE_SCALE)},
        "scale": {"screen": SCREEN_SCALE, "space": SPACE_SCALE},
    }


def _clip(poses: LiftedPoses, actor: Actor) -> dict[str, Any]:
    """What the viewer says of one person."""
    size = poses.image_size.get(actor.clip)
    return {
        "clip": f"person {actor.person} of {poses.clip_name(actor.clip)}",
        "in_order": True,
        "aspect": None if size is None else size[1] / size[0],
        "size": size,
        "rate": 1 / float(actor.time[1]) if len(actor.time) > 1 else poses.rate,
        "rate_assumed": poses.rate_assumed,
    }


def _placed(poses: LiftedPoses, at: np.ndarray) -> np.ndarray:
    """(T, J, 2) screen coordinates of rows of the record, zeros where there are none."""
    found = np.zeros((len(at), poses.skeleton.num_joints, 2))
    if poses.pose_2d is not None:
        found[at >= 0] = np.nan_to_num(poses.pose_2d[at[at >= 0]])
    return found
