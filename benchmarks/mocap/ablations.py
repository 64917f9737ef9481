"""The effect of each part of the method, each range and each flaw of the target's data.

Of ``gpa_lpa``, on p2, or of ``wide`` or ``wide_target``, on p1 and p2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.mocap import variants
from benchmarks.mocap.config import AblatedArm, ReproduceAblationsConfig
from benchmarks.mocap.queue import ArmsJob
from benchmarks.mocap.variants import BASE, Study, Variant
from poseda.config import FIELD_VIEWS, Arm, RunConfig

OPTIONS = ReproduceAblationsConfig

METHOD: tuple[Arm, ...] = ("gpa_lpa",)
PLACED: tuple[Arm, ...] = ("gpa", "gpa_lpa")
"""The arms that a change of placements concerns."""

STARTING_VALUES = {
    "generator_training.learning_rate": 1e-4,
    "generator_training.discriminator_rate": 1e-4,
    "generator_training.weight_2d": 1.0,
    "generator_training.weight_3d": 6.0,
    "generator_training.weight_scale": 1.0,
    "generator_training.weight_body": 0.0,
    "generator.scale_limit": 0.1,
}
"""PoseAug's weights, learning rates and limit, from which our recipe set out."""

PARTS = (
    Variant("exact-gpa", PLACED, {"placement.gpa": "exact"}),
    Variant("propagated-rotations", METHOD, {"generator.propagate": True}),
    Variant("no-bone-rotation", METHOD, {"generator.bone_angle": 0.0, "training.bone_jitter": 0.0}),
    Variant("no-bone-scale", METHOD, {"generator.bone_scale": 0.0, "generator.scale_limit": 0.0}),
    Variant("no-body-rotation", METHOD, {"generator.body_angle": 0.0, "training.body_jitter": 0.0}),
    Variant("no-jitter", METHOD, {"training.bone_jitter": 0.0, "training.body_jitter": 0.0}),
    Variant("no-captured-postures", METHOD, {"training.source_share": 0.0}),
    Variant("anchor-source-3d", METHOD, {"adversary.anchor": "source_3d"}),
    Variant("anchor-target-2d", METHOD, {"adversary.anchor": "target_2d"}),
    Variant("no-discriminator", METHOD, {"adversary.anchor": "none"}),
    Variant("paired-anchors", METHOD, {"adversary.pairing": "paired"}),
    Variant("hard-ratio-feedback", METHOD, {"adversary.feedback": "hard_ratio"}),
)

RANGES = (
    Variant("bone-angle-0.8", METHOD, {"generator.bone_angle": 0.8}),
    Variant("bone-angle-3.1", METHOD, {"generator.bone_angle": 3.1}),
    Variant("body-angle-0.25", METHOD, {"generator.body_angle": 0.25}),
    Variant("body-angle-1.0", METHOD, {"generator.body_angle": 1.0}),
    Variant("bone-scale-0.1", METHOD, {"generator.bone_scale": 0.1}),
    Variant("bone-scale-0.4", METHOD, {"generator.bone_scale": 0.4}),
    Variant("scale-limit-0.1", METHOD, {"generator.scale_limit": 0.1}),
    Variant("turn-band-0-to-0.2", METHOD, {"generator.angle_mean": 0.1, "generator.angle_width": 0.1}),
    Variant("turn-band-0.1-to-0.8", METHOD, {"generator.angle_mean": 0.45, "generator.angle_width": 0.35}),
    Variant("no-penalty-on-body", METHOD, {"generator_training.weight_body": 0.0}),
    Variant(
        "learning-rate-2e-3",
        METHOD,
        {"generator_training.learning_rate": 2e-3, "generator_training.discriminator_rate": 2e-3},
    ),
    Variant("poseaug-starting-values", METHOD, STARTING_VALUES),
)

PLUS: tuple[Arm, ...] = ("gpa_lpa_view",)

VIEW_ALIGNMENT = (
    Variant("view-random-postures", PLUS, {"alignment.postures": "random"}),
    Variant("view-captured-postures", PLUS, {"alignment.postures": "captured"}),
    Variant("view-without-build", PLUS, {"alignment.build": 0.0}),
)

TARGET = (
    *(Variant(f"target-{size}", PLACED, {"target_data.size": size}) for size in (100, 1_000, 10_000)),
    # A pixel of a picture 1 000 wide is 0.002 half screen widths.
    *(Variant(f"noise-{px}px", PLACED, {"target_data.noise": 0.002 * px}) for px in (2, 5, 10)),
    *(
        Variant(f"focal{error:+d}%", PLACED, {"target_data.focal_error": error / 100})
        for error in (-30, -10, 10, 30)
    ),
)

STUDY = Study(
    variants=(
        Variant(BASE, ("source_only", "gpa", "gpa_lpa", "gpa_lpa_view", "random", "oracle")),
        *PARTS,
        *RANGES,
        *VIEW_ALIGNMENT,
        *TARGET,
    ),
    pairs=("p2",),
    split="target_test",
    shares_pretraining=True,
)

WIDE: tuple[Arm, ...] = ("wide",)

WIDE_VIEWS = (
    Variant("level-cameras", WIDE, {"views.level_share": 1.0}),
    Variant("no-roll", WIDE, {"views.roll": 0.0}),
    Variant("distances-3-to-6-m", WIDE, {"views.nearest": 3.0, "views.farthest": 6.0}),
    Variant("no-build", WIDE, {"views.build": 0.0}),
    Variant("no-stature", WIDE, {"views.stature": 0.0}),
    Variant("no-bone-turns", WIDE, {"views.turn": 0.0}),
)

WIDE_DETECTOR = (
    Variant("no-masks", WIDE, {"detector.masked": 0.0}),
    Variant("no-noise", WIDE, {"detector.noise": 0.0}),
    Variant("none-misplaced", WIDE, {"detector.misplaced": 0.0}),
    Variant("no-swaps", WIDE, {"detector.swapped": 0.0}),
)

WIDE_KNOWN = (
    Variant("nothing-known", WIDE, {"wide.known": 0.0}),
    Variant("always-known", WIDE, {"wide.known": 1.0}),
)

WIDE_FIELD = (
    *(Variant(f"field-{name.partition('.')[2]}", WIDE, {name: FIELD_VIEWS[name]}) for name in FIELD_VIEWS),
    Variant("field-all", WIDE, FIELD_VIEWS),
)
"""What is drawn for footage by default, one range by itself and all together."""

WIDE_STUDY = Study(
    variants=(Variant(BASE, WIDE), *WIDE_VIEWS, *WIDE_DETECTOR, *WIDE_KNOWN, *WIDE_FIELD),
    pairs=("p1", "p2"),
    split="target_test",
    shares_pretraining=False,
)

TAUGHT: tuple[Arm, ...] = ("wide", "wide_target")


def _long(steps: int) -> Variant:
    """Another training time, of which the target's rounds keep their share."""
    return Variant(f"steps-{steps}", TAUGHT, {"wide.steps": steps, "wide.target_steps": steps // 4})


WIDE_TARGET_STUDY = Study(
    variants=(
        Variant(BASE, TAUGHT),
        *(_long(steps) for steps in (1500, 3000, 12000, 24000)),
        *(Variant(f"width-{width}", TAUGHT, {"wide.width": width}) for width in (256, 768)),
        *(Variant(f"blocks-{blocks}", TAUGHT, {"wide.blocks": blocks}) for blocks in (2, 4, 8)),
        Variant("none-near", ("wide_target",), {"wide.near_share": 0.0}),
        Variant("no-found-poses", ("wide_target",), {"wide.target_share": 0.0}),
        Variant(
            "losses-of-pictures",
            ("wide_target",),
            {"wide.weight_reprojection": 1.0, "wide.weight_consistency": 0.3},
        ),
    ),
    pairs=("p1", "p2"),
    split="target_test",
    shares_pretraining=False,
)

STUDIES: dict[AblatedArm, Study] = {"gpa_lpa": STUDY, "wide": WIDE_STUDY, "wide_target": WIDE_TARGET_STUDY}
"""By the arm that is varied."""


def plan(options: ReproduceAblationsConfig, recipe: RunConfig) -> list[ArmsJob]:
    """The jobs of the arm's study, as :func:`benchmarks.mocap.variants.plan` orders them."""
    return variants.plan(STUDIES[options.arm], options, recipe)


def report(options: ReproduceAblationsConfig, jobs: Sequence[ArmsJob]) -> dict[str, Any]:
    """All numbers of the finished runs, ready for JSON."""
    return variants.report(STUDIES[options.arm], options, jobs)


def markdown(options: ReproduceAblationsConfig, jobs: Sequence[ArmsJob]) -> str:
    """The tables of the finished runs."""
    return variants.markdown(STUDIES[options.arm], options, jobs)
