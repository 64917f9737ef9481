"""The verdict of a run, as its folder keeps it: what the gate found, the evidence, the recommended model.

The gate compares 2D before training. The evidence is of the trained arms
(:mod:`poseda.evaluation.predicted_error`), and may overturn what the gate and the fixed order recommend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from poseda.config import WIDE_ARMS, Arm, arm_name
from poseda.runs.atomic import JsonFile

RESAMPLES = 1000
"""Random divisions of the source's clips into halves."""

LIMIT = 0.975
"""Quantile of the distances between halves that the target must exceed."""

FEW = 5
"""Fewer target clips than this are called few: whole clips then differ much by chance alone."""

PREFERRED: tuple[Arm, ...] = (
    *("wide_target", "wide", "gpa_lpa_view", "gpa_lpa", "gpa", "lpa", "random", "poseaug", "source_only"),
)
"""Which of the arms that were asked for is recommended; the oracle saw labels and never is."""

PRETRAINED = "pretrained"
"""Name of the lifter, in files and logs, before an arm adapts it."""


@dataclass(frozen=True)
class Margin:
    """One feature's comparison; distances are coefficients of inhomogeneity, 0 to 1.

    Args:
        halves: between halves of the source, median over the resamples.
        limit: quantile :data:`LIMIT` of the same.
        target: from half the source to the target, median.
    """

    halves: float
    limit: float
    target: float

    @property
    def ratio(self) -> float:
        """The target's distance over the limit: above 1 is more than chance."""
        return self.target / self.limit if self.limit > 0 else float("inf") if self.target > 0 else 0.0


@dataclass(frozen=True)
class Verdict:
    """What the gate found.

    Args:
        margins: by feature.
        unit: what was resampled.
        source, target: how many of these units each domain has.
        compared: how many stood on the target's side of each comparison.
    """

    margins: dict[str, Margin]
    unit: Literal["clips", "blocks of frames"]
    source: int
    target: int
    compared: int

    @property
    def adapt(self) -> bool:
        """Whether some feature exceeds its limit."""
        return any(margin.ratio > 1 for margin in self.margins.values())

    @property
    def finding(self) -> str:
        """What was found, without the numbers behind it. It orders nothing: predicted errors may decide."""
        differ = "the target's 2D poses differ from the source's by"
        if self.adapt:
            ratio = max(margin.ratio for margin in self.margins.values())
            return f"By 2D alone, a gap is seen: {differ} {ratio:.1f} times what chance explains"
        return f"By 2D alone, no gap is seen: {differ} no more than chance explains"

    @property
    def numbers(self) -> str:
        """What the finding rests on."""
        margins = ", ".join(
            f"{name} {margin.target:.4f} (limit {margin.limit:.4f})" for name, margin in self.margins.items()
        )
        doubt = ""
        if self.compared < FEW and not self.adapt:
            doubt = f"; with only {self.compared} of the target's {self.unit} a small gap cannot be seen"
        return (
            f"distance in {margins}; {100 * LIMIT:g} % of {RESAMPLES} random splits of the source's "
            f"{self.unit} stay below the limit{doubt}"
        )

    @property
    def sentence(self) -> str:
        """The verdict in plain words: the finding, then its numbers."""
        return f"{self.finding}. In numbers: {self.numbers}."

    def to_json(self, recommended: str) -> dict[str, Any]:
        """What gate.json holds."""
        return {
            "verdict": "adapt" if self.adapt else "keep",
            "recommended": recommended,
            "finding": self.finding,
            "numbers": self.numbers,
            "sentence": self.sentence,
            "distance": "energy distance, normalised (coefficient of inhomogeneity)",
            "quantile": LIMIT,
            "resamples": RESAMPLES,
            "unit": self.unit,
            "units": {"source": self.source, "target": self.target, "compared": self.compared},
            **{name: {**asdict(margin), "ratio": margin.ratio} for name, margin in self.margins.items()},
        }


@dataclass(frozen=True)
class PredictedError:
    """The error that is expected of an arm on the target.

    Args:
        error: mean over seen joints, millimetres.
        low, high: ends of the interval of 90 %.
    """

    error: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.error:.0f} mm ({self.low:.0f} to {self.high:.0f})"


@dataclass(frozen=True)
class Evidence:
    """What is known of the arms after training, without labels of the target.

    Args:
        rows: target rows that it rests on.
        targets: simulated targets that it was learned from.
        errors: predicted error by arm; empty where there are too few rows.
        prior: the arm that is recommended unless another's predicted error is lower by enough.
        recommended: the arm that the evidence recommends.
        sure: chance that no other arm is better by 5 %, 0 to 1; None where there is no other.
    """

    rows: int
    targets: int
    errors: dict[str, PredictedError]
    prior: str
    recommended: str
    sure: float | None

    @property
    def reason(self) -> str:
        """Why this arm is recommended."""
        if not self.errors:
            return f"only {self.rows} rows of the target can be judged, too few to compare arms"
        if len(self.errors) == 1:
            return "it is the only arm"
        if self.recommended == self.prior:
            return "no other arm is predicted to be better by enough"
        gain = 1 - self.errors[self.recommended].error / self.errors[self.prior].error
        return f"its predicted error is {100 * gain:.0f} % lower than that of {self.prior}"

    @property
    def sentence(self) -> str:
        """In words."""
        if not self.errors:
            return f"No error is predicted: {self.reason}"
        by_error = sorted(self.errors.items(), key=lambda entry: entry[1].error)
        listed = ", ".join(f"{arm} {error}" for arm, error in by_error)
        sure = ""
        if self.sure is not None:
            sure = (
                f"; the chance that no other arm is better than {self.recommended} by 5 % is "
                f"{100 * self.sure:.0f} %"
            )
        return f"Predicted errors with intervals of 90 %, from {self.rows} rows: {listed}{sure}"

    def to_json(self) -> dict[str, Any]:
        """What gate.json holds of it."""
        return {**asdict(self), "reason": self.reason, "sentence": self.sentence}


def source_model(arms: Sequence[Arm]) -> str:
    """Name of the source model: the arm, or the pre-trained lifter where that arm was not asked for.

    A run of wide arms alone pre-trains nothing; the arm wide saw no target, so it is the source model.
    """
    if set(arms) <= set(WIDE_ARMS):
        return "wide"
    return "source_only" if "source_only" in arms else PRETRAINED


def recommend(verdict: Verdict | None, arms: Sequence[Arm]) -> str:
    """The model to use without evidence: a wide arm, else the source model unless the verdict is to adapt.

    Both wide arms were better than every other on all labelled pairs and real cameras that were tried
    (benchmarks/README.md). There wide_target was better than wide, too, but for one camera of 21.

    Args:
        verdict: of the gate.
        arms: of the run.
    """
    keep, best = source_model(arms), preferred(arms)
    if best in WIDE_ARMS or verdict is None or verdict.adapt:
        return best or keep
    return keep


def why(recommended: str, finding: str, evidence: Mapping[str, Any] | None = None) -> str:
    """The reason of a recommendation and the errors that are predicted, in a sentence or two.

    Args:
        recommended: the arm.
        finding: of the gate, as :attr:`Verdict.finding` gives it.
        evidence: as :meth:`Evidence.to_json` gives it; None in runs older than it is.
    """
    reason = finding.partition(": ")[2] or finding
    if recommended == "wide":
        reason = "it was better than other arms wherever labels could show it, and lifts people partly seen"
    if recommended == "wide_target":
        reason = "it was better than wide, which is better than other arms, wherever labels could show it"
    if evidence is None:
        return f"{recommended} is recommended: {reason}."
    numbers = f" {evidence['sentence']}." if evidence["errors"] else ""
    return f"{recommended} is recommended: {evidence['reason']}.{numbers}"


def preferred(arms: Sequence[Arm]) -> Arm | None:
    """The first of :data:`PREFERRED` that is among the arms; None where there is none."""
    return next((arm for arm in PREFERRED if arm in arms), None)


@dataclass(frozen=True)
class VerdictFile:
    """gate.json: the verdict and the model that it recommends. It is there where the gate was asked.

    Args:
        file: where it is kept.
    """

    file: JsonFile

    @property
    def name(self) -> str:
        """Of the file."""
        return self.file.path.name

    def read(self) -> dict[str, Any] | None:
        """What :meth:`Verdict.to_json` gave; None where the gate was not asked.

        Raises:
            ValueError: if the file is damaged; the message names it.
        """
        if not self.file.exists():
            return None
        try:
            record: dict[str, Any] = self.file.read()
            record["recommended"] = arm_name(record["recommended"])
            if record["recommended"] not in (*PREFERRED, PRETRAINED):
                raise ValueError(record["recommended"])
            if "evidence" in record:  # older files have none
                record["evidence"]["errors"], record["evidence"]["reason"], record["evidence"]["sentence"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{self.file.path}: expected the verdict of the gate, found none that can be read"
            ) from error
        return record

    def add(self, evidence: Evidence) -> None:
        """Put the evidence into the file, and recommend what it recommends."""
        record = self.file.read()
        self.file.write(record | {"recommended": evidence.recommended, "evidence": evidence.to_json()})

    def write(self, verdict: Verdict | None, arms: Sequence[Arm]) -> None:
        """Keep a verdict and the model that it recommends.

        Args:
            verdict: of the gate. None, where it was not asked, removes that of an earlier start.
            arms: of the run, among which one is recommended.
        """
        if verdict is None:
            self.file.remove()
        else:
            self.file.write(verdict.to_json(recommend(verdict, arms)))
