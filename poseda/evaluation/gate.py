"""The do-no-harm gate: adapt only where the target differs from the source by more than chance.

A lifter that already fits gains nothing from adaptation and can lose. So the target's 2D poses are compared
with the source's as the source is compared with itself: random halves of its clips are drawn again and again,
and the target must lie farther from a half than 97.5 % of the other halves do, in placement or in posture.
Two features are looked at, hence 97.5 % rather than 95 %. Nothing but 2D is read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from poseda.config import Arm
from poseda.datasets import AdaptationData
from poseda.evaluation.distance import FEATURES, ClipDistances, screen_features

FILE = "gate.json"
"""The file of a run folder that holds the verdict and the model it recommends."""

ROWS = 3000
"""Poses of each domain that are compared, drawn at random."""

RESAMPLES = 1000
"""Times the source's clips are divided anew."""

LIMIT = 0.975
"""Quantile of the distances between halves that the target must exceed."""

FEWEST_CLIPS = 8
"""With fewer clips in the source, blocks of consecutive frames stand in for them."""

BLOCKS = 20
"""How many blocks a source of few clips is cut into."""

FEW = 5
"""Fewer target clips than this are called few: whole clips then differ much by chance alone."""

PREFERRED: tuple[Arm, ...] = ("gpa_lpa_view", "gpa_lpa", "gpa", "lpa", "random", "poseaug", "source_only")
"""Which of the arms that were asked for is recommended; the oracle saw labels and never is."""


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
        """What was found, without the numbers behind it."""
        if self.adapt:
            ratio = max(margin.ratio for margin in self.margins.values())
            return (
                f"Adapt: the target's 2D poses differ from the source's by {ratio:.1f} times "
                f"what chance explains"
            )
        return (
            "Keep the source model: the target's 2D poses differ from the source's by no more than "
            "chance explains"
        )

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
        """The verdict in plain words: the finding, then what it rests on."""
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


PRETRAINED = "pretrained"
"""What the lifter is called, in files and logs, before any arm has touched it."""


def source_model(arms: Sequence[Arm]) -> str:
    """Name of the source model: the arm, or the pre-trained lifter where that arm was not asked for."""
    return "source_only" if "source_only" in arms else PRETRAINED


def recommend(verdict: Verdict | None, arms: Sequence[Arm]) -> str:
    """The model to use: the source model unless the verdict, if there is one, is to adapt."""
    keep = source_model(arms)
    if verdict is not None and not verdict.adapt:
        return keep
    return preferred(arms) or keep


def preferred(arms: Sequence[Arm]) -> Arm | None:
    """The first of :data:`PREFERRED` that is among the arms; None where there is none."""
    return next((arm for arm in PREFERRED if arm in arms), None)


def read_verdict(out: Path) -> dict[str, Any] | None:
    """What gate.json of a run folder holds; None where the gate was not asked.

    Raises:
        ValueError: if it is damaged.
    """
    path = out / FILE
    if not path.exists():
        return None
    try:
        record: dict[str, Any] = json.loads(path.read_text())
        if record["recommended"] not in (*PREFERRED, PRETRAINED):
            raise ValueError(record["recommended"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected the verdict of the gate, found none that can be read") from error
    return record


def judge(data: AdaptationData, seed: int = 0) -> Verdict:
    """Compare the target's 2D with the source's.

    Where the target misses joints, every source pose is seen with the gaps of a target pose drawn at random.

    Args:
        data: all that may be known.
        seed: of the draws; the same data and seed give the same verdict.

    Raises:
        ValueError: if a domain has no pose with a visible root and a box, or the source fewer than two.
    """
    rng = torch.Generator().manual_seed(seed)
    source, target = data.source, data.target
    (source_unit, target_unit), unit = _units(source.clip.cpu(), target.clip.cpu())
    rows = torch.randperm(len(source), generator=rng)[:ROWS]
    target_rows = torch.randperm(len(target), generator=rng)[:ROWS]
    pose, drawn = source.pose_2d.cpu()[rows], target.rows(target_rows).to("cpu")
    seen = drawn.pose_2d.isfinite().all(-1)
    if drawn.visible is not None:
        seen = seen & drawn.visible
    gaps = seen[torch.randint(len(seen), (len(pose),), generator=rng)]
    features, kept = screen_features(pose, gaps, data.skeleton)
    target_features, target_kept = screen_features(drawn.pose_2d, seen, data.skeleton)
    own = source_unit[rows][kept].unique(return_inverse=True)[1]
    other = target_unit[target_rows][target_kept].unique(return_inverse=True)[1]
    for name, part, fewest in (("target", other, 1), ("source", own, 2)):
        if len(part) < fewest:
            raise ValueError(
                f"{name}: expected a visible root and a box in {fewest} or more poses, found {len(part)}"
            )
    count, target_count = int(own.max()) + 1, int(other.max()) + 1
    groups = _groups(count, target_count, rng)
    clip = torch.cat([own, other + count])
    margins = {name: _margin(features[name], target_features[name], clip, groups) for name in FEATURES}
    return Verdict(margins, unit, count, target_count, min(count // 2, target_count))


def _units(
    source: Tensor, target: Tensor
) -> tuple[tuple[Tensor, Tensor], Literal["clips", "blocks of frames"]]:
    """What is resampled, as a number for each row: clips, or blocks of frames where the source has few."""
    if len(source.unique()) >= FEWEST_CLIPS:
        return (source, target), "clips"
    length = -(-len(source) // BLOCKS)
    blocks = []
    for clip in (source, target):
        # Rows of a clip need not lie together: each is numbered within its own clip.
        _, member = clip.unique(return_inverse=True)
        order = member.argsort(stable=True)
        first = member.bincount().cumsum(0) - member.bincount()
        within = torch.empty_like(order)
        within[order] = torch.arange(len(clip)) - first[member[order]]
        blocks.append(member * len(clip) + within // length)
    return (blocks[0], blocks[1]), "blocks of frames"


def _groups(source: int, target: int, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Which clips stand in half the source, in the other half, and for the target: three (B, C) of 0 and 1.

    The two that are compared with the first half have equally many clips, so that neither looks nearer for
    being larger.
    """
    half = source // 2
    compared = min(half, target)
    groups = torch.zeros(3, RESAMPLES, source + target, dtype=torch.float64)
    for number in range(RESAMPLES):
        order = torch.randperm(source, generator=rng)
        groups[0, number, order[:half]] = 1
        groups[1, number, order[half : half + compared]] = 1
        groups[2, number, source + torch.randperm(target, generator=rng)[:compared]] = 1
    return groups[0], groups[1], groups[2]


def _margin(source: Tensor, target: Tensor, clip: Tensor, groups: tuple[Tensor, Tensor, Tensor]) -> Margin:
    """Compare one feature, each of its columns in units of the source's standard deviation, jointly."""
    scale = source.std(0)
    scale = scale.where(scale > 0, torch.ones_like(scale))
    half, other, drawn = groups
    distances = ClipDistances(torch.cat([source, target]) / scale, clip, half.shape[1])
    halves = distances.between(half, other)
    return Margin(
        float(halves.median()), float(halves.quantile(LIMIT)), float(distances.between(half, drawn).median())
    )
