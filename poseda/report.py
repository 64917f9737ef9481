"""What a run shows of itself: a table of its arms and four pictures, drawn from the run folder alone."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = {"mpjpe": "MPJPE mm", "pa_mpjpe": "PA-MPJPE mm", "pck": "PCK %", "auc": "AUC %"}

COLOURS = {
    "source_only": "#8a8f98",
    "gpa": "#2f7fc1",
    "lpa": "#3aa6a0",
    "gpa_lpa": "#d1495b",
    "random": "#b07aa1",
    "poseaug": "#e6a532",
    "oracle": "#3b3f46",
}
"""One colour an arm, the same in every picture."""

SOURCE, TARGET, ALIGNED = "#8a8f98", "#3b3f46", "#2f7fc1"


@dataclass(frozen=True)
class Summary:
    """One arm on one split.

    Args:
        arm: its name.
        seeds: how many it was run with.
        mean: metric name to mean over seeds, millimetres or percent.
        deviation: the same for the sample standard deviation; 0 for one seed.
        gap_closed: share of the way from source_only to oracle in MPJPE, percent; None without both arms.
    """

    arm: str
    seeds: int
    mean: dict[str, float]
    deviation: dict[str, float]
    gap_closed: float | None


def summarise(results: Sequence[dict[str, Any]], split: str = "target_test") -> list[Summary]:
    """Average the rows of results.json over seeds, arms in the order in which they first appear."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in results:
        if row["split"] == split:
            rows.setdefault(row["arm"], []).append(row)
    means = {arm: {name: mean(row[name] for row in group) for name in COLUMNS} for arm, group in rows.items()}
    ends = [means[arm]["mpjpe"] if arm in means else math.nan for arm in ("source_only", "oracle")]
    gap = ends[0] - ends[1]
    return [
        Summary(
            arm,
            len(group),
            means[arm],
            {name: stdev(row[name] for row in group) if len(group) > 1 else 0.0 for name in COLUMNS},
            100 * (ends[0] - means[arm]["mpjpe"]) / gap if gap > 0 else None,
        )
        for arm, group in rows.items()
    ]


SPLIT_TITLES = {
    "target_test": "the target's test clips",
    "source_val": "the source's validation clips (the target has no labels)",
}


def shown_split(results: Sequence[dict[str, Any]]) -> str:
    """The split that tables and pictures show: the target's, unless it has no labels."""
    return "target_test" if any(row["split"] == "target_test" for row in results) else "source_val"


def cells(summary: Summary) -> list[str]:
    """The cells of an arm's row: metrics, with deviation if there are several seeds, and the gap closed."""
    texts = [
        f"{summary.mean[name]:.1f}" + (f" ± {summary.deviation[name]:.1f}" if summary.seeds > 1 else "")
        for name in COLUMNS
    ]
    return [*texts, "" if summary.gap_closed is None else f"{summary.gap_closed:.0f} %"]


HEADINGS = ("arm", *COLUMNS.values(), "gap closed")


def markdown(summaries: Sequence[Summary]) -> str:
    """The table of arms in Markdown."""
    lines = [HEADINGS, ["---"] + ["--:"] * (len(HEADINGS) - 1), *([s.arm, *cells(s)] for s in summaries)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def write_report(out: Path) -> list[Path]:
    """Draw every picture of a run folder and write report.md; return what was written."""
    from poseda.files import write_atomically
    from poseda.training.checkpoint import load_checkpoint

    results = json.loads((out / "results.json").read_text())
    split = shown_split(results)
    card = json.loads((out / "protocol.json").read_text())
    journal = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    tensors, notes = load_checkpoint(out / "gallery.safetensors")
    gallery = {name: value.numpy() for name, value in tensors.items()}
    pictures = {
        "placements.png": ("Where people stand on the screen, and how large", draw_placements(gallery)),
        "poses.png": ("Poses on their way through the method", draw_poses(gallery, notes["parents"])),
        "joints.png": (f"Error of each joint on {SPLIT_TITLES[split]}", draw_joints(results, split)),
        "training.png": ("Training", draw_training(journal)),
    }
    folder = out / "plots"
    folder.mkdir(exist_ok=True)
    written = []
    text = ["# poseda run\n", markdown(summarise(results, split)), f"\nOn {SPLIT_TITLES[split]}.\n"]
    text += [f"- {name}: {value}" for name, value in card.items()]
    for name, (title, figure) in pictures.items():
        figure.savefig(folder / name, dpi=130)
        written.append(folder / name)
        text.append(f"\n![{title}](plots/{name})")
    write_atomically(out / "report.md", ("\n".join(text) + "\n").encode())
    return [*written, out / "report.md"]


def _figure(width: float, height: float) -> Figure:
    """A figure outside pyplot: no global state, no display."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _clean(axes: Axes, title: str = "") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, color="#b8bcc2")
    axes.set_title(title, fontsize=10, loc="left")


def _root_and_size(pose_2d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
    reach = 1.05 * max(np.abs(_root_and_size(poses)[0]).max() for poses, _, _ in sets.values())
    panels = upper.subplots(1, 3, sharex=True, sharey=True)
    for axes, (name, (poses, _, colours)) in zip(panels, sets.items(), strict=True):
        root, _ = _root_and_size(poses)
        axes.hexbin(
            root[:, 0], root[:, 1], gridsize=24, extent=(-reach, reach, -reach, reach), cmap=colours, mincnt=1
        )
        axes.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal", xlabel="root u")
        _clean(axes, name)
    panels[0].set_ylabel("root v (down)")
    axes = lower.subplots()
    largest = max(np.quantile(_root_and_size(poses)[1], 0.995) for poses, _, _ in sets.values())
    bins = np.linspace(0, largest, 60)
    for name, (poses, colour, _) in sets.items():
        aligned = colour == ALIGNED
        axes.hist(
            _root_and_size(poses)[1], bins, density=True, label=name, color=colour,
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
    panels = {
        "lifter loss, mm": ("lifter", {"lifter_loss": "-"}, 1000.0),
        "discriminator losses: 2D solid, 3D dashed": (
            "generator",
            {"discriminator_2d": "-", "discriminator_3d": "--"},
            1.0,
        ),
        "spread of bone rotations over the batch, rad": ("generator", {"bone_spread": "-"}, 1.0),
        "turns: bones, 1 - cos, solid; body, radians, dashed": (
            "generator",
            {"bone_turn": "-", "body_turn": "--"},
            1.0,
        ),
    }
    first = min((entry["seed"] for entry in journal), default=0)
    for axes, (title, (phase, names, unit)) in zip(grid.flat, panels.items(), strict=True):
        for arm in dict.fromkeys(entry["arm"] for entry in journal):
            rows = [e for e in journal if (e["arm"], e["phase"], e["seed"]) == (arm, phase, first)]
            for name, style in names.items():
                points = [(row["step"], unit * row[name]) for row in rows if name in row]
                if points:
                    colour = COLOURS.get(arm, "#c9ccd1")
                    label = arm if style == "-" else None
                    axes.plot(*zip(*points, strict=True), style, color=colour, label=label, linewidth=1.4)
        _clean(axes, title)
        axes.set_xlabel("step", fontsize=8)
        axes.margins(y=0.1)
        axes.set_ylim(0, None)
        if axes.lines:
            axes.legend(frameon=False, fontsize=8)
    return figure
