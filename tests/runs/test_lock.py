"""One writer for a run folder: a second is refused, and the lock of a dead one is free."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from poseda.cli import main
from poseda.runs.lock import NAME, FolderError, FolderLock

TINY = ["adapt", "--preset", "tiny", "--device", "cpu", "--arms", "source_only"]
SHORT = ["--training.pretrain-steps", "4", "--training.adapt-steps", "4"]

HOLD = """
import sys
from pathlib import Path
from poseda.runs.lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
lock.take()
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process that writes to the folder `run`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "taken\n"
    return process


def test_a_second_run_is_refused_and_a_dead_holder_is_not_missed(
    tmp_path: Path, holder: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    with holder:
        before = (out / NAME).read_bytes()
        for options in ([], ["--resume"]):
            assert main([*TINY, *SHORT, "--out", str(out), *options]) == 2
            sentence = capsys.readouterr().err
            assert f"in use by process {holder.pid} on {platform.node()}" in sentence
            assert sentence.startswith("poseda: --out: ") and sentence.count("\n") == 1
        assert [path.name for path in out.iterdir()] == [NAME] and (out / NAME).read_bytes() == before
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert main([*TINY, *SHORT, "--out", str(out)]) == 0
    assert main([*TINY, *SHORT, "--out", str(out), "--resume"]) == 0


def test_the_lock_is_held_until_the_last_block_of_its_owner_ends(tmp_path: Path) -> None:
    lock, other = FolderLock(tmp_path), FolderLock(tmp_path)
    with lock:
        with lock:
            pass
        with pytest.raises(FolderError, match=f"in use by process {os.getpid()} on "):
            other.take()
    with other, pytest.raises(FolderError, match="in use by process"):
        lock.take()
    lock.take()
    del lock  # as when the owner is forgotten
    other.take()


@pytest.mark.parametrize("record", [b"", b"{", b"[]", b'{"pid": 1}', b"\xff\xfe"])
def test_a_holder_that_did_not_sign_yet_is_another_process(tmp_path: Path, record: bytes) -> None:
    lock = FolderLock(tmp_path)
    with lock:
        (tmp_path / NAME).write_bytes(record)
        with pytest.raises(FolderError, match=r"in use by another process$"):
            FolderLock(tmp_path).take()


def test_a_file_system_without_locks_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert main([*TINY, *SHORT, "--out", str(tmp_path / "run")]) == 2
    assert os.strerror(errno.ENOLCK) in capsys.readouterr().err
    assert not (tmp_path / "run" / "config.json").exists()
