"""The verdict against labels: ``python -m benchmarks.verdict``.

A scene is what one camera saw of one person, in one half of a recording or in one split of a benchmark. Each
is taken for a target by itself. The evidence is gathered on its 2D, and labels then tell how good the
recommended arm was. Halves and splits that taught wide_target are told apart from the others.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from benchmarks.mocap.tables import markdown_table
from poseda.cli import attempt
from poseda.cli.options import read
from poseda.cli.program import Given, Program, UsageError
from poseda.cli.screen import print_json, say
from poseda.config import WIDE_ARMS as ARMS
from poseda.config.limits import AtLeast, Distinct, Found, check_fields

if TYPE_CHECKING:
    from torch import Tensor, nn

    from poseda.config import RunConfig
    from poseda.datasets import LabelledPoses, UnlabelledPoses

NAME = "benchmarks.verdict"
"""What the program calls itself."""

FEWEST = 50
"""Fewest frames of a scene."""

GOOD = 1.05
"""An arm whose error is at most so many times the best one's is a good choice."""


@dataclass(frozen=True, kw_only=True)
class VerdictOptions:
    """The recommendation and the predicted errors of the wide arms, scene by scene, against labels."""

    out: Path
    """File of the record, json. A command that was stopped continues where it stopped."""
    real: Annotated[Path, Found()] | None = None
    """Folder of `python -m benchmarks.real`, of which the first seed is read. Needs --clips and --motion."""
    packaged: Annotated[Path, Found()] | None = None
    """The same without --motion: the package's lifter and what each clip taught it. Needs --clips."""
    clips: tuple[Path, ...] = ()
    """The clips of these folders."""
    motion: Annotated[tuple[Annotated[Path, Found()], ...], Distinct(0)] = ()
    """The motions of --real."""
    mocap: Annotated[Path, Found()] | None = None
    """Folder of `python -m benchmarks.mocap arms` with runs of the wide arms."""
    rows: Annotated[int, AtLeast(FEWEST)] = 150
    """Most frames of a scene."""
    targets: Annotated[int, AtLeast(3)] = 6
    """Simulated targets."""
    every: Annotated[int, AtLeast(1)] = 1
    """Take every so many scenes of a benchmark of motion capture."""
    json: bool = False
    """Print JSON instead of Markdown."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.real is None and self.packaged is None and self.mocap is None:
            raise ValueError("--real, --packaged or --mocap: expected a folder with runs, got none")
        if self.real is not None and not self.motion:
            raise ValueError("--motion: expected that of --real, got none")
        if (self.real or self.packaged) is not None and not self.clips:
            raise ValueError("--clips: expected those of --real or --packaged, got none")


PROGRAM = Program(
    f"python -m {NAME}",
    "Compare the recommendation with labels, scene by scene.",
    (VerdictOptions,),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``benchmarks/verdict.py``; returns 2 for bad input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return attempt(lambda: run(given))


def run(arguments: list[str]) -> int:
    """Judge the scenes that are missing in the record, and print the tables."""
    from poseda.runs.atomic import write_json

    def make(given: Given) -> VerdictOptions:
        return given.build(VerdictOptions)

    options = read(PROGRAM, arguments, make)
    try:
        record = json.loads(options.out.read_text()) if options.out.exists() else {"scenes": []}
        done = {scene["name"] for scene in record["scenes"]}
        for home in homes(options):
            for scene in home.scenes():
                if scene.name not in done:
                    record["scenes"].append(judge(home, scene, options))
                    write_json(options.out, record)
    except ValueError as error:
        raise UsageError(str(error)) from error
    print_json(record) if options.json else say(markdown(record["scenes"]))
    return 0


@dataclass(frozen=True)
class Scene:
    """What one camera saw of one person.

    Args:
        name: of set, camera, person and half.
        group: of the table.
        taught: whether wide_target learned from it.
        poses: its 2D.
        truth: (N, L, 3) metres of the set's labels; NaN where unknown.
    """

    name: str
    group: str
    taught: bool
    poses: UnlabelledPoses
    truth: Tensor

    def thinned(self, rows: int) -> Scene:
        """At most so many frames, evenly over the scene."""
        import torch

        at = torch.linspace(0, len(self.poses) - 1, min(rows, len(self.poses))).round().long()
        return replace(self, poses=self.poses.rows(at), truth=self.truth[at])


@dataclass(frozen=True)
class Home:
    """A run with its wide arms, and the labelled scenes that belong to it.

    Args:
        folder: of the run.
        held: source poses that its lifters did not learn from.
        scenes: gives the scenes.
        limbs: whether the labels are of limbs, about the middle of the hips, as those of real views are.
    """

    config: RunConfig
    models: dict[str, nn.Module]
    held: LabelledPoses
    listed: tuple[Scene, ...]
    limbs: bool

    def scenes(self) -> Iterable[Scene]:
        """Those of enough frames."""
        return [scene for scene in self.listed if len(scene.poses) >= FEWEST]


def homes(options: VerdictOptions) -> Iterator[Home]:
    """The runs that were named."""
    from benchmarks.mocap.domains import finished_runs
    from benchmarks.motions import read_motions
    from poseda.datasets import open_domains

    if options.real is not None:
        _, held = read_motions(options.motion)
        yield _home(_first_seed(options.real), held, tuple(real_scenes(options.clips, "real")), True)
    if options.packaged is not None:
        held = open_domains(None).adaptation().source_val
        for clip in options.clips:
            listed = tuple(real_scenes([clip], "package"))
            yield _home(_first_seed(options.packaged) / clip.stem, held, listed, True)
    if options.mocap is not None:
        for path, domains in finished_runs(options.mocap):
            listed = tuple(mocap_scenes(domains, path.name))[:: options.every]
            yield _home(path, domains.adaptation().source_val, listed, False)


def _first_seed(folder: Path) -> Path:
    return min(folder.glob("seed*"))


def _home(path: Path, held: LabelledPoses, listed: tuple[Scene, ...], limbs: bool) -> Home:
    from poseda.geometry.skeleton import H36M16
    from poseda.runs import RunFolder

    folder = RunFolder(path)
    config = folder.read_config()
    models: dict[str, nn.Module] = {
        arm: folder.lifter(config.seeds[0], arm, config, H36M16).eval() for arm in ARMS
    }
    return Home(config, models, held, listed, limbs)


def real_scenes(paths: Sequence[Path], title: str) -> Iterator[Scene]:
    """The halves of every view of real clips, under a title; the first one taught wide_target."""
    import torch

    from benchmarks.real.clips import FEWEST as JOINTS
    from benchmarks.real.clips import views
    from poseda.datasets.screen import on_screen
    from poseda.geometry.skeleton import H36M16

    for view in (view for path in paths for view in views(path)):
        for second in (False, True):
            half = view.half(second)
            screen = on_screen(half.detections, H36M16, intrinsics=half.intrinsics)
            truth = torch.from_numpy(half.truth)
            if screen.shown is not None:
                enough = (screen.shown.sum(1) >= JOINTS).nonzero()[:, 0]
                screen, truth = screen.rows(enough), truth[enough]
            group = f"{title}, {'second' if second else 'first'} halves"
            name = f"{title} {view.name} {'second' if second else 'first'}"
            yield Scene(name, group, not second, screen, truth)


def mocap_scenes(domains: Any, name: str) -> Iterator[Scene]:
    """Every person before every camera of a benchmark of motion capture, by split."""
    import torch

    from poseda.datasets import UnlabelledPoses

    for split, poses in (("train", domains.oracle()), ("test", domains.evaluation())):
        camera, person = poses.columns["camera"], poses.columns["subject"]
        for one, who in sorted({*zip(camera.tolist(), person.tolist(), strict=True)}):
            rows = poses.rows(torch.from_numpy((camera == one) & (person == who)))
            unlabelled = UnlabelledPoses(rows.pose_2d, rows.camera, rows.clip)
            title = f"{name} {split} {one} {who}"
            yield Scene(title, f"{name}, {split}", split == "train", unlabelled, rows.root_relative)


def judge(home: Home, scene: Scene, options: VerdictOptions) -> dict[str, Any]:
    """The evidence on one scene beside its true errors, millimetres."""
    from poseda.datasets import AdaptationData
    from poseda.evaluation.predicted_error import gather, lift_rows
    from poseda.geometry.skeleton import H36M16

    scene = scene.thinned(options.rows)
    data = AdaptationData(H36M16, home.held, home.held, scene.poses)
    evidence = gather(data, home.models, home.config, "wide", 0, options.rows, options.targets)
    true = {
        arm: _error(lift_rows(model, scene.poses, H36M16, home.config).pose_3d, scene.truth, home.limbs)
        for arm, model in home.models.items()
    }
    found = {"name": scene.name, "group": scene.group, "taught": scene.taught, "true": true}
    return found | {"evidence": evidence.to_json()}


def _error(pose: Tensor, truth: Tensor, limbs: bool) -> float:
    """Mean error, millimetres, about the root or the middle of the hips."""
    from benchmarks.real.clips import LIMBS
    from benchmarks.real.score import HIPS
    from poseda.geometry.skeleton import H36M16

    if limbs:
        pose = pose[:, [H36M16.joint(joint) for joint in LIMBS]]
        pose, truth = (points - points[:, HIPS].mean(1, keepdim=True) for points in (pose.double(), truth))
    return float(1000 * (pose - truth).norm(dim=-1).nanmean(1).nanmean())


def markdown(scenes: Sequence[dict[str, Any]]) -> str:
    """A line for each group of scenes, and how to read it."""
    return f"{markdown_table(*by_group(scenes))}\n{' '.join(KEY)}\n"


def by_group(scenes: Sequence[dict[str, Any]]) -> tuple[Sequence[str], list[list[str]]]:
    """Headings, and a line for each group of scenes."""
    groups = dict.fromkeys(scene["group"] for scene in scenes)
    judged = [scene for scene in scenes if scene["evidence"]["errors"]]
    return HEADINGS, [
        [group, *_line([scene for scene in judged if scene["group"] == group])] for group in groups
    ]


HEADINGS = (
    *("scenes", "number", "good: recommended", "wide_target", "wide", "worst against wide"),
    *("ratio: true", "predicted", "off by", "error: off by", "in the interval"),
)

KEY = (
    "Good: share of the scenes in which an arm is within 5 % of the better one.",
    "Worst against wide: by how much the recommended arm was worse than wide, at most.",
    "Ratio: error of wide_target over that of wide, mean log, and by how much predictions are off, rms.",
    "Error: log of true over predicted of wide, mean and standard deviation.",
)
"""How to read the table."""


def _line(scenes: Sequence[dict[str, Any]]) -> list[str]:
    """The cells of a group."""
    if not scenes:
        return ["0", *["-"] * 9]
    true = {arm: np.array([scene["true"][arm] for scene in scenes]) for arm in ARMS}
    errors = [scene["evidence"]["errors"] for scene in scenes]
    predicted = {arm: np.array([one[arm]["error"] for one in errors]) for arm in ARMS}
    best = np.minimum(*true.values())

    recommended = np.array([scene["true"][scene["evidence"]["recommended"]] for scene in scenes])
    chosen = (recommended, true["wide_target"], true["wide"])
    good = [f"{100 * float((error <= GOOD * best).mean()):.0f} %" for error in chosen]
    ratios = [np.log(one["wide_target"] / one["wide"]) for one in (true, predicted)]
    off = np.log(true["wide"] / predicted["wide"])
    inside = [
        one["wide"]["low"] <= error <= one["wide"]["high"]
        for one, error in zip(errors, true["wide"], strict=True)
    ]
    return [
        str(len(scenes)),
        *good,
        f"{100 * float((recommended / true['wide'] - 1).max()):+.0f} %",
        f"{ratios[0].mean():+.3f}",
        f"{ratios[1].mean():+.3f}",
        f"{float(np.sqrt(((ratios[0] - ratios[1]) ** 2).mean())):.3f}",
        f"{off.mean():+.2f} ± {off.std():.2f}",
        f"{100 * float(np.mean(inside)):.0f} %",
    ]


if __name__ == "__main__":
    sys.exit(main())
