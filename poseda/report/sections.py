"""The sections about numbers: without labels, found alignment, with labels, training, protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from poseda.datasets.account_words import account_lines
from poseda.report import charts
from poseda.report.alignment import signed
from poseda.report.curves import PANELS, curves
from poseda.report.headline import Models
from poseda.report.summary import by_camera, cells, headings, ranked, shown_split, summarise
from poseda.report.tables import MINUS, Row, Table, arm_keys, arm_row, change_of
from poseda.runs.record import RunRecord

LABELFREE_COLUMNS = {
    "reprojection_px": ("Reprojection px", 1),
    "reprojection_percent": ("Reprojection % of body size", 1),
    "asymmetry_percent": ("Bone asymmetry %", 1),
    "inconstancy_percent": ("Bone inconstancy %", 1),
    "implausible_percent": ("Implausible poses %", 1),
    "moved_mm": ("From source model mm", 0),
    "disagreement_mm": ("Cameras apart mm", 0),
}
"""Heading and decimals of each label-free number. The last needs cameras calibrated to each other."""

LABELS = "labels of the source"
"""The row that shows the same numbers of true poses."""


def labelfree(
    record: RunRecord, models: Models, shown_columns: Mapping[str, tuple[str, int]] = LABELFREE_COLUMNS
) -> dict[str, Any] | None:
    """The label-free numbers of every model, and which joints leave their range."""
    if record.labelfree is None:
        return None
    labels, found = record.labelfree["labels"], record.labelfree["models"]
    if not any("disagreement_mm" in numbers for numbers in found.values()):
        shown_columns = {name: of for name, of in shown_columns.items() if name != "disagreement_mm"}

    def shown(numbers: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(
            "" if numbers.get(name) is None else f"{abs(numbers[name]):.{decimals}f}"
            for name, (_, decimals) in shown_columns.items()
        )

    rows = [Row(LABELS, shown(labels), "reference")]
    rows += [arm_row(arm, shown(numbers), models.chosen) for arm, numbers in found.items()]
    names = list(labels["limits"])

    def limits(part: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(f"{part['limits'].get(name, 0):.1f}" for name in names)

    by_limit = [Row(LABELS, limits(labels), "reference")]
    by_limit += [arm_row(arm, limits(part), models.chosen) for arm, part in found.items()]
    columns = (heading for heading, _ in shown_columns.values())
    return {
        "table": Table(("model", *columns), tuple(rows)),
        "limits": Table(("model", *names), tuple(by_limit)) if names else None,
    }


def at_limits(record: RunRecord, models: Models) -> list[str]:
    """What says that estimates stand at a limit: those of the recommended arm, and of gpa_lpa_view."""
    found = {} if record.labelfree is None else record.labelfree["models"]
    own = found.get(models.chosen, {}).get("at_limits", [])
    return [*own, *(() if record.alignment is None else record.alignment.limits)]


def alignment(record: RunRecord) -> dict[str, Table] | None:
    """The tilt of each view and the proportions of the people that `gpa_lpa_view` found, means over seeds."""
    found = record.alignment
    if found is None:
        return None
    views = tuple(
        Row(f"view {number}", (str(view.poses), _over_seeds(view.pitch), _over_seeds(view.roll)))
        for number, view in enumerate(found.views, 1)
    )
    proportions = tuple(
        Row(name.replace("_", " "), (_over_seeds(values),)) for name, values in found.proportions.items()
    )
    return {
        "views": Table(("view", "poses", "pitch down °", "roll °"), views),
        "proportions": Table(("bone to the", "change of length %"), proportions),
    }


def _over_seeds(values: Sequence[float]) -> str:
    deviation = f" ± {stdev(values):.1f}" if len(values) > 1 else ""
    return signed(mean(values)).replace("-", MINUS) + deviation


def results(record: RunRecord, models: Models) -> dict[str, Any] | None:
    """Errors of every arm, and of every joint; None where nothing was measured."""
    if not record.results:
        return None
    split = shown_split(record.results)
    summaries = ranked(summarise(record.results, split))
    means = {summary.arm: summary.mean["mpjpe"] for summary in summaries}
    gap = any(summary.gap_closed is not None for summary in summaries)
    rows = []
    for summary in summaries:
        compared = models.source in means and summary.arm != models.source
        change = change_of(means[models.source], means[summary.arm]) if compared else ""
        mpjpe, *others = cells(summary)[: None if gap else -1]
        rows.append(arm_row(summary.arm, (mpjpe, change, *others), models.chosen))
    name, mpjpe, *others = headings(summaries)[: None if gap else -1]
    by_arm = _joint_errors(record, split)
    return {
        "split": split,
        "table": Table((name, mpjpe, f"from {models.source}", *others), tuple(rows)),
        "seeds": max(summary.seeds for summary in summaries),
        "legend": arm_keys(means),
        "joints": charts.dots(by_arm, "mean error, mm") if by_arm else None,
    }


def _joint_errors(record: RunRecord, split: str) -> dict[str, dict[str, float]]:
    """Joint to mean error by arm, millimetres; the root, which agrees always, is left out."""
    by_arm: dict[str, list[dict[str, float]]] = {}
    for row in record.results:
        if row["split"] == split and "per_joint" in row:
            by_arm.setdefault(row["arm"], []).append(row["per_joint"])
    joints = next(iter(by_arm.values()))[0] if by_arm else {}
    errors = {
        joint.replace("_", " "): {arm: mean(row[joint] for row in rows) for arm, rows in by_arm.items()}
        for joint in joints
    }
    return {joint: values for joint, values in errors.items() if max(values.values()) > 0}


def training(record: RunRecord) -> dict[str, Any] | None:
    """Curves of the first seed, and every restart after a collapse; None where nothing was logged."""
    shown = {title: curves(record.journal, panel) for title, panel in PANELS.items()}
    drawn = [charts.lines(series, title) for title, series in shown.items() if series]
    if not drawn:
        return None
    return {
        "legend": arm_keys(curve.arm for series in shown.values() for curve in series),
        "charts": drawn,
        "restarts": [entry for entry in record.journal if "restart" in entry],
    }


def protocol(record: RunRecord, models: Models) -> dict[str, Any]:
    """The protocol card, what was read of the user's footage, and where the run came from."""
    origin = {**record.config["versions"], "data SHA-256": record.config["data"]["sha256"]}
    footage = list(account_lines(record.accounts))
    cameras = by_camera(record.results, models.chosen or models.source)
    card = dict(record.card) | ({"errors by camera": cameras} if cameras else {})
    return {"card": card, "footage": footage, "origin": origin}
