"""The top of the page: which model is recommended and why, what each arm is, the numbers at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from poseda.report.arms import meaning_of, tone_of
from poseda.report.summary import by_labels, shown_split, summarise
from poseda.report.tables import change_of
from poseda.runs.record import RunRecord
from poseda.runs.verdict import preferred

TILES = {
    "reprojection_px": ("Reprojection error", "px", "after the best placement, in a picture 1000 px wide"),
    "asymmetry_percent": ("Bone asymmetry", "%", "left against right bone length"),
    "inconstancy_percent": ("Bone inconstancy", "%", "standard deviation of bone lengths in a clip"),
    "implausible_percent": ("Implausible poses", "%", "poses with a joint outside its range"),
}
"""Label-free number to title, unit and explanation."""


NOT_ADAPTED = "This run trained no model that adapts."

NOT_ADAPTED_WIDE = (
    "No model of this run learned from the target. This one is for every camera: it finds tilt and bone "
    "lengths in the 2D that it lifts."
)
"""Of a run of the arm wide alone, which is its own source model."""


@dataclass(frozen=True)
class Models:
    """The models that the page is about.

    Args:
        source: the source model.
        recommended: what to use; None where the gate did not run.
        chosen: the recommended model, or the one that `poseda lift` takes where nothing is recommended.
        compared: what stands beside the source model; None where nothing was adapted.
    """

    source: str
    recommended: str | None
    chosen: str | None
    compared: str | None

    @classmethod
    def of(cls, record: RunRecord) -> Models:
        """Find them in the record of a run."""
        arms = list(record.config["config"]["arms"])
        source = str(record.labelfree["source_model"]) if record.labelfree else "source_only"
        adapted = [arm for arm in arms if arm not in ("source_only", "oracle", source)]
        recommended = None if record.gate is None else str(record.gate["recommended"])
        chosen, best = recommended or preferred(arms), preferred(adapted)
        return cls(
            source=source,
            recommended=recommended,
            chosen=chosen,
            compared=chosen if chosen in adapted else best or next(iter(adapted), None),
        )


def header(record: RunRecord) -> dict[str, Any]:
    """Name of the data and the facts beneath it."""
    config, data = record.config["config"], record.config["data"]
    seeds = ", ".join(map(str, config["seeds"]))
    facts = {
        "lifter": config["lifter"],
        "skeleton": data["skeleton"],
        "seed" if len(config["seeds"]) == 1 else "seeds": seeds,
        "preset": config["preset"],
    }
    return {"name": data["name"], "facts": facts}


def verdict(record: RunRecord, models: Models) -> dict[str, Any]:
    """The recommendation: ``kind`` adapt, keep or off, and the sentences that give its reasons."""
    gate = record.gate
    if gate is None:
        return {"kind": "off", "model": None, "reasons": [], "numbers": ""}
    kind = "adapt" if gate["verdict"] == "adapt" else "keep"
    evidence = gate.get("evidence")
    reasons = [f"{gate['finding']}."]
    if evidence is not None:
        reasons.insert(0, f"{models.recommended} is recommended: {evidence['reason']}.")
    if models.recommended != models.source:
        reasons += _comparison(record, models)
    elif kind == "adapt" and models.compared is None:
        reasons.append(NOT_ADAPTED_WIDE if models.recommended == "wide" else NOT_ADAPTED)
    split = shown_split(record.results)
    if split == "target_test":
        reasons.append(by_labels(summarise(record.results, split), str(models.recommended)))
    if evidence is not None and evidence["errors"]:
        reasons.append(f"{evidence['sentence']}.")
    return {
        "kind": kind,
        "model": models.recommended,
        "tone": tone_of(str(models.recommended)),
        "reasons": [reason for reason in reasons if reason],
        "numbers": gate["numbers"],
    }


def _comparison(record: RunRecord, models: Models) -> list[str]:
    """A sentence that compares the recommended model with the source model, by labels where it can."""
    means = _mpjpe(record)
    if {models.recommended, models.source} <= means.keys():
        return [
            f"On the target's test clips, its MPJPE is {means[models.recommended]:.1f} mm; "
            f"that of {models.source} is {means[models.source]:.1f} mm."
        ]
    shown = tiles(record, models)
    if shown is None or models.compared != models.recommended:
        return []
    kinds = [tile["change"].kind for tile in shown["tiles"]]
    better, worse = (
        f"{kinds.count(kind)} {'is' if kinds.count(kind) == 1 else 'are'}" for kind in ("better", "worse")
    )
    return [
        f"Of {len(kinds)} numbers that need no labels, {better} better than with {models.source}, and "
        f"{worse} worse."
    ]


def arms(record: RunRecord, models: Models) -> list[dict[str, str]]:
    """Every model of the run with the sentence that explains it."""
    trained = [row["arm"] for row in record.results]
    names = dict.fromkeys([models.source, *record.config["config"]["arms"], *trained])
    return [{"name": name, "tone": tone_of(name), "meaning": meaning_of(name)} for name in names]


def tiles(record: RunRecord, models: Models) -> dict[str, Any] | None:
    """The source model's numbers and those of the model beside it; None where there is nothing to compare."""
    if record.labelfree is None or models.compared is None:
        return None
    numbers = record.labelfree["models"]
    before, after = numbers.get(models.source), numbers.get(models.compared)
    if before is None or after is None:
        return None
    rows = [
        (title, unit, note, before[name], after[name])
        for name, (title, unit, note) in TILES.items()
        if before[name] is not None and after[name] is not None
    ]
    means = _mpjpe(record)
    if {models.source, models.compared} <= means.keys():
        ends = means[models.source], means[models.compared]
        rows.insert(0, ("MPJPE", "mm", "mean joint error on the target's test clips", *ends))
    return {
        "source": models.source,
        "compared": models.compared,
        "tones": (tone_of(models.source), tone_of(models.compared)),
        "tiles": [_tile(*row) for row in rows],
    }


def _tile(title: str, unit: str, note: str, before: float, after: float) -> dict[str, Any]:
    return {
        "title": title,
        "before": f"{before:.1f}",
        "after": f"{after:.1f}",
        "unit": unit,
        "change": change_of(before, after, "points" if unit == "%" else unit),
        "note": note,
    }


def _mpjpe(record: RunRecord) -> dict[str | None, float]:
    """MPJPE by arm on the target's test clips, millimetres; empty where the target has no labels."""
    split = shown_split(record.results)
    if split != "target_test":
        return {}
    return {summary.arm: summary.mean["mpjpe"] for summary in summarise(record.results, split)}
