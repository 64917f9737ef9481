"""The do-no-harm gate: adapt only where the target differs from the source by more than chance.

A lifter that already fits gains nothing from adaptation and can lose. So the target's 2D poses are compared
with the source's. The measure of chance is the source itself: random halves of its clips, drawn many times.
The target must be farther from a half than 97.5 % of the other halves are, in placement or in posture. There
are two features, hence 97.5 % rather than 95 %. Only 2D poses are read. Few target clips can show large gaps
only, because whole clips are drawn.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from poseda.datasets import AdaptationData
from poseda.evaluation.distance import FEATURES, ClipDistances, screen_features
from poseda.runs.verdict import LIMIT, RESAMPLES, Margin, Verdict

ROWS = 3000
"""Poses of each domain that are compared, drawn at random."""

FEWEST_CLIPS = 8
"""With fewer clips in the source, blocks of consecutive frames replace them."""

BLOCKS = 20
"""How many blocks a source of few clips is cut into."""


def decide(data: AdaptationData, seed: int = 0) -> Verdict:
    """Compare the target's 2D with the source's.

    Where the target misses joints, every source pose is seen with the gaps of a target pose drawn at random.

    Args:
        data: of both domains, without 3D of the target.
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
    """The unit of resampling of each row, as a number: its clip, or a block of frames where clips are few."""
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
