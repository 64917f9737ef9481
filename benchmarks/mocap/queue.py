"""Performs jobs, one by one or side by side. A queue that was killed continues where it stopped.

A job is one seed of one run folder. Only that folder tells which arms are finished, so no other state can
disagree with it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from benchmarks.mocap.breakdown import breakdown_file, groups_of, measure
from benchmarks.mocap.domains import Benchmark
from poseda import training
from poseda.config import Arm, RunConfig, check_resumable
from poseda.datasets import Domains, open_domains
from poseda.runs import FolderError, RunFolder
from poseda.runs.atomic import write_atomically
from poseda.runs.lock import FolderLock
from poseda.runs.verdict import PRETRAINED


class QueueError(ValueError):
    """A queue that cannot be performed; the message is one sentence."""


@dataclass(frozen=True)
class Job(ABC):
    """One seed of one run folder.

    Args:
        name: what the run folder is called, as p1_split0.
        config: of the run folder, with the one seed.
    """

    name: str
    config: RunConfig

    @property
    def seed(self) -> int:
        return self.config.seeds[0]

    @property
    def title(self) -> str:
        return f"{self.name} seed {self.seed}"

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.config.out)

    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return not self.missing()

    @abstractmethod
    def missing(self) -> list[Arm]:
        """The arms that have no results yet."""

    @abstractmethod
    def perform(self) -> list[str]:
        """Train the missing arms; return a sentence for each that failed."""

    def open_run(self, data: Path | None) -> tuple[Domains, training.Run]:
        """Open the job's run folder, or go on in it.

        Raises:
            ValueError: if the data or the folder cannot be used.
        """
        domains = open_domains(data, size=self.config.domain_size)
        return domains, training.prepare(replace(self.config, resume=self.folder.begun), domains)

    def protocol(self) -> dict[str, str]:
        """How what was measured so far was measured, without what differs between runs; perhaps empty."""
        return {}


@dataclass(frozen=True)
class ArmsJob(Job):
    """All arms of one seed on a benchmark, as `poseda adapt` would train and evaluate them.

    Args:
        benchmark: its domains.
        breakdown: also measure errors by groups of test frames.
        variant: name of the variant of the recipe that it is, if it is one.
        donor: run folder whose lifters, trained on source by the same recipe, serve here as well.
    """

    benchmark: Benchmark
    breakdown: bool = False
    variant: str = ""
    donor: Path | None = None

    def finished(self) -> bool:
        """Whether every arm has its results and its breakdown."""
        return not (self.missing() or self.unmeasured())

    def missing(self) -> list[Arm]:
        """The arms that have no results yet."""
        done = {row["arm"] for row in self.results()}
        return [arm for arm in self.config.arms if arm not in done]

    def results(self) -> list[dict[str, Any]]:
        """The rows of its arms and seed in results.json so far."""
        return [
            row
            for row in self.folder.results.read()
            if row["seed"] == self.seed and row["arm"] in self.config.arms
        ]

    def unmeasured(self) -> list[Arm]:
        """The arms, finished or not, whose breakdown is asked for and not there."""
        return [
            arm
            for arm in self.config.arms
            if self.breakdown and not breakdown_file(self.folder, self.seed, arm).exists()
        ]

    def perform(self) -> list[str]:
        """Train and measure the missing arms; return a sentence for each that failed."""
        config, missing, unmeasured = self.config, self.missing(), self.unmeasured()
        try:
            domains, run = self.open_run(self.benchmark.build())
        except ValueError as error:
            return [say(f"{self.title}: {error}")]
        if missing:
            self._take_over()
        groups = groups_of(domains, self.benchmark) if unmeasured else {}
        failures = []
        for arm in config.arms:
            if arm in missing:
                began = time.monotonic()
                try:
                    rows = run.train_arm(self.seed, arm)
                except training.TrainingError as error:
                    failures.append(say(f"{self.name}: {error}"))
                    continue
                errors = ", ".join(f"{row['split']} {row['mpjpe']:.1f} mm" for row in rows)
                say(f"{self.title} {arm}: {errors} ({time.monotonic() - began:.0f} s)")
            if arm in unmeasured:
                measure(self.folder, self.seed, arm, domains, groups)
        return failures

    def protocol(self) -> dict[str, str]:
        """The protocol card of the run, if it was begun."""
        card: dict[str, str] = self.folder.card.read() if self.folder.card.exists() else {}
        return {name: value for name, value in card.items() if name not in ("data", "seeds")}

    def _take_over(self) -> None:
        """Copy the donor's lifter to where the run looks for one: the same recipe makes the same weights."""
        if self.donor is None:
            return
        own, others = (
            folder.weights(self.seed, PRETRAINED, "lifter") for folder in (self.folder, RunFolder(self.donor))
        )
        if others.exists() and not own.exists():
            write_atomically(own.path, others.path.read_bytes())


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
        if job.folder.begun:
            try:
                check_resumable(job.config, job.folder.read_record()["config"])
            except ValueError as error:
                raise QueueError(f"{job.config.out}: {error}") from error


def perform_all(jobs: Sequence[Job], processes: int) -> list[str]:
    """Train the missing arms, in order; report each finished arm on stderr.

    Args:
        jobs: jobs of one folder are never worked on at the same time.
        processes: side by side; each gets its share of the cores.

    Returns:
        a sentence for each arm that failed; the others are not held up by it.
    """
    waiting = [job for job in jobs if not job.finished()]
    if processes == 1:
        return [failure for job in waiting for failure in job.perform()]
    failures: list[str] = []
    with Workers(processes) as workers:
        while waiting or workers.running:
            free = next((job for job in waiting if job.config.out not in workers.folders), None)
            if free is not None and len(workers.running) < processes:
                waiting.remove(free)
                workers.start(free)
            else:
                failures += workers.wait()
    return failures


class Workers:
    """Processes that perform a job each.

    Args:
        most: how many there may be; each gets its share of the cores.
    """

    def __init__(self, most: int) -> None:
        self.running: dict[int, tuple[BaseProcess, connection.Connection, Job]] = {}
        self._threads = max(1, (os.cpu_count() or 1) // most)
        self._context = get_context("spawn")

    @property
    def folders(self) -> set[Path]:
        """Run folders that are being worked on."""
        return {job.config.out for _, _, job in self.running.values()}

    def start(self, job: Job) -> None:
        """Start a process for a job."""
        receiver, sender = self._context.Pipe(duplex=False)
        started = self._context.Process(target=_work_apart, args=(job, self._threads, sender))
        started.start()
        sender.close()
        self.running[started.sentinel] = started, receiver, job

    def wait(self) -> list[str]:
        """Wait until a process ends; return a sentence for each arm that failed there."""
        failures: list[str] = []
        for sentinel in connection.wait(list(self.running)):
            assert isinstance(sentinel, int)
            process, receiver, job = self.running.pop(sentinel)
            process.join()
            try:
                failures += receiver.recv()
            except EOFError:
                failures.append(f"{job.title}: the process ended with code {process.exitcode}")
        return failures

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        for process, _, _ in self.running.values():
            process.kill()
            process.join()


def read_protocol(jobs: Sequence[Job]) -> dict[str, str]:
    """The protocol of the first job that was begun; perhaps empty."""
    return next((card for job in jobs if (card := job.protocol())), {})


def recorded_data(jobs: Sequence[Job]) -> dict[str, str]:
    """SHA-256 of each job's data, as the runs recorded it."""
    return {job.name: job.folder.read_record()["data"]["sha256"] for job in jobs if job.folder.begun}


def say(sentence: str) -> str:
    """Print a sentence on stderr, and return it."""
    print(sentence, file=sys.stderr, flush=True)
    return sentence


def _work_apart(job: Job, threads: int, sender: connection.Connection) -> None:
    """A process of its own that does not outlive the queue's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the queue's process hears it, and ends this one
    parent = parent_process()
    assert parent is not None
    threading.Thread(target=_die_after, args=(parent,), daemon=True).start()
    import torch

    torch.set_num_threads(threads)
    sender.send(job.perform())


def _die_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
