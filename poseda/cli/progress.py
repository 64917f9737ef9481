"""The progress of a run: bars in a terminal, lines elsewhere, and how long the whole run will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from poseda.config import WIDE_ARMS

if TYPE_CHECKING:
    from poseda.training.plan import PlannedPhase

PERIOD = 30.0
"""Seconds between two lines."""

Clock = Callable[[], float]


class TimeLeft:
    """Guesses the rest of a run from the steps that it has done.

    Phases of one kind take the same time a step: lifters, generators, and all phases of the wide arms.
    A kind that has not begun yet is taken to be as fast as the others.

    Args:
        phases: of the run in their order.
        clock: seconds.
    """

    def __init__(self, phases: Sequence[PlannedPhase], clock: Clock = time.perf_counter) -> None:
        self.phases, self._clock = list(phases), clock
        self._at, self._first, self._done, self._began = -1, 0, 0, clock()
        self._spent: dict[str, tuple[float, int]] = {}

    def begins(self, title: str, done: int) -> None:
        """A phase begins, with ``done`` of its steps behind it; those before it in the plan are over."""
        self._close()
        titles = [phase.title for phase in self.phases]
        if title in titles:
            self._at = titles.index(title)
        self._first = self._done = done
        self._began = self._clock()

    def advanced(self, step: int) -> None:
        """``step`` steps of the phase are done."""
        self._done = step

    def _close(self) -> None:
        """Keep what the phase has shown about its kind."""
        if self._at >= 0 and self._done > self._first:
            kind = _kind(self.phases[self._at])
            seconds, steps = self._spent.get(kind, (0.0, 0))
            self._spent[kind] = (seconds + self._clock() - self._began, steps + self._done - self._first)
            self._first, self._began = self._done, self._clock()

    @property
    def position(self) -> str:
        """Which phase it is: ``phase 3 of 9``."""
        return f"phase {self._at + 1} of {len(self.phases)}"

    def seconds(self) -> float | None:
        """Seconds until the last phase ends; None before anything is known."""
        self._close()
        if not self._spent:
            return None
        paces = {kind: seconds / steps for kind, (seconds, steps) in self._spent.items()}
        usual = sum(paces.values()) / len(paces)
        rest = self.phases[self._at].steps - self._done
        left = rest * paces.get(_kind(self.phases[self._at]), usual)
        return left + sum(
            phase.steps * paces.get(_kind(phase), usual) for phase in self.phases[self._at + 1 :]
        )

    def words(self) -> str:
        """The rest of the run in words."""
        seconds = self.seconds()
        return (
            "the rest is not known yet" if seconds is None else f"about {duration(seconds)} of the run left"
        )


def _kind(phase: PlannedPhase) -> str:
    return "wide" if phase.arm in WIDE_ARMS else phase.name


def duration(seconds: float) -> str:
    """A duration as people say it: ``40 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


class ProgressLines:
    """Shows a run's phases as lines, where there is no terminal: a :class:`poseda.training.Observer`.

    Args:
        console: where the lines go.
        phases: of the run.
        clock: seconds.
    """

    def __init__(
        self, console: Any, phases: Sequence[PlannedPhase], clock: Clock = time.perf_counter
    ) -> None:
        self._console, self._clock, self.left = console, clock, TimeLeft(phases, clock)
        self._title, self._steps, self._began, self._said = "", 0, 0.0, clock()

    def __enter__(self) -> ProgressLines:
        return self

    def __exit__(self, *_: object) -> None: ...

    def phase_started(self, title: str, steps: int, done: int) -> None:
        self._title, self._steps, self._began = title, steps, self._clock()
        self.left.begins(title, done)

    def advanced(self, step: int) -> None:
        self.left.advanced(step)
        if self._clock() - self._said >= PERIOD:
            self._said = self._clock()
            self._say(f"step {step} of {self._steps}, {self.left.position}, {self.left.words()}")

    def phase_restarted(self, title: str, step: int, reason: str) -> None:
        self._say(f"collapsed ({reason}); starts again from step {step} with another seed")
        self.left.begins(title, step)

    def phase_finished(self, title: str) -> None:
        self._say(f"done in {duration(self._clock() - self._began)}")

    def _say(self, text: str) -> None:
        self._console.print(f"{self._title}: {text}", highlight=False, markup=False, soft_wrap=True)
