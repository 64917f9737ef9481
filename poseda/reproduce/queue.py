"""Works jobs off, one by one or side by side. Whatever is killed goes on where it was.

A job is one seed of one run folder, as `poseda adapt` would write it; what is finished is read from that
folder alone, so there is no other state that could disagree with it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from poseda import training
from poseda.config import Arm, RunConfig, check_resumable
from poseda.datasets import open_domains
from poseda.files import write_atomically
from poseda.gate import PRETRAINED
from poseda.reproduce.breakdown import breakdown_path, groups_of, measure
from poseda.reproduce.domains import Benchmark
from poseda.training import read_folder
from poseda.training.lock import FolderError, FolderLock
from poseda.training.run import read_results, weights_path


class QueueError(ValueError):
    """A queue that cannot be worked off; the message is one sentence."""


@dataclass(frozen=True)
class Job:
    """One seed of one run folder, all of its arms.

    Args:
        name: what the run folder is called, as p1_split0.
        benchmark: its domains.
        config: of the run folder, with the one seed.
        breakdown: also measure errors by groups of test frames.
        variant: name of the variant of the recipe that it is, if it is one.
        donor: run folder whose lifters, trained on source by the same recipe, serve here as well.
    """

    name: str
    benchmark: Benchmark
    config: RunConfig
    breakdown: bool = False
    variant: str = ""
    donor: Path | None = None

    @property
    def seed(self) -> int:
        return self.config.seeds[0]

    @property
    def title(self) -> str:
        return f"{self.name} seed {self.seed}"

    def missing(self) -> list[Arm]:
        """The arms that have no results yet."""
        done = {row["arm"] for row in self.results()}
        return [arm for arm in self.config.arms if arm not in done]

    def results(self) -> list[dict[str, Any]]:
        """The rows of its arms and seed in results.json so far."""
        return [
            row
            for row in read_results(self.config.out)
            if row["seed"] == self.seed and row["arm"] in self.config.arms
        ]

    def unmeasured(self) -> list[Arm]:
        """The arms, finished or not, whose breakdown is asked for and not there."""
        return [
            arm
            for arm in self.config.arms
            if self.breakdown and not breakdown_path(self.config.out, self.seed, arm).exists()
        ]


@contextmanager
def sole_worker(out: Path) -> Iterator[None]:
    """Keep a second queue out of a folder; the lock falls with the process that holds it.

    Raises:
        QueueError: if another queue is at work there.
    """
    lock = FolderLock(out)
    try:
        lock.take()
    except FolderError as error:
        raise QueueError(str(error)) from error
    except OSError as error:
        raise QueueError(
            f"--out: expected a folder that can be written, got {out} ({error.strerror})"
        ) from error
    with lock:
        yield


def check_jobs(jobs: Sequence[Job]) -> None:
    """Check that run folders begun earlier were begun with these options.

    Raises:
        QueueError: naming the folder and the first option that differs.
    """
    for job in jobs:
        if (job.config.out / "config.json").exists():
            try:
                check_resumable(job.config, read_folder(job.config.out)["config"])
            except ValueError as error:
                raise QueueError(f"{job.config.out}: {error}") from error


def work_off(jobs: Sequence[Job], processes: int) -> list[str]:
    """Train what is missing, in order; say what is finished on stderr.

    Args:
        jobs: jobs of one folder are never worked on at the same time.
        processes: side by side; each gets its share of the cores.

    Returns:
        a sentence for each arm that failed; the others are not held up by it.
    """
    waiting = [job for job in jobs if job.missing() or job.unmeasured()]
    if processes == 1:
        return [failure for job in waiting for failure in perform(job)]
    context = get_context("spawn")
    failures: list[str] = []
    running: dict[int, tuple[BaseProcess, connection.Connection, Job]] = {}
    threads = max(1, (os.cpu_count() or 1) // processes)
    try:
        while waiting or running:
            busy = {job.config.out for _, _, job in running.values()}
            free = next((job for job in waiting if job.config.out not in busy), None)
            if free is not None and len(running) < processes:
                waiting.remove(free)
                receiver, sender = context.Pipe(duplex=False)
                started = context.Process(target=_work_apart, args=(free, threads, sender))
                started.start()
                sender.close()
                running[started.sentinel] = started, receiver, free
                continue
            for sentinel in connection.wait(list(running)):
                assert isinstance(sentinel, int)
                process, receiver, job = running.pop(sentinel)
                process.join()
                try:
                    failures += receiver.recv()
                except EOFError:
                    failures.append(f"{job.title}: the process ended with code {process.exitcode}")
    finally:
        for process, _, _ in running.values():
            process.kill()
            process.join()
    return failures


def perform(job: Job) -> list[str]:
    """Train the missing arms of one job; return a sentence for each that failed."""
    config, missing, unmeasured = job.config, job.missing(), job.unmeasured()
    begun = (config.out / "config.json").exists()
    try:
        domains = open_domains(job.benchmark.build(), size=config.domain_size)
        run = training.prepare(replace(config, resume=begun), domains)
    except ValueError as error:
        return [_say(f"{job.title}: {error}")]
    if missing:
        _take_over(job)
    groups = groups_of(domains, job.benchmark) if unmeasured else {}
    failures = []
    for arm in config.arms:
        if arm in missing:
            began = time.monotonic()
            try:
                rows = run.train_arm(job.seed, arm)
            except training.TrainingError as error:
                failures.append(_say(f"{job.name}: {error}"))
                continue
            errors = ", ".join(f"{row['split']} {row['mpjpe']:.1f} mm" for row in rows)
            _say(f"{job.title} {arm}: {errors} ({time.monotonic() - began:.0f} s)")
        if arm in unmeasured:
            measure(config.out, job.seed, arm, domains, groups)
    return failures


def read_protocol(jobs: Sequence[Job]) -> dict[str, str]:
    """The protocol card of the first run that was begun, without what differs between runs; perhaps empty."""
    for job in jobs:
        path = job.config.out / "protocol.json"
        if path.exists():
            card: dict[str, str] = json.loads(path.read_text())
            return {name: value for name, value in card.items() if name not in ("data", "seeds")}
    return {}


def _say(sentence: str) -> str:
    print(sentence, file=sys.stderr, flush=True)
    return sentence


def _take_over(job: Job) -> None:
    """Copy the donor's lifter to where the run looks for its own: the same recipe makes the same weights."""
    if job.donor is None:
        return
    own, others = (weights_path(out, job.seed, PRETRAINED, "lifter") for out in (job.config.out, job.donor))
    if others.exists() and not own.exists():
        write_atomically(own, others.read_bytes())


def _work_apart(job: Job, threads: int, sender: connection.Connection) -> None:
    """A process of its own that does not outlive the queue's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the queue's process hears it, and ends this one
    parent = parent_process()
    assert parent is not None
    threading.Thread(target=_die_after, args=(parent,), daemon=True).start()
    import torch

    torch.set_num_threads(threads)
    sender.send(perform(job))


def _die_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
