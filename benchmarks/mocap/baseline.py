"""Recipes of the lifter that learns from source alone, scored on source_val. No target data is used."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.mocap import variants
from benchmarks.mocap.config import ReproduceVariantsConfig
from benchmarks.mocap.variants import BASE, Study, Variant

OPTIONS = ReproduceVariantsConfig


def _variant(name: str, **changes: Any) -> Variant:
    """A change of the lifter's training; ``width`` and ``dropout`` are the network's."""
    dotted = {
        f"{'network' if option in ('width', 'dropout') else 'training'}.{option}": value
        for option, value in changes.items()
    }
    return Variant(name, ("source_only",), dotted)


STUDY = Study(
    variants=(
        _variant(BASE),
        _variant("loss-squared", loss="squared"),
        _variant("loss-absolute", loss="absolute"),
        _variant("width-512", width=512),
        _variant("width-1024", width=1024),
        _variant("dropout-0", dropout=0.0),
        _variant("dropout-0.25", dropout=0.25),
        _variant("batch-256", batch=256),
        _variant("batch-1024", batch=1024),
        _variant("no-flip", flip=False),
        _variant("noise-1px", noise_2d=0.002),
        _variant("noise-2px", noise_2d=0.004),
        _variant("noise-5px", noise_2d=0.01),
        _variant("no-average", ema=0.0),
        _variant("average-0.98", ema=0.98),
        _variant("average-0.999", ema=0.999),
        _variant("learning-rate-3e-4", learning_rate=3e-4),
        _variant("learning-rate-3e-3", learning_rate=3e-3),
        _variant("steps-4000", pretrain_steps=4_000, adapt_steps=4_000),
        _variant("steps-10000", pretrain_steps=10_000, adapt_steps=10_000),
    ),
    pairs=("p1", "p2"),
    split="source_val",
    shares_pretraining=False,
)

plan = partial(variants.plan, STUDY)
report = partial(variants.report, STUDY)
markdown = partial(variants.markdown, STUDY)
