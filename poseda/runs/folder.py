"""The run folder: the names of its files, and how a run begins in it or continues."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from torch import nn

from poseda import lifters
from poseda.config import WIDE_ARMS, RunConfig, arm_name, check_resumable, from_json, to_json
from poseda.config.commands import RUN_FILE
from poseda.config.near import guess
from poseda.datasets import Domains, OwnDomains
from poseda.datasets.account import accounts_as_json
from poseda.geometry.skeleton import Skeleton
from poseda.lifters.sizes import build_for_arm
from poseda.runs.atomic import JsonFile, is_leftover
from poseda.runs.card import protocol_card
from poseda.runs.checkpoint import Checkpoint, CheckpointError, unpack_module
from poseda.runs.journal import Journal
from poseda.runs.lock import NAME as LOCK
from poseda.runs.lock import FolderError, FolderLock
from poseda.runs.origin import describe_data, versions
from poseda.runs.renamed import path_in
from poseda.runs.results import Results
from poseda.runs.verdict import Verdict, VerdictFile

PARTIAL = ".partial"
"""Ending of the checkpoint of an unfinished phase."""


class RunFolder:
    """What a run leaves behind, by name. Folders of 0.1.0 are read, and continued, under the names they have.

    Args:
        path: of the folder; made by :meth:`open`.
        writes: false in all but one of several processes of a run; writing and locking then have no effect.

    Attributes:
        finished: whether :meth:`open` found all that is asked for computed, so that nothing is left to do.
    """

    def __init__(self, path: Path | str, writes: bool = True) -> None:
        self.path, self.writes, self.finished = Path(path), writes, False
        self._lock = FolderLock(self.path, writes)

    # ------------------------------------------------------------------------------------ what it holds

    @property
    def begun(self) -> bool:
        """Whether the folder holds a run."""
        return self._config.exists()

    def read_record(self) -> dict[str, Any]:
        """The record of the run: ``config``, ``versions``, ``earlier_versions``, ``seeds`` and ``data``.

        Raises:
            FolderError: if the file is not there or damaged.
        """
        try:
            record: dict[str, Any] = self._config.read()
            from_json(record["config"])
            record["config"]["arms"] = list(map(arm_name, record["config"]["arms"]))
            for entry in ("name", "skeleton", "sha256"):
                record["data"][entry]
            record["versions"]["poseda"]
            return record
        except (OSError, KeyError, TypeError, ValueError) as error:
            path, reason = self._config.path, getattr(error, "strerror", None) or error.__cause__ or error
            raise FolderError(
                f"{path}: expected the {path.name} of a run, found none that can be read ({reason})"
            ) from error

    def read_config(self) -> RunConfig:
        """The configuration of the run.

        Raises:
            FolderError: if the file is not there or damaged.
        """
        return from_json(self.read_record()["config"])

    @property
    def card(self) -> JsonFile:
        """The protocol card."""
        return self._json("protocol.json")

    @property
    def account(self) -> JsonFile:
        """What was read of the user's footage; absent on domain files and on embedded domains."""
        return self._json("account.json")

    @property
    def results(self) -> Results:
        """Scores of each arm, seed and split."""
        return Results(self._json("results.json"), self.read_config)

    @property
    def journal(self) -> Journal:
        """What was logged in training."""
        return Journal(self.path / "metrics.jsonl", self.writes)

    @property
    def verdict(self) -> VerdictFile:
        """What the gate found, and the model that it recommends."""
        return VerdictFile(self._json("gate.json"))

    @property
    def labelfree(self) -> JsonFile:
        """Numbers of each model on the target's own 2D."""
        return self._json("labelfree.json")

    @property
    def evaluation(self) -> JsonFile:
        """Scores of a later evaluation."""
        return self._json("evaluation.json")

    @property
    def samples(self) -> Checkpoint:
        """Poses at each step of the method."""
        return self._tensors(path_in(self.path, "samples.safetensors"))

    @property
    def clips(self) -> Checkpoint:
        """Predictions of each model on clips of the target, to view."""
        return self._tensors(self.path / "clips.safetensors")

    @property
    def report_path(self) -> Path:
        """The page that shows the run."""
        return self.path / "report.html"

    @property
    def summary_path(self) -> Path:
        """The report in Markdown."""
        return self.path / "report.md"

    def arm_path(self, seed: int, arm: str) -> Path:
        """The folder of one arm and seed."""
        return path_in(self.path / f"seed{seed}", arm)

    def weights(self, seed: int, arm: str, phase: str) -> Checkpoint:
        """The result of a phase of an arm and seed: ``lifter``, ``generator``, ``view_alignment``."""
        return self._tensors(path_in(self.arm_path(seed, arm), f"{phase}.safetensors"))

    def partial(self, seed: int, arm: str, phase: str) -> Checkpoint:
        """The checkpoint of a phase that is not finished."""
        return self._tensors(self.arm_path(seed, arm) / f"{phase}{PARTIAL}")

    def partials(self) -> list[Checkpoint]:
        """All phases that are unfinished."""
        return [self._tensors(path) for path in sorted(self.path.rglob(f"*{PARTIAL}"))]

    def lifter(
        self, seed: int, arm: str, config: RunConfig, skeleton: Skeleton, given: nn.Module | None = None
    ) -> nn.Module:
        """The lifter that an arm ended with.

        Args:
            seed, arm: of the lifter.
            config: of the run.
            skeleton: of its poses.
            given: the module that was adapted, if it was given in place of a name; it is copied.

        Raises:
            ValueError: if its file is not there or damaged, or the run adapted a module that is not given.
        """
        if given is None and arm not in WIDE_ARMS and config.lifter not in lifters.names():
            raise ValueError(
                f"lifter: expected one of {', '.join(lifters.names())}, or the module that a program gave "
                f"the run, got {config.lifter!r}{guess(config.lifter, lifters.names())}"
            )
        lifter, file = build_for_arm(arm, config, skeleton, given), self.weights(seed, arm, "lifter")
        weights, _ = file.load()
        try:
            unpack_module("lifter", lifter, weights)
        except CheckpointError as error:
            remedy = "if another version of poseda made the run, train again"
            raise CheckpointError(f"{file.path}: {error}; {remedy}") from error
        return lifter

    @property
    def _config(self) -> JsonFile:
        return self._json(RUN_FILE)

    def _json(self, name: str) -> JsonFile:
        return JsonFile(self.path / name, self.writes)

    def _tensors(self, path: Path) -> Checkpoint:
        return Checkpoint(path, self.writes)

    # ------------------------------------------------------------------------------- how a run begins

    def locked(self) -> FolderLock:
        """The right to write, for a ``with`` block; it is held until the last block of this folder ends.

        Entering the block raises :class:`FolderError` if another run has it.
        """
        return self._lock

    def claim(self) -> None:
        """Take the lock, if the folder was ever a run's; nothing is written to others.

        Raises:
            FolderError: if another run has it.
        """
        try:
            if (self.path / LOCK).exists():
                self._lock.take()
        except OSError as error:
            raise self._unusable(error) from error

    def release(self) -> None:
        """Release the lock; without effect where it is not held."""
        self._lock.release()

    def check(self, config: RunConfig, device: str) -> None:
        """Refuse a folder in which a run can neither begin nor continue; nothing is written to others.

        For before its data are looked at, which may take long; :meth:`open` checks again.

        Args:
            config: of the run.
            device: kind of its device, such as ``cpu``.

        Raises:
            FolderError: if the folder is in use, holds what it should not, or cannot be written.
        """
        self.claim()
        self.release()
        self._examine(config)
        try:
            there = next(place for place in (self.path, *self.path.absolute().parents) if place.exists())
        except OSError as error:
            raise self._unusable(error) from error
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            reason = f"{there} is {'not writable' if there.is_dir() else 'a file'}"
            raise FolderError(f"--out: expected a folder that can be written, got {self.path} ({reason})")
        if config.resume:
            self.check_partials(device)

    def open(
        self, config: RunConfig, domains: Domains, splits: Sequence[str], verdict: Verdict | None = None
    ) -> RunConfig:
        """Begin a run here or, with ``config.resume``, continue the one that is there. Write its record.

        The lock is held afterwards.

        Args:
            config: resolved.
            domains: to be named in the record.
            splits: with labels.
            verdict: of the gate, or None where it was not asked.

        Returns:
            the configuration, with the arms and seeds of the resumed run before the new ones.

        Raises:
            FolderError: if the folder is in use by another run, or there is none to resume.
        """
        data = describe_data(domains)
        self._examine(config, data)  # before the lock: a refused folder stays as it is
        try:
            self._lock.take()
            config, earlier = self._examine(config, data)  # another run may have come between
            self._remove_leftovers()
            record = {"config": to_json(config), "versions": versions(), "earlier_versions": earlier}
            self.finished = config.resume and self._complete(config, splits, verdict)
            self._config.write(record | {"seeds": list(config.seeds), "data": data})
            if isinstance(domains, OwnDomains) and domains.accounts:
                self.account.write(accounts_as_json(domains.accounts))
            if not self.finished:  # card and verdict of a finished run hold its evidence
                self.card.write(protocol_card(config, domains, splits))
                self.verdict.write(verdict, config.arms)
        except OSError as error:
            raise self._unusable(error) from error
        return config

    def check_partials(self, device: str) -> None:
        """Check that unfinished phases were begun on this kind of device: random numbers exist there only.

        Raises:
            FolderError: if not.
        """
        for unfinished in self.partials():
            begun = unfinished.load()[1].get("device", device)
            if begun != device:
                name = unfinished.path.relative_to(self.path)
                raise FolderError(
                    f"--device: the run to resume has {name} unfinished on {begun}, got {device}"
                )

    def _examine(
        self, config: RunConfig, data: dict[str, str] | None = None
    ) -> tuple[RunConfig, list[dict[str, str]]]:
        """The configuration to run, and the versions a resumed run was computed with before.

        Data that are not given are not compared with those of the resumed run.

        Raises:
            FolderError: if the folder holds what it should not, or no run to resume.
        """
        if not config.resume:
            if self._occupied():
                remedy = "--resume continues it" if self._resumable() else "name another folder"
                raise FolderError(
                    f"--out: expected a new or empty folder, got {self.path} with files in it; {remedy}"
                )
            return config, []
        try:
            begun = self.begun
        except OSError as error:
            raise self._unusable(error) from error
        if not begun:
            others = self._occupied()
            remedy = "name the folder of a run" if others else "without --resume a run begins there"
            raise FolderError(
                f"--resume: expected a run to continue in --out, got {self.path} without {RUN_FILE}; {remedy}"
            )
        saved = self.read_record()
        self.results.read()  # a damaged file is refused before training
        earlier = saved.get("earlier_versions", [])
        if saved["versions"] not in (versions(), *earlier):
            earlier = [*earlier, saved["versions"]]
        return _resumed(config, saved, data), earlier

    def _complete(self, config: RunConfig, splits: Sequence[str], verdict: Verdict | None) -> bool:
        """Whether all that a run computes is there, by the versions that are installed.

        The evidence comes last: :meth:`open` removes it, with the verdict, where something is left to do.
        """
        units = list(product(config.seeds, config.arms))
        judged, numbers = self.verdict.read(), self.labelfree
        there = {(row["seed"], row["arm"], row["split"]) for row in self.results.read()}
        return (
            self.read_record()["versions"] == versions()
            and not self.partials()
            and there >= {(*unit, split) for unit in units for split in splits}
            and all(self.weights(seed, arm, "lifter").exists() for seed, arm in units)
            and all(file.exists() for file in (self.card, self.samples, self.clips, numbers))
            and set(numbers.read()["models"]) >= set(config.arms)
            and (judged is None if verdict is None else judged is not None and "evidence" in judged)
        )

    def _resumable(self) -> bool:
        """Whether the folder holds a run with a record that can be read."""
        try:
            self.read_record()
        except FolderError:
            return False
        return True

    def _occupied(self) -> bool:
        """Whether the folder holds anything but what a run leaves that was killed during its first write."""
        try:
            if self.path.exists() and not self.path.is_dir():
                raise FolderError(f"--out: expected a folder, got the file {self.path}")
            return self.path.exists() and any(
                not is_leftover(path) and path.name != LOCK for path in self.path.iterdir()
            )
        except OSError as error:
            raise self._unusable(error) from error

    def _remove_leftovers(self) -> None:
        """Remove what killed writes left behind; only the holder of the lock may."""
        for path in filter(is_leftover, list(self.path.rglob("*"))):
            path.unlink()

    def _unusable(self, error: OSError) -> FolderError:
        reason = error.strerror or error
        return FolderError(f"--out: expected a folder that can be written, got {self.path} ({reason})")


def _resumed(config: RunConfig, saved: dict[str, Any], data: dict[str, str] | None) -> RunConfig:
    """The configuration with the arms and seeds of the run to resume before its own."""
    try:
        check_resumable(config, saved["config"])
    except ValueError as error:
        raise FolderError(str(error)) from error
    if data is not None and saved["data"]["sha256"] != data["sha256"]:
        raise FolderError(
            f"--data: expected the data of the run to resume ({saved['data']['name']}), got other content"
        )
    before = from_json(saved["config"])
    return replace(
        config,
        arms=tuple(dict.fromkeys(before.arms + config.arms)),
        seeds=tuple(dict.fromkeys(before.seeds + config.seeds)),
    )
