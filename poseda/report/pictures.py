"""The four pictures of a run folder, drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np

from poseda.report.curves import PANELS, curves
from poseda.report.summary import SPLIT_TITLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "source_only": "#8a8f98",
    "gpa": "#2f7fc1",
    "lpa": "#3aa6a0",
    "gpa_lpa": "#d1495b",
    "gpa_lpa_view": "#7a3fc4",
    "random": "#b07aa1",
    "poseaug": "#e6a532",
    "oracle": "#3b3f46",
}
"""One colour an arm, the same in every picture."""

SOURCE, TARGET, ALIGNED = "#8a8f98", "#3b3f46", "#2f7fc1"


def _figure(width: float, height: float) -> Figure:
    """A figure outside pyplot: no global state, no display."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _clean(axes: Axes, title: str = "") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, color="#b8bcc2")
    axes.set_title(title, fontsize=10, loc="left")


def root_and_size(pose_2d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root (N, 2), the joint all skeletons begin with, and box width + height (N,) of 2D poses."""
    return pose_2d[:, 0], np.ptp(pose_2d, axis=1).sum(-1)


def draw_placements(gallery: dict[str, np.ndarray]) -> Figure:
    """Root position and box size of source, target, and source aligned to the target."""
    figure = _figure(10, 5.6)
    upper, lower = figure.subfigures(2, 1, height_ratios=(3, 2))  # type: ignore[misc]
    valid = gallery["aligned_valid"].astype(bool)
    sets = {
        "source": (gallery["source_2d"], SOURCE, "Greys"),
        "target (2D only)": (gallery["target_2d"], TARGET, "Greys"),
        "source after GPA": (gallery["aligned_2d"][valid], ALIGNED, "Blues"),
    }
    # The reach holds the whole cloud of roots; both axes share one scale, as on the screen.
    reach = 1.05 * max(np.abs(root_and_size(poses)[0]).max() for poses, _, _ in sets.values())
    panels = upper.subplots(1, 3, sharex=True, sharey=True)
    for axes, (name, (poses, _, colours)) in zip(panels, sets.items(), strict=True):
        root, _ = root_and_size(poses)
        axes.hexbin(
            root[:, 0], root[:, 1], gridsize=24, extent=(-reach, reach, -reach, reach), cmap=colours, mincnt=1
        )
        axes.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal", xlabel="root u")
        _clean(axes, name)
    panels[0].set_ylabel("root v (down)")
    axes = lower.subplots()
    largest = max(np.quantile(root_and_size(poses)[1], 0.995) for poses, _, _ in sets.values())
    bins = np.linspace(0, largest, 60)
    for name, (poses, colour, _) in sets.items():
        aligned = colour == ALIGNED
        axes.hist(
            root_and_size(poses)[1], bins, density=True, label=name, color=colour,
            histtype="step" if aligned else "stepfilled", alpha=1.0 if aligned else 0.45, linewidth=2,
        )  # fmt: skip
    axes.set(xlabel="size of the person: box width + height, half screen widths", yticks=[])
    axes.legend(frameon=False, fontsize=9)
    _clean(axes)
    axes.spines["left"].set_visible(False)
    return figure


def draw_poses(gallery: dict[str, np.ndarray], parents: Sequence[int], count: int = 6) -> Figure:
    """A grid: source, target, the source placed like it, and augmented, on screen and from the side."""
    generated = "augmented_2d" in gallery
    last = "augmented" if generated else "aligned"
    label = "GPA + LPA" if generated else "GPA"
    columns = {
        "source": ("source_2d", SOURCE),
        "target (2D only)": ("target_2d", TARGET),
        "GPA": ("aligned_2d", ALIGNED),
    }
    if generated:
        columns[label] = ("augmented_2d", COLOURS["gpa_lpa"])
    rows = np.flatnonzero(gallery["aligned_valid"] & gallery[f"{last}_valid"])[:count]
    titles = [*columns, f"{label}, side view"]
    figure = _figure(2.0 * len(titles), 1.9 * len(rows))
    grid = figure.subplots(len(rows), len(titles), squeeze=False)
    for line, row in zip(grid, rows, strict=True):
        shown = np.concatenate([gallery[name][row] for name, _ in columns.values()])
        middle = (shown.min(0) + shown.max(0)) / 2
        reach = 0.55 * np.ptp(shown, axis=0).max()  # one square window a row: place and size stay comparable
        for axes, (name, colour) in zip(line, columns.values(), strict=False):
            _draw_body(axes, gallery[name][row], parents, colour)
            axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] + reach, middle[1] - reach))
        side = gallery[f"{last}_3d"][row][:, [2, 1]]
        _draw_body(line[-1], side - side.mean(0), parents, columns[label][1])
        line[-1].set(xlim=(-1.1, 1.1), ylim=(1.1, -1.1))
        for axes in line:
            axes.set(xticks=[], yticks=[], aspect="equal")
            axes.spines[:].set_color("#d8dbe0")
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=10)
    return figure


def _draw_body(axes: Axes, joints: np.ndarray, parents: Sequence[int], colour: str) -> None:
    """Bones and joints of one pose (J, 2)."""
    for joint, parent in enumerate(parents):
        if parent >= 0:
            axes.plot(*joints[[parent, joint]].T, color=colour, linewidth=1.8, solid_capstyle="round")
    axes.scatter(joints[:, 0], joints[:, 1], s=6, color=colour, zorder=3)


def draw_joints(results: Sequence[dict[str, Any]], split: str = "target_test") -> Figure:
    """Mean error of each joint, one dot an arm."""
    arms: dict[str, list[dict[str, float]]] = {}
    for row in results:
        if row["split"] == split:
            arms.setdefault(row["arm"], []).append(row["per_joint"])
    names = [
        name for name, error in next(iter(arms.values()))[0].items() if error > 0
    ]  # the root agrees always
    figure = _figure(8, 0.34 * len(names) + 1.2)
    axes = figure.subplots()
    for at, name in enumerate(names):
        values = [mean(row[name] for row in rows) for rows in arms.values()]
        axes.plot(
            [min(values), max(values)],
            [at, at],
            color="#e3e6ea",
            linewidth=5,
            solid_capstyle="round",
            zorder=1,
        )
    for arm, rows in arms.items():
        errors = [mean(row[name] for row in rows) for name in names]
        axes.scatter(errors, range(len(names)), s=42, color=COLOURS.get(arm, "#000000"), label=arm, zorder=2)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set(xlabel=f"mean error on {SPLIT_TITLES[split]}, mm", xlim=(0, None))
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=9, ncols=len(arms), loc="lower left", bbox_to_anchor=(0, 1.0))
    _clean(axes)
    return figure


def draw_training(journal: Sequence[dict[str, Any]]) -> Figure:
    """Losses of every arm's lifter, and what tells a healthy generator from a collapsed one."""
    figure = _figure(11, 6)
    grid = figure.subplots(2, 2)
    for axes, (title, panel) in zip(grid.flat, PANELS.items(), strict=True):
        for curve in curves(journal, panel):
            axes.plot(
                *zip(*curve.points, strict=True), "--" if curve.dashed else "-", linewidth=1.4,
                color=COLOURS.get(curve.arm, "#c9ccd1"), label=None if curve.dashed else curve.arm,
            )  # fmt: skip
        _clean(axes, title)
        axes.set_xlabel("step", fontsize=8)
        axes.margins(y=0.1)
        axes.set_ylim(0, None)
        if axes.lines:
            axes.legend(frameon=False, fontsize=8)
    return figure
