"""One phase of one arm and seed, run to its end: checkpoints, log lines, and restarts after a collapse."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

import torch
from lightning.fabric import Fabric
from torch import Tensor

from poseda.config import RunConfig
from poseda.runs import RunFolder
from poseda.runs.checkpoint import CheckpointError
from poseda.runs.renamed import FIRST_ARM_NAMES
from poseda.training.errors import CollapseError, NonFiniteError
from poseda.training.fabric import layer_precision, pack_scaler, unpack_scaler
from poseda.training.health import CollapseWatch, NonFiniteWatch
from poseda.training.loggers import close, log, open_logger
from poseda.training.meters import Meters


class Phase(Protocol):
    """Something that is trained step by step. Its state can be saved and loaded."""

    steps: int
    rng: torch.Generator
    watch: NonFiniteWatch
    can_collapse: bool

    def step(self, step: int) -> dict[str, Tensor]:
        """Train; return scalars, which the next step may overwrite."""

    def state(self) -> dict[str, Tensor]: ...
    def load(self, state: dict[str, Tensor]) -> None: ...
    def result(self) -> dict[str, Tensor]: ...


class Observer(Protocol):
    """Follows the phases of a run; the command line shows them as progress bars."""

    def phase_started(self, title: str, steps: int, done: int) -> None:
        """A phase begins, with ``done`` of its steps behind it."""

    def advanced(self, step: int) -> None:
        """``step`` steps of the phase are done."""

    def phase_restarted(self, title: str, step: int, reason: str) -> None:
        """The phase collapsed and continues from ``step`` with another seed."""

    def phase_finished(self, title: str) -> None:
        """The phase is over."""


class Silent:
    """The default observer, which does nothing."""

    def phase_started(self, title: str, steps: int, done: int) -> None: ...
    def advanced(self, step: int) -> None: ...
    def phase_restarted(self, title: str, step: int, reason: str) -> None: ...
    def phase_finished(self, title: str) -> None: ...


def stage_seed(seed: int, arm: str, phase: str) -> int:
    """Seed of one phase: independent of which other arms run and in what order.

    An arm that was renamed keeps its first name here, so that its random numbers stay the same.
    """
    return crc32(f"{seed}/{FIRST_ARM_NAMES.get(arm, arm)}/{phase}".encode())


def title_of(arm: str, name: str, seed: int) -> str:
    """The title of a phase, for observers."""
    return f"{arm} · {name} · seed {seed}"


Build = Callable[[torch.Generator], Phase]
"""Makes a phase, given the generator of all its random draws."""


class Stages:
    """Runs the phases of a run: what all of them share.

    Args:
        config: of the run.
        fabric: device and precision; nothing has been trained with it yet.
        folder: of the run, where checkpoints and log lines go.
        observer: follows the progress.
    """

    def __init__(self, config: RunConfig, fabric: Fabric, folder: RunFolder, observer: Observer) -> None:
        self.config, self.fabric, self.folder, self.observer = config, fabric, folder, observer
        self.logger = open_logger(config, folder)
        self.fresh_scaler = pack_scaler(fabric)

    def finish(self) -> None:
        """Let the logger write what it still holds."""
        close(self.logger)

    def run(self, seed: int, arm: str, name: str, build: Build) -> dict[str, Tensor]:
        """Run a phase of an arm and seed to its end, or load what it left; return its result.

        Raises:
            TrainingError: if a value is no longer finite, nothing is valid, or too many restarts collapsed.
        """
        return Stage(self, seed, arm, name, build).run()

    @contextmanager
    def shown(self, seed: int, arm: str, name: str, steps: int = 1) -> Iterator[Callable[[int], None]]:
        """Show the observer work that trains nothing. The function within takes the steps that are done."""
        title = title_of(arm, name, seed)
        self.observer.phase_started(title, steps, 0)
        yield self.observer.advanced
        self.observer.advanced(steps)
        self.observer.phase_finished(title)


@dataclass(frozen=True)
class _Collapse:
    """When a phase collapsed, and what showed it."""

    step: int
    reason: str


class Stage:
    """A phase of an arm and seed.

    Args:
        stages: what it shares with others.
        seed: of the run, one of several.
        arm: of the phase.
        name: of the phase.
        build: makes the phase.
    """

    def __init__(self, stages: Stages, seed: int, arm: str, name: str, build: Build) -> None:
        self.config, self.fabric, self.observer = stages.config, stages.fabric, stages.observer
        self.seed, self.arm, self.name, self.build = seed, arm, name, build
        self.journal, self.logger = stages.folder.journal, stages.logger
        self.finished = stages.folder.weights(seed, arm, name)
        self.partial = stages.folder.partial(seed, arm, name)
        self.title = title_of(arm, name, seed)
        self._fresh_scaler = stages.fresh_scaler

    def run(self) -> dict[str, Tensor]:
        """Run the phase to its end, or load what it left; return its result."""
        done = self.finished.exists()
        self.fabric.barrier()  # several processes must see the same files before any writes more of them
        if done:
            self.partial.remove()  # a run may be killed between the two
            return self.finished.load()[0]
        phase, first, restarts = self._begin()
        self.fabric.barrier()
        self.observer.phase_started(self.title, phase.steps, first)
        with layer_precision(self.config, self.fabric.device):
            while collapse := self._train(phase, first, restarts):
                restarts += 1
                phase, first = self._restart(collapse, restarts)
        result = phase.result()
        self.finished.save(result, {"step": phase.steps, "arm": self.arm, "seed": self.seed})
        self.fabric.barrier()
        self.partial.remove()
        self.observer.phase_finished(self.title)
        return result

    def _train(self, phase: Phase, first: int, restarts: int) -> _Collapse | None:
        meters, health, began = Meters(), CollapseWatch.of(self.config), time.perf_counter()
        for step in range(first, phase.steps):
            meters.add(step, phase.step(step))
            done = step + 1
            if done % self.config.log_every == 0 or done == phase.steps:
                values = meters.read(self.title, phase.watch.first_gradient())
                self._check_weights(phase, done)
                values["seconds"] = time.perf_counter() - began
                self.journal.write(done, self.name, self.seed, self.arm, values)
                log(self.logger, done, f"seed{self.seed}/{self.arm}/{self.name}", values)
                reason = health.look(values) if phase.can_collapse else None
                if reason is not None:
                    return _Collapse(done, reason)
                self.observer.advanced(done)
            if done % self.config.save_every == 0 and done < phase.steps and health.healthy:
                self._save(phase, done, restarts)
        return None

    def _check_weights(self, phase: Phase, done: int) -> None:
        culprit = phase.watch.first_weight()
        if culprit is not None:
            raise NonFiniteError(
                f"{self.title}: {culprit} became non-finite by step {done}; "
                f"the last checkpoint is from before it"
            )

    def _make(self, start: str) -> Phase:
        """A phase as it begins. The order of poses is the same at every restart."""
        # Dropout and initial weights draw from torch's own generator; everything else from rng.
        self.fabric.seed_everything(stage_seed(self.seed, self.arm, start), verbose=False)
        rng = torch.Generator(self.fabric.device).manual_seed(stage_seed(self.seed, self.arm, self.name))
        unpack_scaler(self.fabric, self._fresh_scaler)
        return self.build(rng)

    def _begin(self) -> tuple[Phase, int, int]:
        """The phase, its next step and its restarts so far: from its checkpoint, or from its beginning."""
        phase, first, restarts = self._make(self.name), 0, 0
        if self.partial.exists():
            state, notes = self.partial.load()
            self._load(phase, state)
            torch.set_rng_state(state["torch_rng"])
            if "cuda_rng" in state:
                torch.cuda.set_rng_state(state["cuda_rng"], self.fabric.device)
            first, restarts = notes["step"], notes.get("restarts", 0)
        self.journal.rewind(self.name, self.seed, self.arm, first, restarts)
        return phase, first, restarts

    def _restart(self, collapse: _Collapse, restarts: int) -> tuple[Phase, int]:
        """The phase as it was last healthy, with new random numbers; return it and its next step.

        Raises:
            CollapseError: if that was done often enough.
        """
        if restarts > self.config.health.restarts:
            raise CollapseError(
                f"{self.title}: collapsed at step {collapse.step} after {restarts - 1} restarts: "
                f"{collapse.reason}; change --generator-training.… or --health.… and start again",
                collapse.step,
                collapse.reason,
            )
        start = f"{self.name}/{restarts}"
        phase, first = self._make(start), 0
        if self.partial.exists():
            state, notes = self.partial.load()
            first = notes["step"]
            if first:
                self._load(phase, state)
        self.fabric.seed_everything(stage_seed(self.seed, self.arm, start), verbose=False)
        phase.rng.manual_seed(stage_seed(self.seed, self.arm, start))
        event: dict[str, float | str] = {
            "restart": restarts,
            "collapsed_at": collapse.step,
            "reason": collapse.reason,
        }
        self.journal.rewind(self.name, self.seed, self.arm, first, restarts - 1)
        self.journal.write(first, self.name, self.seed, self.arm, event)
        self.fabric.barrier()
        self._save(phase, first, restarts)  # a killed run resumes from here, not into the same collapse
        self.observer.phase_restarted(self.title, first, collapse.reason)
        return phase, first

    def _save(self, phase: Phase, done: int, restarts: int) -> None:
        state = phase.state() | pack_scaler(self.fabric) | {"torch_rng": torch.get_rng_state()}
        if self.fabric.device.type == "cuda":
            state["cuda_rng"] = torch.cuda.get_rng_state(self.fabric.device)
        notes = {"step": done, "device": self.fabric.device.type}
        self.partial.save(state, notes | ({"restarts": restarts} if restarts else {}))

    def _load(self, phase: Phase, state: dict[str, Tensor]) -> None:
        try:
            unpack_scaler(self.fabric, state)
            phase.load(state)
        except (KeyError, IndexError, RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"{self.partial.path}: expected a checkpoint of {self.title}, got one that does not fit "
                f"({' '.join(str(error).split())})"
            ) from error
