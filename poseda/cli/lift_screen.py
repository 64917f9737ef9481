"""What `poseda lift` says at its end, for people and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from poseda.cli.lift_files import NAMED, lines_of_files
from poseda.cli.screen import open_console, print_json, print_text

if TYPE_CHECKING:
    from poseda.export import LiftedPoses


def clips_of(poses: LiftedPoses) -> list[dict[str, Any]]:
    """Each clip by number and name, with its people, frames and lifted frames."""
    clips: dict[int, dict[str, Any]] = {}
    for clip, _, rows in poses.tracks():
        name = poses.clip_name(clip)
        entry = clips.setdefault(clip, {"clip": clip, "name": name, "people": 0, "frames": 0, "valid": 0})
        entry["people"] += 1
        entry["frames"] += rows.stop - rows.start
        entry["valid"] += int(poses.valid[rows].sum())
    return list(clips.values())


def root_of(poses: LiftedPoses, fitted: bool) -> dict[str, Any] | None:
    """What tells the roots, and in how many frames they jump; None without roots."""
    from poseda.inference.trajectory import jumping_frames

    if poses.root is None:
        return None
    return {"told_by": "fit" if fitted else "frame", "jumps": jumping_frames(poses)}


def joints_of(poses: LiftedPoses) -> dict[str, Any]:
    """How many joints of lifted frames were seen, how many were not, and how many are made up."""
    made = [name in poses.made_up for name in poses.skeleton.joint_names]
    own = poses.visible[poses.valid][:, [not one for one in made]]
    return {
        "seen": int(own.sum()),
        "unseen": int((~own).sum()),
        "made_up": int(poses.valid.sum()) * sum(made),
        "names_made_up": list(poses.made_up),
    }


def show(summary: dict[str, Any], as_json: bool) -> None:
    """Print what was lifted, where it is and who was left out."""
    console = open_console(as_json)
    print_text(console, "\n".join(_lines(summary)))
    print_text(console, f"written: {', '.join(summary['written'])}", whole=True)
    if as_json:
        print_json(summary | {"skipped": len(summary["skipped"])})


def _lines(summary: dict[str, Any]) -> list[str]:
    from poseda.datasets.tracking import counted
    from poseda.method.at_limit import said

    missing = "; ".join(
        f"{counted(count, 'frame')}: {reason}" for reason, count in summary["dropped"].items()
    )
    named = [f"{clip['name']} {clip['valid']}/{clip['frames']}" for clip in summary["clips"][:NAMED]]
    more = " …" if summary["clips"][NAMED:] else ""
    return [
        f"lifted {summary['valid']} of {counted(summary['frames'], 'frame')}, "
        f"{counted(summary['people'], 'person', 'people')}, "
        "by {arm} of seed {seed}; camera: {camera}".format_map(summary),
        f"clips: {', '.join(named)}{more}",
        *summary["heights"][:NAMED],
        *(["… and others"] if summary["heights"][NAMED:] else []),
        *said(summary["at_limits"], NAMED),
        *([f"not lifted: {missing}"] if missing else []),
        *_joints(summary["joints"]),
        *([f"{counted(summary['guessed'], 'frame')} bridged by motion"] if summary["guessed"] else []),
        *_root(summary["root"]),
        *lines_of_files(summary),
    ]


def _joints(joints: dict[str, Any]) -> list[str]:
    """Joints that the detector did not see in a frame, and joints that it never has."""
    names, found = ", ".join(joints["names_made_up"]), joints["seen"] + joints["unseen"]
    return [
        *(
            [f"unseen in their frame, so guessed: {joints['unseen']} of {found} joints that the input has"]
            if joints["unseen"]
            else []
        ),
        *([f"made up in all frames, as the input lacks them: {names}"] if names else []),
    ]


def _root(root: dict[str, Any] | None) -> list[str]:
    """A line where the path of the roots trembles or jumps."""
    if root is None or (root["told_by"] == "fit" and not root["jumps"]):
        return []
    jumps = f"{root['jumps']} frames jump"
    if root["told_by"] == "fit":
        return [f"root: {jumps} all the same; --smooth.filter savgol steadies them"]
    return [
        f"root: each frame placed alone, {jumps}; steadier: the fit of the wide arms, or "
        "--smooth.filter savgol"
    ]
