"""The protocol card: what a reader must know to compare the numbers of a run with others'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from poseda.config import RunConfig, TargetDataConfig, from_json
from poseda.datasets import Domains, OwnDomains, UnlabelledPoses
from poseda.datasets.account_words import barely_seen
from poseda.device import choose, precision_of
from poseda.method.agreement import shared
from poseda.runs.origin import describe_data


def protocol_card(
    config: RunConfig, domains: Domains, splits: Sequence[str], learned: bool = True
) -> dict[str, str]:
    """What a reader must know to compare the numbers with others'.

    Args:
        config: of the run.
        domains: to learn from, or to evaluate on.
        splits: those with labels.
        learned: whether the run learned from these domains.
    """
    skeleton = domains.skeleton
    camera, weak = {}, {}
    if isinstance(domains, OwnDomains):
        camera = {"target camera": domains.camera}
        target_2d = domains.adaptation().target
        if (few := barely_seen(target_2d)) is not None:
            camera["target rows"] = few
        if "wide_target" in config.arms and config.wide.agreed and (agreed := _agreed(target_2d)) is not None:
            camera["agreed poses"] = agreed
        if domains.weak is not None:
            account = ". ".join(line.removeprefix("weak labels: ") for line in domains.weak.account)
            weak = {"weak labels": f"wide_target learns from 3D poses that another model made. {account}"}
    if "target_test" in splits:
        target = "inductive: unlabelled 2D of target_train is adapted on, target_test holds other clips"
    else:
        target = "unlabelled 2D is adapted on; it has no labels, so the numbers are of source_val"
    degraded = config.target_data
    if degraded != TargetDataConfig():
        target += (
            f"; degraded first: {degraded.size or 'all'} poses, "
            f"noise of {degraded.noise:g} half screen widths, focal length off by {degraded.focal_error:+.0%}"
        )
    wide = {}
    if "wide" in config.arms or "wide_target" in config.arms:
        wide["wide arms"] = (
            "find tilt and bone lengths in the tested clips' own 2D, without labels (transductive)"
        )
        up = getattr(domains, "source_up", None) if learned else None  # of a source of the user's
        if up is not None:
            wide["up in the source"] = up
    return {
        "data": domains.name,
        "joints": f"all {skeleton.num_joints} of {skeleton.name}, root-relative by subtraction",
        "frames": _describe_frames(config),
        "2D source": "as the data file gives it",
        "precision": _describe_precision(config),
        "test-time flip": "averaged with the mirrored pose" if config.training.flip else "off",
        "scale fix": "none",
        "target": target,
        **camera,
        **weak,
        **wide,
        "selection": "none: averaged weights of the last step; no target label in any choice",
        "seeds": ", ".join(map(str, config.seeds)),
        "averages": "pooled over joints and frames",
        "PCK, AUC": "joints strictly under 150 mm; mean of PCK at 0, 5, ... 150 mm",
    }


def _describe_precision(config: RunConfig) -> str:
    name = precision_of(config, choose(config.device))
    rounded = {"tf32": "matrix products in TF32", "bf16-mixed": "layers in bf16"}.get(name)
    return f"trained with {rounded}, evaluated in float32" if rounded else name


def _describe_frames(config: RunConfig) -> str:
    if config.frames == 1:
        return "1"
    what = "past frames" if config.network.causal else "frames around each"
    within = f"{config.frames}: {what}, within its clip; at its ends the first or last frame is repeated"
    return f"{within}; a lifter of every frame is tested on windows side by side"


def evaluation_card(record: dict[str, Any], domains: Domains, split: str) -> dict[str, str]:
    """The card of a later evaluation, perhaps on other data than the run's.

    Args:
        record: config.json of the run.
        domains: evaluated on.
        split: of the domains.
    """
    learned, evaluated = record["data"], describe_data(domains)
    same = learned["sha256"] == evaluated["sha256"]
    card = protocol_card(from_json(record["config"]), domains, ("target_test",), same) | {"split": split}
    if not same:
        card["target"] = (
            f"other data: the lifters were adapted on {learned['name']}, evaluated on {evaluated['name']}; "
            f"whether the two share clips was not checked"
        )
    elif split == "source_val":
        card["target"] = "unlabelled 2D of target_train was adapted on; the numbers are of source_val"
    return card


def _agreed(target: UnlabelledPoses) -> str | None:
    """How many rows show a moment that another camera saw; None where cameras are not calibrated together."""
    if target.rig is None or target.rig.rotation is None:
        return None
    count = int(shared(target.rig.moment.masked_fill(~target.liftable, -1)).sum())
    return (
        f"wide_target learns the pose that cameras agree on from {count} of {len(target)} rows of the "
        f"target; no other camera saw the moment of the others"
    )
