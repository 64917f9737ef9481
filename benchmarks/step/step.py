"""The benchmark of a training step: ours, with the eager reference augmentation, and the classic loop.

Generator and lifter of the method (arm gpa_lpa) on the embedded domains. First all three must make the same
pairs of the same parameters. Then they are timed in short slots, one after the other, in many rounds. A time
is the median over rounds, a ratio the median of the rounds' ratios. The shares of a step come from another
pass, with a stopwatch around its parts. An epoch is extrapolated: as many steps of generator and lifter as
POSES poses take. The classic loop's lifter trains on pairs that its generator phase stored. Ours makes its
pairs at each step.

``python -m benchmarks.step --json FILE`` measures and records, ``--markdown FILE`` prints a record as tables.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from operator import truediv
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.step.classic import ClassicLoop, classic_augment
from benchmarks.step.stopwatch import Stopwatch, watched
from poseda import ops
from poseda.bench.clock import clock_of, timed_rounds
from poseda.bench.op import check_agreement
from poseda.bench.record import (
    about,
    json_alone,
    machine,
    markdown_table,
    rich_table,
    save_record,
    show_seconds,
)
from poseda.config import (
    AdversaryConfig,
    GeneratorTrainingConfig,
    LifterTrainingConfig,
    NetworkConfig,
    RunConfig,
)
from poseda.datasets import AdaptationData, open_domains
from poseda.device import peak_memory
from poseda.lifters.sizes import SMALL, build_lifter, count_parameters
from poseda.method.generator import Generator
from poseda.ops import reference
from poseda.training.adversarial import GeneratorPhase
from poseda.training.fabric import layer_precision, start_fabric
from poseda.training.lifting import LifterPhase
from poseda.training.meters import Meters
from poseda.training.pairs import PairSource, TrainingData, augment_pairs, recipe_of

if TYPE_CHECKING:
    from rich.console import Console

POSES = 1_559_752
"""Poses of an epoch: the training frames of Human3.6M in all cameras."""

LOG_EVERY = 50
"""Steps between two readings of ours, as `poseda adapt` has it by default."""

NETWORKS = SMALL | {name: replace(SMALL[name], width=512) for name in ("simple_baseline", "videopose3d")}
"""Sizes of the lifters measured: SimpleBaseline and VideoPose3D at half their published width, others as a
CPU trains them in minutes."""

CONTESTANTS = ("ours", "eager_augmentation", "classic")
HALVES = ("generator", "lifter")

EXTRAS: dict[str, tuple[dict[str, Any], Sequence[str]]] = {
    "compiled": ({"compile": "on"}, HALVES),
    "bf16": ({"precision": "bf16-mixed"}, ("lifter",)),  # its generator's step runs no lifter here
    "graphs": ({"graphs": "on"}, HALVES),
}
"""Ours with other options, on request: what differs in the configuration, and which steps are measured."""

TITLES = {"ours": "ours", "eager_augmentation": "eager op", "classic": "classic"} | {e: e for e in EXTRAS}

Step = Callable[[int], Any]


def run(
    *,
    device: str = "cpu",
    lifters: Sequence[str] = ("simple_baseline",),
    batch: int = 1024,
    steps: int = 8,
    threads: int = 1,
    width: int | None = None,
    extras: Sequence[str] = (),
    quick: bool = False,
    json_path: str | Path | None = None,
) -> list[dict[str, Any]]:
    """Measure, print tables, and record.

    Args:
        device: "cpu", "cuda" or "cuda:1".
        lifters: names.
        batch: poses a step.
        steps: of a slot, and of the classic loop's epochs in it.
        threads: of the CPU.
        width: of every lifter. Default: as :data:`NETWORKS` has it.
        extras: of :data:`EXTRAS`, to measure beside.
        quick: fewer and shorter rounds.
        json_path: file to write, or None.

    Returns:
        One record per lifter; see :func:`measure` for its fields.

    Raises:
        RuntimeError: if contestants disagree; nothing is timed then.
    """
    from rich.console import Console

    console, results, before = Console(), [], torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        data = open_domains(None, size=max(0.1, batch * steps / 20_000)).adaptation()
        for name in lifters:
            config = step_config(name, batch, device, width)
            with console.status(f"{name}, batch {batch:,}, {device}"):
                results.append(measure(config, data, steps, extras, quick) | {"threads": threads})
    finally:
        torch.set_num_threads(before)
    _show(console, {"machine": machine(device), "results": results}, json_path)
    return results


def _show(console: Console, record: dict[str, Any], json_path: str | Path | None) -> None:
    """Print the tables of a record, and write it where a file is given."""
    with json_alone(json_path):
        for title, headings, cells in tables(record):
            console.print(rich_table(title, headings, cells))
    save_record(json_path, record)


def step_config(lifter: str, batch: int, device: str, width: int | None = None) -> RunConfig:
    """The default recipe at a batch size, with a lifter as :data:`NETWORKS` has it or of another width.

    A CPU computes in float32, as the classic loop does.
    """
    network = NETWORKS.get(lifter, NetworkConfig())
    return RunConfig(
        graphs="off",
        device=device,
        precision="32-true" if device == "cpu" else "auto",
        lifter=lifter,
        network=network if width is None else replace(network, width=width),
        training=LifterTrainingConfig(batch=batch),
        generator_training=GeneratorTrainingConfig(batch=batch),
        adversary=AdversaryConfig(pool=max(AdversaryConfig.pool, batch)),
    )


def measure(
    config: RunConfig,
    data: AdaptationData,
    steps: int,
    extras: Sequence[str] = (),
    quick: bool = False,
) -> dict[str, Any]:
    """One record of one lifter.

    Returns:
        ``name``, ``width``, ``parameters``, ``batch``, ``device``, ``steps``. For each of ``generator`` and
        ``lifter``: ``seconds`` a step by contestant, ``speedup`` of ours by rival, ``shares`` of a step by
        contestant and part. ``epoch``: ``seconds`` for :data:`POSES` poses through both, and ``speedup``.
        ``peak_bytes`` of device memory, of all contestants together; None on a CPU.
    """
    bench = StepBench(config, data, steps)
    bench.check()
    record: dict[str, Any] = {
        "name": config.lifter,
        "width": config.network.width,
        "parameters": count_parameters(build_lifter(config, data.skeleton)),
        "batch": config.training.batch,
        "device": str(bench.fabric.device),
        "steps": steps,
    }
    with layer_precision(config, bench.fabric.device):
        calls = bench.calls(extras)
        rounds = timed_rounds(calls, clock_of(bench.fabric.device, quick))
        a_step = {name: [seconds / steps for seconds in times] for name, times in rounds.items()}
        for half in HALVES:
            shares = {name: bench.shares(half, name) for name in CONTESTANTS}
            record[half] = _compared(half, a_step) | {"shares": shares}
    each = {name: sum(record[half]["seconds"][name] for half in HALVES) for name in CONTESTANTS}
    record["epoch"] = {
        "poses": POSES,
        "seconds": {name: seconds * POSES / config.training.batch for name, seconds in each.items()},
        "speedup": {name: each[name] / each["ours"] for name in CONTESTANTS[1:]},
    }
    return record | {"peak_bytes": peak_memory(bench.fabric.device)}


def _compared(half: str, a_step: dict[str, list[float]]) -> dict[str, Any]:
    """Median seconds a step of one network by contestant, and the speedup of ours by rival."""
    names = [name for name in (*CONTESTANTS, *EXTRAS) if f"{half} {name}" in a_step]
    times = {name: a_step[f"{half} {name}"] for name in names}
    return {
        "seconds": {name: statistics.median(times[name]) for name in names},
        "speedup": {
            name: statistics.median(map(truediv, times[name], times["ours"]))
            for name in names
            if name != "ours"
        },
    }


class StepBench:
    """The contestants for one lifter.

    Args:
        config: of the run whose steps are measured.
        data: to learn from.
        steps: of a slot.
    """

    def __init__(self, config: RunConfig, data: AdaptationData, steps: int) -> None:
        self.config, self.steps, self._given = config, steps, data
        self.fabric = start_fabric(config)
        self.data = TrainingData.load(data, self.fabric.device)
        self.recipe = recipe_of("gpa_lpa", config)

    def check(self) -> None:
        """See that all augmentations make the same pairs of the same parameters.

        Raises:
            RuntimeError: if not.
        """
        phase, rng = self.generator_phase(), self._rng()
        index = torch.randint(len(self.data.source), (256,), generator=rng, device=self.fabric.device)
        where = self.data.placements.sample(len(index), rng)
        source = self.data.source.pose_3d[index]
        with torch.no_grad():
            proposal = phase.generator(source, phase.generator.noise(source, rng))

            def make() -> tuple[Tensor, ...]:
                return tuple(augment_pairs(self.data, index, where, proposal, "gpa", self.config))[:2]

            ours = make()
            for name, rival in (
                ("eager_augmentation", reference.augment),
                ("classic", classic_augment),
            ):
                with patch.object(ops, "augment", rival):
                    check_agreement(name, make(), ours)

    def calls(self, extras: Sequence[str]) -> dict[str, Callable[[], None]]:
        """What is timed: ``steps`` steps of each contestant's generator and lifter."""
        classic = self._classic()
        classic.generator_steps(self.steps)
        calls = {
            "generator classic": lambda: classic.generator_steps(self.steps),
            "lifter classic": lambda: classic.lifter_steps(self.steps),
        }
        for name, rival in (("ours", None), ("eager_augmentation", reference.augment)):
            calls[f"generator {name}"] = self._slot(self.generator_phase(), rival)
            calls[f"lifter {name}"] = self._slot(self.lifter_phase(), rival)
        for name in extras:
            changes, halves = EXTRAS[name]
            other = StepBench(replace(self.config, **changes), self._given, self.steps)
            for half in halves:
                phase = other.generator_phase() if half == "generator" else other.lifter_phase()
                calls[f"{half} {name}"] = other._slot(phase, None)
        return calls

    def shares(self, half: str, contestant: str) -> dict[str, float]:
        """The share that each part of a step takes."""
        watch = Stopwatch(self.fabric.device)
        with watched(watch):
            if contestant == "classic":
                loop = self._classic()
                loop.generator_steps(self.steps)
                call = (
                    (lambda: loop.generator_steps(self.steps))
                    if half == "generator"
                    else lambda: loop.lifter_steps(self.steps)
                )
            else:
                phase = self.generator_phase() if half == "generator" else self.lifter_phase()
                call = self._slot(phase, None if contestant == "ours" else reference.augment, watch)
            call()
            watch.clear()
            with watch("other"):
                call()
        return watch.shares()

    def _slot(
        self, phase: GeneratorPhase | LifterPhase, augment: Any, watch: Stopwatch | None = None
    ) -> Callable[[], None]:
        """``steps`` steps with their meters, by another augmentation if one is given."""
        meters, at = Meters(), 0
        if augment is not None and watch is not None:
            augment = watch.wrap("augmentation", augment)

        def slot() -> None:
            nonlocal at
            with nullcontext() if augment is None else patch.object(ops, "augment", augment):
                for _ in range(self.steps):
                    meters.add(at, phase.step(at % phase.steps))
                    at += 1
                    if at % LOG_EVERY == 0:
                        meters.read("a step")

        return slot

    def _rng(self) -> torch.Generator:
        return torch.Generator(self.fabric.device).manual_seed(0)

    def generator_phase(self) -> GeneratorPhase:
        torch.manual_seed(0)
        lifter = build_lifter(self.config, self.data.skeleton).to(self.fabric.device)
        return GeneratorPhase(self.recipe, self.data, self.config, 0, self._rng(), lifter, self.fabric)

    def lifter_phase(self) -> LifterPhase:
        """Of the method's arm, with a generator that has learned nothing."""
        torch.manual_seed(0)
        skeleton, options, rng = self.data.skeleton, self.config.training, self._rng()
        generator = Generator(skeleton, self.config.generator).to(self.fabric.device).eval()
        drawn = PairSource(self.recipe, self.data, self.config, 0, rng, generator)
        lifter = build_lifter(self.config, skeleton)
        compiled, captured = self.config.compile == "on", self.config.graphs == "on"
        steps = options.adapt_steps
        return LifterPhase(lifter, drawn, skeleton, options, steps, self.fabric, compiled, captured)

    def _classic(self) -> ClassicLoop:
        options = self.config.training
        lifter = build_lifter(self.config, self.data.skeleton).to(self.fabric.device)
        return ClassicLoop(self.generator_phase(), lifter, options.learning_rate, options.clip, options.batch)


def tables(record: dict[str, Any]) -> Iterator[tuple[str, Sequence[str], list[Sequence[str]]]]:
    """Titles, headings and rows of what a record shows."""
    results = record["results"]
    names = [name for name in TITLES if any(name in row["lifter"]["seconds"] for row in results)]
    ratios = [f"vs {TITLES[name]}" for name in CONTESTANTS[1:]]
    yield (
        f"a step of {results[0]['batch']:,} poses, and an epoch of 1.56 M through generator and lifter "
        "(extrapolated)",
        ("lifter", "weights", "step", *(TITLES[name] for name in names), *ratios),
        [
            (
                row["name"],
                f"{row['parameters']:,}",
                half,
                *(show_seconds(row[half]["seconds"].get(name)) for name in names),
                *(f"{row[half]['speedup'][name]:.2f}x" for name in CONTESTANTS[1:]),
            )
            for row in results
            for half in (*HALVES, "epoch")
        ],
    )
    for row in results:
        columns = [(half, name) for half in HALVES for name in CONTESTANTS]
        shares = {column: row[column[0]]["shares"][column[1]] for column in columns}
        parts = dict.fromkeys(part for found in shares.values() for part in found)
        yield (
            f"share of a step of {row['name']}",
            ("part", *(f"{half} {TITLES[name]}" for half, name in columns)),
            [(part, *(_percent(shares[column].get(part)) for column in columns)) for part in parts],
        )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def to_markdown(record: dict[str, Any]) -> str:
    """A recorded run as Markdown: a line on the machine and the tables."""
    threads = f", {record['results'][0]['threads']} threads"
    lines = [about(record["machine"], threads)]
    for title, headings, cells in tables(record):
        lines += ["", f"{title}:", "", *markdown_table(headings, cells)]
    return "\n".join(lines)
