"""Kill runs at random moments, resume them, and compare with a run that was not disturbed.

    python tests/stress/kill_runs.py --kills 100

A child runs ``poseda adapt --preset tiny`` and says through a pipe what it is doing: loading data, training,
writing a file, reporting. Moments are uniform over these kinds, then over the stretches of the chosen kind
(by length, but every write counts the same) and then within the stretch, so that writes of a millisecond are
hit as often as training of seconds. The parent sends SIGKILL. After each kill every file must be readable;
some resumed runs are killed again; in the end weights, results, report and log must be the undisturbed run's,
byte for byte.

Children are forked after the imports, which would take most of the time otherwise.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import itertools
import json
import random
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jinja2  # noqa: F401  # before the fork, for speed

from poseda import cli, report, training
from poseda.runs import checkpoint

sys.path.append(str(Path(__file__).parents[1] / "shared"))
from runs import short_steps

LOADING, TRAINING, WRITING, REPORTING = KINDS = "loading", "training", "writing", "reporting"
EVENT = struct.Struct("<bq")
"""What the child sends when it begins something: index in KINDS, monotonic nanoseconds."""

SHORT = [*short_steps(20), "--arms", "gpa_lpa", "--log-every", "5", "--save-every", "5"]
"""A run of a second."""

KILLED_AGAIN = 0.25
"""Share of the resumed runs that are killed, too."""


@dataclass(frozen=True)
class Stretch:
    """Time that a run spends on one thing, as the ``number``-th thing it does."""

    kind: str
    number: int
    seconds: float


class Reporter:
    """The child's end: reports to the parent what begins, and leaves the run as it is."""

    def __init__(self, pipe: int, out: Path) -> None:
        self.pipe, self.out, self.base = pipe, str(out), LOADING

    def begin(self, kind: str) -> None:
        os.write(self.pipe, EVENT.pack(KINDS.index(kind), time.monotonic_ns()))

    @contextmanager
    def during(self, kind: str) -> Iterator[None]:
        before, self.base = self.base, kind
        self.begin(kind)
        yield
        self.base = before
        self.begin(before)

    def watch(self, event: str, arguments: tuple[object, ...]) -> None:
        """An audit hook: a file of the run folder is opened for writing, or gets its name."""
        if event == "open" and isinstance(arguments[1], str) and arguments[1][0] in "wa":
            if str(arguments[0]).startswith(self.out):
                self.begin(WRITING)
        elif event == "os.rename":
            self.begin(self.base)


def run(arguments: list[str], pipe: int, out: Path) -> None:
    """The child: one command, in a process of its own."""
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  # for the life of the process
    os.nice(5)  # the parent must come first when its moment is there
    reporter = Reporter(pipe, out)
    sys.addaudithook(reporter.watch)

    def announced(kind: str, function: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object, **named: object) -> object:
            with reporter.during(kind):
                return function(*given, **named)

        return call

    training.Run.train = announced(TRAINING, training.Run.train)  # type: ignore[method-assign,assignment]
    report.write_report = announced(REPORTING, report.write_report)  # type: ignore[assignment]
    reporter.begin(LOADING)
    os._exit(cli.main([*arguments, "--out", str(out)]))


def start(arguments: list[str], out: Path) -> tuple[int, int]:
    """Fork a child; return its process and the pipe to read."""
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reader)
        try:
            run(arguments, writer, out)
        finally:
            os._exit(70)  # only reached by an exception
    os.close(writer)
    return process, reader


def events(reader: int) -> Iterator[tuple[str, int]]:
    while len(message := os.read(reader, EVENT.size)) == EVENT.size:
        kind, when = EVENT.unpack(message)
        yield KINDS[kind], when
    os.close(reader)


def finish(arguments: list[str], out: Path) -> list[Stretch]:
    """Run to the end; return what it did."""
    process, reader = start(arguments, out)
    seen = [*events(reader), ("", time.monotonic_ns())]
    status = os.waitpid(process, 0)[1]
    assert status == 0, f"{out}: the run ended with {os.waitstatus_to_exitcode(status)}"
    pairs = itertools.pairwise(seen)
    return [Stretch(kind, n, (end - begun) / 1e9) for n, ((kind, begun), (_, end)) in enumerate(pairs)]


def kill(arguments: list[str], out: Path, at: Stretch, share: float) -> str | None:
    """Kill a run a share into a stretch; return what it was doing, or None if it was faster."""
    process, reader = start(arguments, out)
    doing = LOADING
    for number, (kind, _) in enumerate(events(reader)):
        doing = kind
        if number == at.number:
            time.sleep(share * at.seconds)
            os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    if status == 0:
        return None
    code = os.waitstatus_to_exitcode(status)
    assert code == -signal.SIGKILL, f"{out}: the run ended with {code} before it was killed"
    return doing


def draw(stretches: list[Stretch], rng: random.Random) -> tuple[Stretch, float]:
    """A moment: uniform over kinds, stretches of the kind, and time within the stretch."""
    kind = rng.choice(KINDS)
    among = [stretch for stretch in stretches if stretch.kind == kind]
    weights = [1.0 if kind == WRITING else stretch.seconds for stretch in among]
    return rng.choices(among, weights)[0], rng.random()


def check_readable(out: Path) -> None:
    """Every file that a killed run left under a final name is whole."""
    for path in [*out.rglob("*.safetensors"), *out.rglob("*.partial")]:
        checkpoint.load_checkpoint(path)
    for path in out.rglob("*.json"):
        json.loads(path.read_text())
    for path in out.rglob("*.png"):
        assert path.read_bytes().endswith(b"IEND\xaeB\x60\x82"), f"{path}: cut off"


def contents(out: Path) -> dict[str, object]:
    """All that must be the same, by name; times of day and options may differ."""
    found: dict[str, object] = {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in ("config.json", "metrics.jsonl", ".lock")
    }
    lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    found["metrics.jsonl"] = [{k: v for k, v in line.items() if k != "seconds"} for line in lines]
    return found


def check_same(out: Path, expected: dict[str, object]) -> None:
    found = contents(out)
    differing = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    assert not differing, f"{out}: differs from the undisturbed run in {', '.join(differing)}"


def resumed(arguments: list[str], out: Path) -> list[str]:
    """How to go on: a run that was killed before it wrote anything is started again."""
    return [*arguments, "--resume"] if (out / "config.json").exists() else arguments


def test(kills: int, seed: int, short: bool, folder: Path) -> Counter[str]:
    """Kill so many times; return how often each kind was hit.

    Raises:
        AssertionError: if anything was lost.
    """
    arguments = ["adapt", "--preset", "tiny", "--device", "cpu", *(SHORT if short else [])]
    rng, hit = random.Random(seed), Counter[str]()
    stretches = finish(arguments, folder / "undisturbed")
    expected = contents(folder / "undisturbed")
    case = 0
    while hit.total() < kills:
        out = folder / f"run{case}"
        case += 1
        again = True
        while again and hit.total() < kills:
            doing = kill(resumed(arguments, out), out, *draw(stretches, rng))
            check_readable(out)
            if doing is None:
                break
            hit[doing] += 1
            again = rng.random() < KILLED_AGAIN
        finish(resumed(arguments, out), out)
        check_same(out, expected)
        print(f"{hit.total():4} kills, {case} runs the same: {dict(hit)}", flush=True)
    return hit


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="how many (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parser.add_argument("--short", action="store_true", help="one arm and fewer steps")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="poseda-kill-") as scratch:
        total = test(given.kills, given.seed, given.short, Path(scratch))
    print(f"{total.total()} kills, nothing lost: {dict(total)}")
