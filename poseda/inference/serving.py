"""Every line of a source answered in order, and how that went."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Any, BinaryIO, TextIO

from poseda.datasets.tracking import counted
from poseda.inference.stream import LineLifter

MAX_LINE = 1 << 20
"""Longest line read, bytes; the rest of a longer one is passed over."""

KEPT_TIMES = 1 << 16
"""Latest answers of which the time is kept for the median."""


@dataclass
class StreamSummary:
    """How a stream went.

    Args:
        lines: answered, errors among them.
        errors: lines without a readable pose.
        valid: poses lifted.
        seconds: spent between having read lines and having written their answers.
        latest: seconds of each of the latest lines.
    """

    lines: int = 0
    errors: int = 0
    valid: int = 0
    seconds: float = 0.0
    latest: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_TIMES))

    @property
    def not_lifted(self) -> int:
        """Lines that were read, but whose pose is not valid; their answers say why."""
        return self.lines - self.valid - self.errors

    @property
    def frames_per_second(self) -> float:
        """Lines answered in a second of work, waiting for input left out."""
        return self.lines / self.seconds if self.seconds > 0 else 0.0

    @property
    def median_milliseconds(self) -> float:
        """From a line read to its answer written."""
        return 1000 * median(self.latest) if self.latest else 0.0

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return {
            "lines": self.lines,
            "errors": self.errors,
            "valid": self.valid,
            "not_lifted": self.not_lifted,
            "frames_per_second": round(self.frames_per_second, 1),
            "median_milliseconds": round(self.median_milliseconds, 3),
        }

    def sentence(self) -> str:
        """In words."""
        gaps = f"{self.not_lifted} not (see the reason in their lines), " if self.not_lifted else ""
        return (
            f"{counted(self.lines, 'line')}, {counted(self.valid, 'pose')} lifted, {gaps}"
            f"{counted(self.errors, 'error')}; "
            f"{self.frames_per_second:.0f} frames/s of work, median {self.median_milliseconds:.2f} ms a line"
        )


def serve(lifter: LineLifter, source: BinaryIO, sink: TextIO, summary: StreamSummary) -> None:
    """Answer every line of a source, at once and in order; ends with the source.

    Args:
        lifter: answers.
        source: JSON lines; empty lines are passed over.
        sink: gets one line for each, flushed.
        summary: kept up to date.
    """
    number = 0
    while line := source.readline(MAX_LINE + 1):
        began = time.perf_counter()
        number += 1
        if len(line) > MAX_LINE:
            while not line.endswith(b"\n") and (line := source.readline(MAX_LINE)):
                pass
            answer: dict[str, Any] = {
                "line": number,
                "error": f"stdin: line {number}: expected at most {MAX_LINE} bytes, found more",
            }
        elif not line.strip():
            continue
        else:
            answer = lifter.answer(line, number)
        sink.write(json.dumps(answer) + "\n")
        sink.flush()
        summary.lines += 1
        summary.errors += "valid" not in answer  # poses, too, may have an "error", the expected one
        summary.valid += bool(answer.get("valid"))
        seconds = time.perf_counter() - began
        summary.seconds += seconds
        summary.latest.append(seconds)
