"""The command line of ``python -m benchmarks.substitutions``."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from poseda.cli import attempt
from poseda.cli.options import read
from poseda.cli.program import Given, Program, UsageError
from poseda.cli.screen import complain, print_json, say
from poseda.config import WIDE_ARMS as ARMS
from poseda.config.limits import Found, check_fields

if TYPE_CHECKING:
    from benchmarks.substitutions.truths import Scene
    from poseda.config import Arm

NAME = "benchmarks.substitutions"
"""What the program calls itself."""


@dataclass(frozen=True, kw_only=True)
class SubstitutionsOptions:
    """What the errors of the wide arms come from: labels take the place of what a lift has to find."""

    out: Path
    """File of the record, json. A command that was stopped continues where it stopped."""
    real: Annotated[Path, Found()] | None = None
    """Folder of `python -m benchmarks.real`. Needs --clips."""
    clips: tuple[Annotated[Path, Found()], ...] = ()
    """The clips of that folder."""
    mocap: Annotated[Path, Found()] | None = None
    """Folder of `python -m benchmarks.mocap arms` with runs of the wide arms."""
    oracle: Path | None = None
    """Folder for oracles, trained where they are missing: the arm wide by the recipe of each run of --mocap,
    with the labelled poses of target_train for a source."""
    json: bool = False
    """Print JSON instead of Markdown."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.real is None and self.mocap is None:
            raise ValueError("--real or --mocap: expected a folder with runs, got neither")
        if (self.real is None) != (not self.clips):
            raise ValueError("--real and --clips: expected both or neither, got one of them")
        if self.oracle is not None and self.mocap is None:
            raise ValueError("--oracle: expected --mocap beside it, got none")


PROGRAM = Program(
    f"python -m {NAME}",
    "Put the truth in place of what lifts of the wide arms have to find, and measure what error is left.",
    (SubstitutionsOptions,),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``benchmarks/substitutions``; returns 2 for bad input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return attempt(lambda: run(given))


def run(arguments: list[str]) -> int:
    """Measure the scenes that the record lacks, and print the table."""
    from benchmarks.mocap.tables import markdown_table
    from benchmarks.substitutions.tables import by_substitution, sentence
    from poseda.runs.atomic import write_json
    from poseda.runs.origin import versions

    def make(given: Given) -> SubstitutionsOptions:
        return given.build(SubstitutionsOptions)

    options = read(PROGRAM, arguments, make)
    try:
        record = _record(options.out)
        for entry in entries(options):
            if not any(scene.items() >= entry.facts.items() for scene in record["scenes"]):
                record["versions"] = versions()
                record["scenes"] = [scene for scene in record["scenes"] if not entry.replaces(scene)]
                record["scenes"].append(entry.facts | {"views": entry.open().errors()})
                write_json(options.out, record)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if options.json:
        print_json(record)
    else:
        say(f"{markdown_table(*by_substitution(record))}\n{sentence(record)}")
    return 0


def _record(path: Path) -> dict[str, Any]:
    """What a record holds so far.

    Raises:
        ValueError: if the file is none.
    """
    if not path.exists():
        return {"scenes": []}
    try:
        record: dict[str, Any] = json.loads(path.read_text())
        [scene["views"] for scene in record["scenes"]]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"--out: expected a record of {NAME} or no file, got {path}") from error
    return record


@dataclass(frozen=True)
class Entry:
    """A scene that the record should hold.

    Args:
        facts: what tells it from others: group, name, seed, arm, and a digest of the weights.
        open: makes the scene.
    """

    facts: dict[str, Any]
    open: Callable[[], Scene]

    def replaces(self, scene: dict[str, Any]) -> bool:
        """Whether a scene of the record is the same, perhaps of other weights."""
        return all(scene[name] == self.facts[name] for name in ("group", "name", "seed", "arm"))


def entries(options: SubstitutionsOptions) -> Iterator[Entry]:
    """The scenes that were asked for. An oracle is trained when its turn comes.

    Raises:
        ValueError: if a folder or a file cannot be used.
    """
    if options.real is not None:
        yield from _real(options.real, options.clips)
    if options.mocap is not None:
        yield from _pairs(options.mocap, options.oracle)


def _real(folder: Path, paths: Sequence[Path]) -> Iterator[Entry]:
    from benchmarks.substitutions.clips import ClipFile
    from poseda.inference import AdaptedLifter
    from poseda.runs import RunFolder

    runs = sorted(folder.glob("seed*"))
    if not runs:
        raise ValueError(f"--real: expected runs of `python -m benchmarks.real`, found none in {folder}")
    for run, path in product(runs, paths):
        # The package's lifter learns every clip by itself, one of motion capture all of them.
        own = run / path.stem
        home, group = (own, "package") if own.exists() else (run, "real")
        for seed in RunFolder(home).read_config().seeds:
            for arm in _trained(home, seed):
                yield Entry(
                    {"group": group, "name": path.stem, **_lifter(home, arm, seed)},
                    partial(ClipFile.read, AdaptedLifter.load(home, arm, seed), path),
                )


def _pairs(folder: Path, oracles: Path | None) -> Iterator[Entry]:
    from benchmarks.mocap.domains import finished_runs
    from benchmarks.substitutions.pairs import Pair, train_oracle
    from poseda.inference import AdaptedLifter
    from poseda.runs import RunFolder

    for run, domains in finished_runs(folder):
        config = RunFolder(run).read_config()
        for seed in config.seeds:
            homes: list[tuple[str, Path, Arm]] = [(arm, run, arm) for arm in _trained(run, seed)]
            if oracles is not None:
                train_oracle(config, seed, domains, oracles / run.name)
                homes.append(("oracle", oracles / run.name, "wide"))
            for title, home, arm in homes:
                model = AdaptedLifter.load(home, arm, seed)
                facts = {"group": run.name.split("_")[0], "name": run.name}
                yield Entry(
                    facts | _lifter(home, arm, seed) | {"arm": title},
                    partial(Pair, model, domains),
                )


def _trained(run: Path, seed: int) -> list[Arm]:
    """The wide arms of a run that are trained; those that are not are said."""
    from poseda.runs import RunFolder

    there = [arm for arm in ARMS if RunFolder(run).weights(seed, arm, "lifter").exists()]
    for arm in (arm for arm in ARMS if arm not in there):
        complain(f"{run}: left out {arm} of seed {seed}, which is not trained", NAME)
    return there


def _lifter(run: Path, arm: str, seed: int) -> dict[str, Any]:
    """Arm, seed and a digest of the weights."""
    from poseda.runs import RunFolder

    content = RunFolder(run).weights(seed, arm, "lifter").path.read_bytes()
    return {"arm": arm, "seed": seed, "weights": hashlib.sha256(content).hexdigest()[:16]}
