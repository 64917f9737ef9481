"""Domain files of a queue: where they are, and from which motion files they were built."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.mocap.config import Pair, ReproduceBenchmarkConfig
from benchmarks.mocap.motion import FILES, build_benchmark
from poseda.datasets import DataError
from poseda.datasets.domain_file import DomainFile
from poseda.runs.atomic import write_atomically, write_json

SOURCES = "sources.json"
"""The file with the hashes of the motion files, in a queue's folder."""


@dataclass(frozen=True)
class Benchmark:
    """One pair of domains, split by one seed.

    Args:
        mocap: folder of motion files.
        folder: of the built domain files.
        pair: the benchmark.
        split: seed of its construction.
        sequences: whether it holds whole clips in order, for lifters of several frames, or single frames.
    """

    mocap: Path
    folder: Path
    pair: Pair
    split: int
    sequences: bool = False

    @classmethod
    def of(
        cls, options: ReproduceBenchmarkConfig, pair: Pair, split: int, frames: int, sequences: bool = False
    ) -> Benchmark:
        """The benchmark that runs of a queue share.

        Args:
            options: of the queue.
            pair, split, sequences: see :class:`Benchmark`.
            frames: that the lifter sees at once.

        Raises:
            ValueError: if it sees several, and the benchmark holds single frames.
        """
        if frames > 1 and not sequences:
            raise ValueError(
                f"--frames: expected 1, as this queue's benchmarks hold frames by themselves "
                f"(`python -m benchmarks.mocap lifters` has clips), got {frames}"
            )
        return cls(options.mocap, options.out / "domains", pair, split, sequences)

    @property
    def name(self) -> str:
        return f"{self.pair}{'_sequences' if self.sequences else ''}_split{self.split}"

    @property
    def path(self) -> Path:
        """The domain npz, which may not exist yet."""
        return self.folder / f"{self.name}.npz"

    def build(self) -> Path:
        """Build the domain npz unless it exists.

        Raises:
            DataError: if a motion file is missing or damaged.
        """
        if not self.path.exists():
            content = io.BytesIO()
            table: dict[str, Any] = build_benchmark(self.mocap, self.pair, self.split, self.sequences)
            np.savez_compressed(content, **table)
            write_atomically(self.path, content.getvalue())
        return self.path


def finished_runs(folder: Path) -> list[tuple[Path, DomainFile]]:
    """The run folders of a queue, each with its domains.

    Raises:
        DataError: if there are none, or the domains of one are missing.
    """
    runs = sorted(path for path in (folder / "runs").glob("*") if path.is_dir())
    if not runs:
        raise DataError(f"--mocap: expected a folder of `python -m benchmarks.mocap arms`, got {folder}")
    return [(run, DomainFile(folder / "domains" / f"{run.name}.npz")) for run in runs]


def hash_sources(mocap: Path) -> dict[str, str]:
    """SHA-256 of each motion file, hexadecimal.

    Raises:
        DataError: if one is missing.
    """
    hashes = {}
    for name in FILES:
        try:
            with (mocap / name).open("rb") as file:
                hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"--mocap: expected the file {mocap / name} ({error.strerror})") from error
    return hashes


def check_sources(mocap: Path, out: Path) -> dict[str, str]:
    """Hash the motion files, and check that the queue in ``out`` was begun with the same ones.

    Raises:
        DataError: if not.
    """
    hashes, begun = hash_sources(mocap), recorded_sources(out)
    for name, found in hashes.items():
        if begun.get(name, found) != found:
            raise DataError(f"--mocap: expected the {name} that {out} was begun with, got another file")
    return hashes


def record_sources(hashes: dict[str, str], out: Path) -> None:
    """Record the motion files with which the queue in ``out`` is begun."""
    write_json(out / SOURCES, hashes)


def recorded_sources(out: Path) -> dict[str, str]:
    """The hashes that :func:`record_sources` wrote, or none."""
    path = out / SOURCES
    return json.loads(path.read_text()) if path.exists() else {}
