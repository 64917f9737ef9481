"""The sections about poses on their way through the method: places, sizes, examples, changes of posture."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from poseda.report import charts
from poseda.report.arms import TARGET, tone_of
from poseda.report.diversity import measure
from poseda.report.tables import MINUS, Key
from poseda.runs.record import RunRecord

STAGES = {
    "source": Key("source as captured", tone_of("source_only")),
    "aligned": Key("source after GPA", tone_of("gpa")),
    "augmented": Key("source after GPA and LPA", tone_of("gpa_lpa")),
}
"""What the samples hold of each source pose, in the method's order."""

TARGET_KEY = Key("target, 2D only", TARGET)

PARTS = {"root": "place of the root", "size": "size of the box", "posture": "posture"}
"""Features of a 2D pose that the distances compare."""

EXAMPLES = 4
"""Poses that are drawn at each step of the method."""

SIDE_REACH = 1.1
"""Metres that a side view shows to each side of a body's middle."""


class Body(NamedTuple):
    """One drawn pose in a box of 100 by 100: its class, and SVG path data of bones and joints."""

    tone: str
    bones: str
    joints: str


def root_and_size(
    pose_2d: np.ndarray, root: int, seen: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Where people stand, and how large they are.

    Args:
        pose_2d: (N, J, 2) screen coordinates.
        root: joint that stands for the place.
        seen: (N, J) bool, the joints that span the box; None where all do.

    Returns:
        Root (N, 2); box width + height (N,).
    """
    hidden = np.zeros(pose_2d.shape[:2], bool) if seen is None else ~seen.astype(bool)
    low = np.where(hidden[..., None], np.inf, pose_2d).min(1)
    high = np.where(hidden[..., None], -np.inf, pose_2d).max(1)
    return pose_2d[:, root], (high - low).sum(-1)


def placements(record: RunRecord) -> dict[str, Any] | None:
    """Maps of roots, histograms of sizes, distances from the target; None where a run kept no poses."""
    samples = record.samples
    if not samples:
        return None
    root, seen = _root(record), samples.get("target_seen")
    measured = {TARGET_KEY: root_and_size(samples["target_2d"], root, seen)}
    for name, key in STAGES.items():
        valid = _valid(samples, name)
        if valid.any():
            shown = None if seen is None else seen[valid]
            measured[key] = root_and_size(samples[f"{name}_2d"][valid], root, shown)
    across, down = (
        1.05 * max(float(np.abs(place[:, axis]).max()) for place, _ in measured.values()) for axis in (0, 1)
    )
    reach = (max(across, 1e-3), max(down, 0.3 * across, 1e-3))
    return {
        "maps": [
            charts.density_map(place, reach, key.tone, key.text) for key, (place, _) in measured.items()
        ],
        "legend": list(measured),
        "sizes": charts.histogram(
            {key.text: (size, key.tone) for key, (_, size) in measured.items()},
            "box width + height, in half screen widths",
        ),
        "distances": _distances(record),
    }


def _root(record: RunRecord) -> int:
    return list(record.sample_notes["parents"]).index(-1)


def _valid(samples: dict[str, np.ndarray], name: str) -> np.ndarray:
    """(N,) bool: which poses of a stage are there; none where the run has no such stage."""
    if f"{name}_2d" not in samples:
        return np.zeros(len(samples["source_2d"]), bool)
    if f"{name}_valid" not in samples:
        return np.ones(len(samples[f"{name}_2d"]), bool)
    return samples[f"{name}_valid"].astype(bool)


def _distances(record: RunRecord) -> dict[str, Any] | None:
    """How far the 2D poses of each stage lie from the target's, as bars."""
    if record.labelfree is None:
        return None
    found = record.labelfree["distances"]
    largest = max((value for parts in found.values() for value in parts.values()), default=0) or 1.0
    return {
        "headings": ["2D poses", *PARTS.values()],
        "rows": [
            {
                "key": key,
                "bars": [(f"{found[name][p]:.3f}", round(100 * found[name][p] / largest, 1)) for p in PARTS],
            }
            for name, key in STAGES.items()
            if name in found
        ],
    }


def examples(record: RunRecord) -> dict[str, Any] | None:
    """Some poses, stage after stage on the screen, then from the side; None where no pose is valid."""
    samples = record.samples
    if not samples:
        return None
    last = "augmented" if "augmented_2d" in samples else "aligned"
    usable = np.flatnonzero(_valid(samples, "aligned") & _valid(samples, last))[:EXAMPLES]
    if not len(usable):
        return None
    parents = list(record.sample_notes["parents"])
    columns = {"source": STAGES["source"], "target": TARGET_KEY}
    columns |= {name: STAGES[name] for name in ("aligned", last)}
    rows = []
    for row in usable:
        shown = np.concatenate([samples[f"{name}_2d"][row] for name in columns])
        # One square window for all of a row, so that place and size can be compared along it.
        middle, reach = (shown.min(0) + shown.max(0)) / 2, 0.55 * float(np.ptp(shown, axis=0).max())
        bodies = [
            draw_body(
                (samples[f"{name}_2d"][row] - middle) / reach, parents, key.tone, _seen(samples, name, row)
            )
            for name, key in columns.items()
        ]
        side = samples[f"{last}_3d"][row][:, [2, 1]]
        side = (side - side.mean(0)) / SIDE_REACH
        rows.append([*bodies, draw_body(side, parents, columns[last].tone)])
    keys = [*columns.values(), Key(f"{STAGES[last].text}, from the side", STAGES[last].tone)]
    return {"legend": keys, "rows": rows}


def _seen(samples: dict[str, np.ndarray], name: str, row: int) -> np.ndarray | None:
    """(J,) bool: which joints of a pose were detected; None where all are known."""
    return samples["target_seen"][row].astype(bool) if name == "target" and "target_seen" in samples else None


def draw_body(pose: np.ndarray, parents: list[int], tone: str, seen: np.ndarray | None = None) -> Body:
    """Bones and joints of a pose (J, 2) that lies between -1 and 1; unseen joints are left out."""
    at = [f"{50 + 50 * x:.1f} {50 + 50 * y:.1f}" for x, y in pose]
    known = np.ones(len(pose), bool) if seen is None else seen
    bones = "".join(
        f"M{at[parent]}L{at[joint]}"
        for joint, parent in enumerate(parents)
        if parent >= 0 and known[joint] and known[parent]
    )
    # A line of no length with round ends is a dot.
    return Body(tone, bones, "".join(f"M{at[joint]}h0" for joint in np.flatnonzero(known)))


def generator(record: RunRecord) -> dict[str, Any] | None:
    """Histograms of what the generator changes; None where a run had none."""
    found = measure(record.samples, record.sample_notes)
    if found is None:
        return None
    options = record.config["config"]["generator"]
    low, high = (
        math.degrees(math.acos(np.clip(1 - options["angle_mean"] - side * options["angle_width"], -1, 1)))
        for side in (-1, 1)
    )
    before, after = STAGES["source"], STAGES["augmented"]
    series = {
        "Rotation of each bone relative to the body, degrees": {after: found.bone},
        "Change of each bone's length, %": {after: found.length},
        "Rotation of the whole body, degrees": {after: found.body},
    }
    if found.tilt_before is not None and found.tilt_after is not None:
        tilts = {before: found.tilt_before, after: found.tilt_after}
        series["Tilt of the body against the camera's vertical, degrees"] = tilts
    return {
        "low": f"{low:.0f}",
        "high": f"{high:.0f}",
        "scale": f"{100 * options['scale_limit']:g}",
        "legend": [before, after],
        "charts": [_changes(title, sets, sets[after] is found.length) for title, sets in series.items()],
    }


def _changes(title: str, sets: dict[Key, np.ndarray], signed: bool) -> dict[str, Any]:
    """A histogram and the quartiles of its last set."""
    flat = {key.text: (values.ravel(), key.tone) for key, values in sets.items()}
    quartiles = np.quantile(list(flat.values())[-1][0], (0.25, 0.5, 0.75)) + 0.0
    low, middle, high = (f"{value:.1f}".replace("-", MINUS) for value in quartiles)
    chart = charts.histogram(flat, title, signed=signed, ticks=6 if signed else 4)
    return {"chart": chart, "note": f"Median {middle}; half of the values lie between {low} and {high}."}
