"""A full disk ends a run in one sentence; saved files are whole, and the run resumes once there is room."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import torch

from poseda.cli import main
from poseda.runs.atomic import is_leftover
from poseda.runs.checkpoint import load_checkpoint

RUN = ["adapt", "--preset", "tiny", "--device", "cpu", "--arms", "gpa_lpa", "--log-every", "5"]
RUN += ["--training.pretrain-steps", "20", "--training.adapt-steps", "20", "--generator-training.steps", "20"]
RUN += ["--save-every", "5"]

Shortage = Callable[[], AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def mount(*options: str) -> bool:
    return subprocess.run(["mount", "-t", "tmpfs", *options], capture_output=True).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, Shortage]]:
    """A disk with room for a few checkpoints, to be made larger."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or not mount("-o", "size=300k", "none", str(disk)):
        pytest.skip("mounting a small disk needs root")

    @contextmanager
    def shortage() -> Iterator[None]:
        yield
        assert mount("-o", "remount,size=64m", "none", str(disk))

    yield disk / "run", shortage
    subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def small_files(tmp_path: Path) -> tuple[Path, Shortage]:
    """Files may not grow beyond a generator's checkpoint: the same for those who may not mount."""

    @contextmanager
    def shortage() -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return tmp_path / "run", shortage


@pytest.mark.parametrize(
    ("place", "reason"), [("small_disk", errno.ENOSPC), ("small_files", errno.EFBIG)], ids=["disk", "files"]
)
def test_no_room_is_one_sentence_and_the_run_continues(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capfd: pytest.CaptureFixture[str],
    place: str,
    reason: int,
) -> None:
    out, shortage = request.getfixturevalue(place)
    with shortage():
        code = main([*RUN, "--out", str(out)])
    said = capfd.readouterr().err
    assert code == 1 and said.count("\n") == 1
    assert said.startswith(f"poseda: {out}: ") and os.strerror(reason) in said and "--resume" in said
    saved = [*out.rglob("*.safetensors"), *out.rglob("*.partial")]
    assert saved and all(load_checkpoint(path)[0] for path in saved)
    assert not any(map(is_leftover, out.rglob("*"))), "what could not be finished takes no room"
    assert main([*RUN, "--out", str(out), "--resume"]) == 0
    assert main([*RUN, "--out", str(tmp_path / "whole")]) == 0
    results = [json.loads((folder / "results.json").read_text()) for folder in (out, tmp_path / "whole")]
    assert results[0] == results[1]
