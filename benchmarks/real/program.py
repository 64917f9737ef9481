"""The command line of ``python -m benchmarks.real``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from benchmarks.mocap.tables import markdown_table
from poseda.cli import attempt
from poseda.cli.options import read
from poseda.cli.program import Given, Program, UsageError
from poseda.cli.recipe import resolve
from poseda.cli.screen import print_json, say
from poseda.config import FIELD, RunConfig, to_json
from poseda.config import WIDE_ARMS as ARMS
from poseda.config.fields import fields_of
from poseda.config.limits import AtLeast, Distinct, Found, check_fields
from poseda.config.run import Arm, Seed

if TYPE_CHECKING:
    from poseda.datasets import LabelledPoses

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
    out: Path
    """Folder for runs and results. A command that was stopped continues where it stopped."""
    motion: Annotated[tuple[Annotated[Path, Found()], ...], Distinct(0)] = ()
    """Sources of 3D poses to train on, as for --source of adapt. Of the clips, it learns no 3D but
    that of --weak-frames. Without it, the package's lifter learns the first halves of each clip by itself."""
    rig: bool = False
    """Without --motion: tell the training how the cameras of a clip are rotated, and which frames are of one
    moment."""
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
        if self.rig and self.motion:
            raise ValueError("--rig: expected no --motion, with which the clips of several rigs are learned")


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
        options = given.build(RealOptions)
        own = {"arms": ARMS} | ({} if options.motion else {"target": options.clips})
        recipe = resolve(FIELD | own | given.without(RealOptions))
        return options, replace(recipe, gate="off")

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


@dataclass(frozen=True)
class Taught:
    """What one training sees.

    Args:
        clips: whose first halves teach wide_target.
        source, held: poses of the source, and those held back from training.
        files: that it depends on.
        folder: of its run, in that of the seed.
    """

    clips: tuple[Path, ...]
    source: LabelledPoses
    held: LabelledPoses
    files: tuple[Path, ...]
    folder: str = ""


def trainings(options: RealOptions) -> Iterator[Taught]:
    """One training on all clips with a motion of its own; without one, the package's lifter on each clip."""
    from benchmarks.motions import read_motions
    from poseda.datasets import open_domains

    if options.motion:
        source, held = read_motions(options.motion)
        yield Taught(options.clips, source, held, (*options.motion, *options.clips))
        return
    embedded = open_domains(None).adaptation()
    for path in options.clips:
        yield Taught((path,), embedded.source, embedded.source_val, (path,), path.stem)


def measure(options: RealOptions, recipe: RunConfig) -> dict[str, Any]:
    """Every score, with what it depends on."""
    from poseda.runs.origin import versions

    scores: list[dict[str, Any]] = []
    for taught in trainings(options):
        known: list[dict[str, Any]] = []  # of the arm wide where every seed has the same: the package's
        for seed in options.seeds:
            there = measure_seed(options, recipe, taught, seed, ARMS[1:] if known else ARMS)
            scores += [row | {"seed": seed} for row in known] + there
            if recipe.packaged:
                known = known or [row for row in there if row["arm"] == "wide"]
    asked: dict[str, Any] = {"clips": [path.name for path in options.clips]}
    if options.motion:
        asked["motion"] = [path.name for path in options.motion]
    if options.rig:
        asked["rig"] = True
    if options.weak_frames:
        asked["weak"] = {"frames": options.weak_frames, "noise": options.weak_noise}
    return {"asked": asked, "versions": versions(), "recipe": own_recipe(recipe), "scores": scores}


def measure_seed(
    options: RealOptions, recipe: RunConfig, taught: Taught, seed: int, arms: Sequence[Arm]
) -> list[dict[str, Any]]:
    """Train a seed, or take what it left, and score the views of its clips by these arms."""
    from benchmarks.real.clips import first_half_of_rig, first_halves, views
    from benchmarks.real.score import WAYS, found_together, score
    from benchmarks.real.weak import weak_labels
    from poseda import training
    from poseda.datasets import AdaptationData, OwnDomains
    from poseda.datasets.own import digest
    from poseda.geometry.skeleton import H36M16
    from poseda.inference import AdaptedLifter
    from poseda.runs import RunFolder

    target = first_half_of_rig(taught.clips[0]) if options.rig else first_halves(taught.clips)
    frames = options.weak_frames
    clip = target.clip + 1 + max(int(taught.source.clip.max()), int(taught.held.clip.max()))
    weak = weak_labels(taught.clips, frames, options.weak_noise) if frames else None
    how = f"weak {frames} {options.weak_noise:g}" if frames else ""
    how += " rig" if options.rig else ""
    data = AdaptationData(H36M16, taught.source, taught.held, replace(target, clip=clip), weak)
    config = replace(recipe, out=options.out / f"seed{seed}" / taught.folder, seeds=(seed,))
    config = replace(config, resume=RunFolder(config.out).begun)
    training.prepare(config, OwnDomains("real", data, digest(list(taught.files), how), {})).train()
    models, scores = [AdaptedLifter.load(config.out, arm, seed) for arm in arms], []
    for path in taught.clips:
        halves = [view.half(second=True) for view in views(path)]
        together = {model.arm: found_together(model, halves) for model in models}
        for (at, view), model, way in product(enumerate(halves), models, WAYS):
            found = score(model, view, way, together[model.arm][at] if way == "rig" else None)
            if found is not None:
                scores.append({"seed": seed, "view": view.name, "arm": model.arm, "way": way, **found})
    return scores


def own_recipe(recipe: RunConfig) -> dict[str, Any]:
    """The options that matter here."""
    return {name: to_json(recipe)[name] for name in ("preset", "wide", "views", "detector")}


def markdown(record: dict[str, Any]) -> str:
    """The table by view, and how to read it."""
    from benchmarks.real.tables import by_view, sentence

    return f"{markdown_table(*by_view(record))}\n{sentence(record)}"
