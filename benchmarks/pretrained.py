"""The lifter that the package brings: ``python -m benchmarks.pretrained --motion FILES --out FOLDER``.

It trains the arm wide on the embedded source domain and on motion capture, and puts what `poseda lift` needs
into ``--install``, with a card. Beside it goes a network that draws postures of the same motion, which the
lifter rehearses while it learns a target. No picture, no detection and no 3D of any footage is learned from.
``--scene-only`` and ``--postures-only`` train one of its parts again.
Clips and domains are lifted for the card's errors alone; with ``--score-only`` they are all that is done.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from poseda.cli import attempt
from poseda.cli.options import read
from poseda.cli.program import Given, Program, UsageError
from poseda.cli.recipe import resolve
from poseda.cli.screen import say
from poseda.config import FIELD_VIEWS, PACKAGED, RunConfig, to_json
from poseda.config.fields import fields_of
from poseda.config.limits import ConfigError, Distinct, Found, check_fields
from poseda.pretrained import CARD, FOLDER, POSTURES

if TYPE_CHECKING:
    from torch import Tensor

    from benchmarks.real.clips import View
    from poseda.datasets import LabelledPoses, OwnDomains
    from poseda.inference import AdaptedLifter

NAME = "benchmarks.pretrained"
"""What the program calls itself."""

SET_HERE = ("arms", "gate", "seeds", "data", "target", "source", "lifter", "frames", "resume", "json")
"""Options of adapt that this program sets itself."""


TRAINING = ("motion", "attribution", "described", "out")
"""Options without which no lifter is trained."""

PARTS = ("score_only", "postures_only", "scene_only")
"""Options that keep the lifter in --install, and make a part of what is packed."""

SCENE = "lifter.scene."
"""What the names of the scene network's weights begin with."""


@dataclass(frozen=True)
class PretrainedOptions:
    """The lifter that the package brings: trained on motion capture, packed with its card."""

    motion: Annotated[tuple[Annotated[Path, Found()], ...], Distinct(0)] = ()
    """Sources of 3D poses beside the embedded one, as for --source of adapt."""
    attribution: str = ""
    """Who made the motion capture, and its licence, for the card."""
    described: str = ""
    """What the motion capture is, for the card."""
    out: Path | None = None
    """Folder of the run. A command that was stopped continues where it stopped."""
    install: Path = FOLDER
    """Folder to pack the lifter into. Default: that of the package."""
    score_only: bool = False
    """Train nothing: score the lifter in --install and write its errors into the card."""
    postures_only: bool = False
    """Keep the lifter in --install, and learn anew the postures that it rehearses."""
    scene_only: bool = False
    """Keep the lifter in --install, and train its scene network anew: of the tilt and expected errors."""
    clips: Annotated[tuple[Annotated[Path, Found()], ...], Distinct(0)] = ()
    """Real detections with 3D, as for benchmarks.real, to score each view of."""
    domains: tuple[Annotated[Path, Found()], ...] = ()
    """Domain files to score the test clips of."""
    domains_note: str = ""
    """What a reader must know of --domains, for the card: what the lifter has seen of their people."""

    def __post_init__(self) -> None:
        check_fields(self)
        asked = [name for name in PARTS if getattr(self, name)]
        if len(asked) > 1:
            raise ConfigError(asked[0], f"expected it without <{asked[1]}>, got both", asked[1])
        for part in asked:
            unread = [name for name in TRAINING if name != "motion" or part == "score_only"]
            for name in unread:
                if getattr(self, name):
                    raise ConfigError(name, f"expected it without <{part}>, which does not read it", part)
        needed = () if self.score_only else ("motion",) if asked else TRAINING
        for name in needed:
            if not getattr(self, name):
                raise ConfigError(name, "expected a value, or <score_only>, got none", "score_only")
        if self.score_only and not (self.clips or self.domains):
            raise ConfigError(
                "score_only", "expected <clips> or <domains> beside it, got none", "clips", "domains"
            )
        if self.domains and not self.domains_note:
            raise ConfigError("domains", "expected <domains_note> beside it, got none", "domains_note")


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

    asked: dict[str, Any] = {}

    def make(given: Given) -> tuple[PretrainedOptions, RunConfig]:
        asked.update(given.without(PretrainedOptions))
        return given.build(PretrainedOptions), replace(
            resolve(FIELD_VIEWS | asked), gate="off", arms=("wide",), seeds=(0,)
        )

    options, recipe = read(PROGRAM, arguments, make)
    try:
        kept = any(getattr(options, name) for name in PARTS)
        card = read_card(options.install) if kept else train(options, recipe)
        if options.scene_only:
            earlier = {"views", "domains"}  # errors with the scene network of before
            card = {name: entry for name, entry in card.items() if name not in earlier}
            check_kept(asked, packed_config(options.install))
            card |= learn_scene(options, recipe)
        elif not options.score_only:
            card["postures"] = learn_postures(options, recipe.domain_size)
        card |= errors(options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    from poseda.runs.atomic import write_json

    write_json(options.install / CARD.name, card)
    say(f"{options.install}: {card['poses']:,} poses, {card['bytes']:,} bytes")
    return 0


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a lifter that was packed before.

    Raises:
        ValueError: if there is none.
    """
    try:
        found: dict[str, Any] = json.loads((folder / CARD.name).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"--install: expected a packed lifter with its card, got {folder}") from error
    return found


def errors(options: PretrainedOptions) -> dict[str, Any]:
    """The card's entries of the errors of the packed lifter: of views and of domains that were asked for."""
    from benchmarks.real.clips import views
    from poseda.inference import AdaptedLifter

    found: dict[str, Any] = {}
    if options.clips:
        model = AdaptedLifter.load(options.install)
        rows = {view.name: view_errors(model, view) for path in options.clips for view in views(path)}
        scored = [row for row in rows.values() if row is not None]
        left_out = [name for name, row in rows.items() if row is None]
        found["views"] = {"what": VIEWS, "left_out": left_out, "mm": scored}
    if options.domains:
        model = AdaptedLifter.load(options.install)
        of_domains = [domain_errors(model, path) for path in options.domains]
        found["domains"] = {"what": DOMAINS, "note": options.domains_note, "mm": of_domains}
    return found


VIEWS = (
    "MPJPE of twelve limb joints about the middle of the hips, mm, by camera: one pass, tilt found, true "
    "tilt given; on second halves of real detections that the lifter did not learn from"
)
"""What the errors of views are."""

DOMAINS = "MPJPE and PA-MPJPE of all joints on the test clips, mm; the 2D is simulated"
"""What the errors of domains are."""


def view_errors(model: AdaptedLifter, view: View) -> dict[str, Any] | None:
    """The errors of one view in every way of lifting; None where too few frames can be compared."""
    from benchmarks.real.score import score

    scores = {way: score(model, view.half(second=True), way) for way in ("one_pass", "found", "given")}
    found = {way: one for way, one in scores.items() if one is not None}
    if len(found) < len(scores):
        return None
    tilt = found["found"]["tilt_off"]
    return {
        "view": view.name,
        "frames": found["found"]["lifted"],
        **{way: round(one["mpjpe"], 1) for way, one in found.items()},
        "tilt_off_degrees": None if tilt is None else round(tilt, 1),
    }


def domain_errors(model: AdaptedLifter, path: Path) -> dict[str, Any]:
    """The errors on the test clips of a domain file."""
    from poseda.datasets import open_domains
    from poseda.evaluation.evaluate import evaluate

    found = evaluate(model.lifter, open_domains(path).evaluation(), model.skeleton, model.config)
    return {"domain": path.stem} | {name: round(found[name], 1) for name in ("mpjpe", "pa_mpjpe")}


def train(options: PretrainedOptions, recipe: RunConfig) -> dict[str, Any]:
    """Train the lifter and pack it; returns its card."""
    assert options.out is not None  # the options see to it
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
    half = in_half(tensors, "; nothing is packed; train with a lower --wide.learning-rate into another --out")
    packed.weights(0, "wide", "lifter").path.parent.mkdir(parents=True, exist_ok=True)
    packed.weights(0, "wide", "lifter").save(half, notes)
    record = begun.read_record()
    neutral = replace(RunConfig(), arms=("wide",), gate="off")
    kept = {name: getattr(prepared.config, name) for name in ("preset", "wide", "views", "detector")}
    record["config"] = to_json(replace(neutral, **kept))
    write_json(packed.path / "config.json", record | {"earlier_versions": []})
    size = packed.weights(0, "wide", "lifter").path.stat().st_size
    return {
        "lifter": "wide, for every camera and mask; H36M16, single frames",
        "trained_on": ["embedded source domain", options.described],
        "attribution": options.attribution,
        "poses": len(domains.adaptation().source),
        "steps": prepared.config.wide.steps,
        "bytes": size,
        "versions": versions(),
        "source_val_mm": next(row["mpjpe"] for row in results if row["split"] == "source_val"),
    }


def packed_config(folder: Path) -> RunConfig:
    """How the packed lifter was trained."""
    from poseda.config import from_json

    return from_json(json.loads((folder / "config.json").read_text())["config"])


def check_kept(asked: Mapping[str, Any], packed: RunConfig) -> None:
    """Check that nothing else is asked for than what the packed lifter was trained with.

    Raises:
        ValueError: naming the first option of its size, views or detector that differs.
    """
    for name, value in asked.items():
        if name in PACKAGED or name.startswith(("views.", "detector.")):
            own = reduce(getattr, name.split("."), packed)
            if value != own:
                raise ValueError(
                    f"{PROGRAM.name_of(name)}: expected {own} with --scene-only, as the packed lifter was "
                    f"trained, got {value}; leave it out"
                )


def learn_scene(options: PretrainedOptions, recipe: RunConfig) -> dict[str, Any]:
    """Train the scene network beside the packed lifter and pack it; returns the card's entries.

    The lifter inside is frozen. Its size and views are those that it was trained with; steps and rates are
    those of the recipe.

    Raises:
        ValueError: if the training ends with weights that :func:`in_half` refuses; nothing is packed then.
    """
    import torch

    from poseda.evaluation.evaluate import evaluate
    from poseda.inference import AdaptedLifter
    from poseda.lifters.sizes import build_wide
    from poseda.runs import RunFolder
    from poseda.runs.checkpoint import unpack_module
    from poseda.runs.origin import versions
    from poseda.training import compilation, graphs
    from poseda.training.calibration import scale_errors
    from poseda.training.fabric import layer_precision, start_fabric
    from poseda.training.pairs import TrainingData
    from poseda.training.wide import ViewSource, WidePhase, options_of

    before = packed_config(options.install)
    size = {name: getattr(before.wide, name) for name in (full.removeprefix("wide.") for full in PACKAGED)}
    wide = replace(recipe.wide, **size)
    config = replace(recipe, wide=wide, views=before.views, detector=before.detector)
    fabric = start_fabric(config)
    graphs.check(config, fabric)
    captured = graphs.chosen(config, fabric)
    shown = sources(options.motion, recipe.domain_size).adaptation()
    data = TrainingData.load(shown, fabric.device)
    assert data.held is not None
    file = RunFolder(options.install).weights(0, "wide", "lifter")
    tensors, notes = file.load()
    torch.manual_seed(0)
    lifter = build_wide(config, data.skeleton)
    kept = {name: value for name, value in tensors.items() if not name.startswith(SCENE)}
    fresh = {f"lifter.{name}": value for name, value in lifter.state_dict().items()}
    unpack_module("lifter", lifter, {**fresh, **kept})
    lifter.lifter.requires_grad_(False)
    rng, own = (torch.Generator(fabric.device).manual_seed(seed) for seed in (0, 1))
    held = ViewSource(replace(data, source=data.held), config, 1, own)
    views = ViewSource(data, config, 0, rng)
    phase = WidePhase(
        *(lifter, views, data.skeleton, options_of(config), wide.steps, fabric),
        compiled=compilation.should_compile(config.compile, lifter, fabric, wide.steps, bool(captured)),
        captured=captured,
        wide=wide,
        finish=lambda trained: scale_errors(trained, held),
    )
    with layer_precision(config, fabric.device):
        for step in range(wide.steps):
            phase.step(step)
        found = phase.result()
    file.save(in_half(found, "; nothing is packed; train with a lower --wide.learning-rate"), notes)
    model = AdaptedLifter.load(options.install)
    return {
        "scene_steps": wide.steps,
        "bytes": file.path.stat().st_size,
        "versions": versions(),
        "source_val_mm": evaluate(model.lifter, shown.source_val, model.skeleton, model.config)["mpjpe"],
    }


def learn_postures(options: PretrainedOptions, size: float) -> dict[str, Any]:
    """Train the network that draws postures and pack it; returns the card's entry."""
    from benchmarks.postures import STEPS, account, learn
    from poseda.runs.checkpoint import pack_module, save_checkpoint

    data = sources(options.motion, size).adaptation()
    network = learn(data.source, data.skeleton)
    tensors = in_half(pack_module("postures", network))
    save_checkpoint(options.install / POSTURES.name, tensors, {"steps": STEPS})
    return {
        "steps": STEPS,
        "bytes": (options.install / POSTURES.name).stat().st_size,
        **account(network, data.source, data.source_val),
    }


def in_half(tensors: Mapping[str, Tensor], remedy: str = "") -> dict[str, Tensor]:
    """Weights as they are installed: half the bytes, and rounded to 11 bits.

    The card's errors are of these; all computing stays in float32.

    Raises:
        ValueError: if a weight is not finite, or too large for half precision. It ends with the remedy.
    """
    half = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    for name, value in half.items():
        if not bool(value.isfinite().all()):
            worst = float(tensors[name].abs().max())
            raise ValueError(
                f"weights: expected numbers up to 65,504, as half precision holds them, "
                f"got {worst:g} in {name}{remedy}"
            )
    return half


def sources(motion: Sequence[Path], size: float) -> OwnDomains:
    """The embedded source and motion capture as one; the target is a part of it that no arm here reads."""
    from benchmarks.motions import read_motions
    from poseda.datasets import AdaptationData, OwnDomains, UnlabelledPoses, open_domains
    from poseda.datasets.own import digest
    from poseda.geometry.skeleton import H36M16

    embedded = open_domains(None, size=size).adaptation()
    source, val = read_motions(motion, (embedded.source, embedded.source_val))
    clips = 1 + max(int(source.clip.max()), int(val.clip.max()))
    shown = val.rows(slice_of(val, 1000))
    target = UnlabelledPoses(shown.pose_2d, shown.camera, shown.clip + clips)
    return OwnDomains("pretrained", AdaptationData(H36M16, source, val, target), digest(list(motion), ""), {})


def slice_of(poses: LabelledPoses, most: int) -> Tensor:
    """Numbers of the first rows of a table."""
    import torch

    return torch.arange(min(len(poses), most))


if __name__ == "__main__":
    sys.exit(main())
