"""The command line of ``python -m benchmarks.real``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from benchmarks.mocap.tables import markdown_table
from poseda.cli import attempt
from poseda.cli.options import read
from poseda.cli.program import Given, Program, UsageError
from poseda.cli.recipe import resolve
from poseda.cli.screen import print_json, say
from poseda.config import FIELD_VIEWS, RunConfig, to_json
from poseda.config import WIDE_ARMS as ARMS
from poseda.config.fields import fields_of
from poseda.config.limits import AtLeast, Distinct, Found, check_fields
from poseda.config.run import Seed

NAME = "benchmarks.real"
"""What the program calls itself."""

SET_HERE = (
    "data",
    "target",
    "source",
    "weak_labels",
    "resume",
    "domain_size",
    "gate",
    "arms",
    "seeds",
    "out",
    "json",
)
"""Options of a run that this program sets itself or has of its own."""


@dataclass(frozen=True, kw_only=True)
class RealOptions:
    """The wide arms on real detections: trained on motion capture, scored on the second half of each view."""

    clips: Annotated[tuple[Path, ...], Distinct()]
    """Files of detections with cameras and 3D, a person each; see benchmarks/real/clips.py."""
    motion: Annotated[Path, Found()]
    """Source of 3D poses to train on, as for --source of adapt. Of the clips, it learns no 3D but
    that of --weak-frames."""
    out: Path
    """Folder for runs and results. A command that was stopped continues where it stopped."""
    seeds: Annotated[tuple[Seed, ...], Distinct()] = (0, 1, 2)
    """Seeds of the training."""
    weak_frames: Annotated[int, AtLeast(0)] = 0
    """Moments of the first half of each clip whose 3D wide_target learns from as weak labels."""
    weak_noise: Annotated[float, AtLeast(0)] = 0.04
    """Noise on these: the distance by which a joint is off, root mean square, metres."""
    json: bool = False
    """Print JSON instead of Markdown."""

    def __post_init__(self) -> None:
        check_fields(self)


PROGRAM = Program(
    f"python -m {NAME}",
    "Train the wide arms, lift real detections and score them. Options of `poseda adapt` make the recipe.",
    (RealOptions, RunConfig),
    common=tuple(entry.name for entry in fields_of(RealOptions)),
    sets=frozenset(name for name in SET_HERE if name not in ("out", "seeds", "json")),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``benchmarks/real``; returns 2 for bad input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return attempt(lambda: run(given))


def run(arguments: list[str]) -> int:
    """Train what is missing, score every view, and print the tables."""

    def make(given: Given) -> tuple[RealOptions, RunConfig]:
        recipe = resolve(FIELD_VIEWS | given.without(RealOptions))
        return given.build(RealOptions), replace(recipe, gate="off", arms=ARMS)

    options, recipe = read(PROGRAM, arguments, make)
    try:
        record = measure(options, recipe)
    except ValueError as error:
        raise UsageError(str(error)) from error
    from poseda.runs.atomic import write_json

    write_json(options.out / "real.json", record)
    if options.json:
        print_json(record)
    else:
        say(markdown(record))
    return 0


def measure(options: RealOptions, recipe: RunConfig) -> dict[str, Any]:
    """Every score, with what it depends on."""
    from benchmarks.real.clips import first_halves, views
    from benchmarks.real.score import WAYS, found_together, score
    from benchmarks.real.weak import weak_labels
    from poseda import training
    from poseda.datasets import AdaptationData, OwnDomains, read_source
    from poseda.datasets.own import digest, split_source
    from poseda.geometry.skeleton import H36M16
    from poseda.inference import AdaptedLifter
    from poseda.runs import RunFolder
    from poseda.runs.origin import versions

    source, held = split_source(read_source(options.motion, skeleton=H36M16))
    target = first_halves(options.clips)
    target = replace(target, clip=target.clip + 1 + max(int(source.clip.max()), int(held.clip.max())))
    files = [options.motion, *options.clips]
    weak = (
        weak_labels(options.clips, options.weak_frames, options.weak_noise) if options.weak_frames else None
    )
    how = f"weak {options.weak_frames} {options.weak_noise:g}" if options.weak_frames else ""
    domains = OwnDomains("real", AdaptationData(H36M16, source, held, target, weak), digest(files, how), {})
    scores = []
    for seed in options.seeds:
        config = replace(recipe, out=options.out / f"seed{seed}", seeds=(seed,))
        config = replace(config, resume=RunFolder(config.out).begun)
        training.prepare(config, domains).train()
        models = [AdaptedLifter.load(config.out, arm, seed) for arm in ARMS]
        for path in options.clips:
            halves = [view.half(second=True) for view in views(path)]
            together = {model.arm: found_together(model, halves) for model in models}
            for (at, view), model, way in product(enumerate(halves), models, WAYS):
                found = score(model, view, way, together[model.arm][at] if way == "rig" else None)
                if found is not None:
                    scores.append({"seed": seed, "view": view.name, "arm": model.arm, "way": way, **found})
    asked: dict[str, Any] = {"clips": [path.name for path in options.clips], "motion": options.motion.name}
    if options.weak_frames:
        asked["weak"] = {"frames": options.weak_frames, "noise": options.weak_noise}
    return {"asked": asked, "versions": versions(), "recipe": own_recipe(recipe), "scores": scores}


def own_recipe(recipe: RunConfig) -> dict[str, Any]:
    """The options that matter here."""
    return {name: to_json(recipe)[name] for name in ("preset", "wide", "views", "detector")}


def markdown(record: dict[str, Any]) -> str:
    """The table by view, and how to read it."""
    from benchmarks.real.tables import by_view, sentence

    return f"{markdown_table(*by_view(record))}\n{sentence(record)}"
