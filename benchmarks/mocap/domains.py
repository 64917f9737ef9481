"""Where the domains of a queue lie, and what they were built from."""

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
from poseda.runs.atomic import write_atomically, write_json

SOURCES = "sources.json"
"""The file of a queue's folder that holds the hashes of the motion files."""


@dataclass(frozen=True)
class Benchmark:
    """One split of one pair of domains.

    Args:
        mocap: folder of motion files.
        folder: where built domains are kept.
        pair: which benchmark.
        split: seed of its construction.
        sequences: whole clips in order, for lifters that see several frames, instead of frames by themselves.
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
            ValueError: if it sees several, and the benchmark holds frames by themselves.
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
        """The domain npz, there or not."""
        return self.folder / f"{self.name}.npz"

    def build(self) -> Path:
        """Build the domain npz unless it is there.

        Raises:
            DataError: if a motion file is missing or not as expected.
        """
        if not self.path.exists():
            content = io.BytesIO()
            table: dict[str, Any] = build_benchmark(self.mocap, self.pair, self.split, self.sequences)
            np.savez_compressed(content, **table)
            write_atomically(self.path, content.getvalue())
        return self.path


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
    """Hash the motion files and check that what lies in ``out`` was begun with the same ones.

    Raises:
        DataError: if not.
    """
    hashes, begun = hash_sources(mocap), recorded_sources(out)
    for name, found in hashes.items():
        if begun.get(name, found) != found:
            raise DataError(f"--mocap: expected the {name} that {out} was begun with, got another one")
    return hashes


def record_sources(hashes: dict[str, str], out: Path) -> None:
    """Write down which motion files ``out`` is begun with."""
    write_json(out / SOURCES, hashes)


def recorded_sources(out: Path) -> dict[str, str]:
    """What :func:`record_sources` wrote; empty where it did not."""
    path = out / SOURCES
    return json.loads(path.read_text()) if path.exists() else {}
