"""The lifter that the package brings: ``python -m benchmarks.pretrained --motion FILES --out FOLDER``.

It trains the arm wide on the embedded source domain and on motion capture, and puts what `poseda lift` needs
into ``--install``, with a card. No picture, no detection and no 3D of any footage is learned from.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from poseda.cli import attempt
from poseda.cli.options import read
from poseda.cli.program import Given, Program, UsageError
from poseda.cli.recipe import resolve
from poseda.cli.screen import say
from poseda.config import RunConfig, to_json
from poseda.config.fields import fields_of
from poseda.config.limits import Distinct, Found, check_fields
from poseda.pretrained import CARD, FOLDER

if TYPE_CHECKING:
    from torch import Tensor

    from poseda.datasets import LabelledPoses, OwnDomains

NAME = "benchmarks.pretrained"
"""What the program calls itself."""

SET_HERE = ("arms", "gate", "seeds", "data", "target", "source", "lifter", "frames", "resume", "json")
"""Options of adapt that this program sets itself."""


@dataclass(frozen=True)
class PretrainedOptions:
    """The lifter that the package brings: trained on motion capture, packed with its card."""

    motion: Annotated[tuple[Annotated[Path, Found()], ...], Distinct()]
    """Sources of 3D poses beside the embedded one, as for --source of adapt."""
    attribution: str
    """Who made the motion capture, and its licence, for the card."""
    described: str
    """What the motion capture is, for the card."""
    out: Path
    """Folder of the run. A command that was stopped continues where it stopped."""
    install: Path = FOLDER
    """Folder to pack the lifter into. Default: that of the package."""

    def __post_init__(self) -> None:
        check_fields(self)


PROGRAM = Program(
    f"python -m {NAME}",
    "Train the lifter that the package brings. Options of `poseda adapt` make the recipe.",
    (PretrainedOptions, RunConfig),
    common=tuple(entry.name for entry in fields_of(PretrainedOptions)),
    sets=frozenset(SET_HERE),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns 2 for bad input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return attempt(lambda: run(given))


def run(arguments: list[str]) -> int:
    """Train what is missing, then pack it."""

    def make(given: Given) -> tuple[PretrainedOptions, RunConfig]:
        recipe = resolve(given.without(PretrainedOptions))
        return given.build(PretrainedOptions), replace(recipe, gate="off", arms=("wide",), seeds=(0,))

    options, recipe = read(PROGRAM, arguments, make)
    try:
        card = train(options, recipe)
    except ValueError as error:
        raise UsageError(str(error)) from error
    say(f"{options.install}: {card['poses']:,} poses, {card['bytes']:,} bytes")
    return 0


def train(options: PretrainedOptions, recipe: RunConfig) -> dict[str, Any]:
    """Train the lifter and pack it; returns its card."""
    from poseda import training
    from poseda.runs import RunFolder
    from poseda.runs.atomic import write_json
    from poseda.runs.origin import versions

    domains = sources(options.motion, recipe.domain_size)
    config = replace(recipe, out=options.out, resume=RunFolder(options.out).begun)
    prepared = training.prepare(config, domains)
    results = prepared.train()
    begun, packed = RunFolder(options.out), RunFolder(options.install)
    tensors, notes = begun.weights(0, "wide", "lifter").load()
    packed.weights(0, "wide", "lifter").path.parent.mkdir(parents=True, exist_ok=True)
    packed.weights(0, "wide", "lifter").save(tensors, notes)
    record = begun.read_record()
    neutral = replace(RunConfig(), arms=("wide",), gate="off")
    kept = {name: getattr(prepared.config, name) for name in ("preset", "wide", "views", "detector")}
    record["config"] = to_json(replace(neutral, **kept))
    write_json(packed.path / "config.json", record | {"earlier_versions": []})
    size = packed.weights(0, "wide", "lifter").path.stat().st_size
    card = {
        "lifter": "wide, for every camera and mask; H36M16, single frames",
        "trained_on": ["embedded source domain", options.described],
        "attribution": options.attribution,
        "poses": len(domains.adaptation().source),
        "steps": prepared.config.wide.steps,
        "bytes": size,
        "versions": versions(),
        "source_val_mm": next(row["mpjpe"] for row in results if row["split"] == "source_val"),
    }
    write_json(packed.path / CARD.name, card)
    return card


def sources(motion: Sequence[Path], size: float) -> OwnDomains:
    """The embedded source and motion capture as one; the target is a part of it that no arm here reads."""
    from poseda.datasets import AdaptationData, OwnDomains, UnlabelledPoses, open_domains, read_source
    from poseda.datasets.own import digest, split_source
    from poseda.datasets.records import concatenated
    from poseda.geometry.skeleton import H36M16

    embedded = open_domains(None, size=size).adaptation()
    tables, held, clips = [embedded.source], [embedded.source_val], 1 + int(embedded.source_val.clip.max())
    clips = max(clips, 1 + int(embedded.source.clip.max()))
    for path in motion:
        parts = [
            replace(part, clip=part.clip + clips) for part in split_source(read_source(path, skeleton=H36M16))
        ]
        clips = 1 + max(int(part.clip.max()) for part in parts)
        tables.append(parts[0])
        held.append(parts[1])
    source, val = concatenated(tables), concatenated(held)
    shown = val.rows(slice_of(val, 1000))
    target = UnlabelledPoses(shown.pose_2d, shown.camera, shown.clip + clips)
    return OwnDomains("pretrained", AdaptationData(H36M16, source, val, target), digest(list(motion), ""), {})


def slice_of(poses: LabelledPoses, most: int) -> Tensor:
    """Numbers of the first rows of a table."""
    import torch

    return torch.arange(min(len(poses), most))


if __name__ == "__main__":
    sys.exit(main())
