"""Threads sleep while they wait, unless the user says otherwise, and busy cores are said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from poseda.cli import threads

SHOW = "import os; from poseda.cli import main; main({!r}); print(os.environ.get('OMP_WAIT_POLICY'))"


@pytest.mark.parametrize(
    ("command", "given", "policy"),
    [
        (["info"], {}, "PASSIVE"),
        (["info"], {"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"),
        (["info"], {"GOMP_SPINCOUNT": "1000"}, "None"),
        (["bench", "--help"], {}, "None"),
    ],
)
def test_the_policy_is_set_before_torch_starts_and_the_users_counts(
    command: list[str], given: dict[str, str], policy: str
) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in threads.ASKED} | given
    shown = subprocess.run(
        [sys.executable, "-c", SHOW.format(command)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.splitlines()[-1] == policy


@pytest.mark.parametrize(("taken", "loops"), [(0.15, threads.MOMENT), (0.95, None)])
def test_threads_loop_for_a_moment_only_where_cores_are_free(
    monkeypatch: pytest.MonkeyPatch, taken: float, loops: str | None
) -> None:
    for name in threads.ASKED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(threads, "_taken", lambda: taken)
    with monkeypatch.context() as kept:
        kept.setattr(os, "environ", {})
        threads.wait_asleep()
        assert os.environ.get("GOMP_SPINCOUNT") == loops
        assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.mark.parametrize(("taken", "cores", "said"), [(0.15, 2, False), (0.95, 2, True), (0.95, 1, False)])
def test_busy_cores_are_said(monkeypatch: pytest.MonkeyPatch, taken: float, cores: int, said: bool) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "_taken", lambda: taken)
    monkeypatch.setattr(threads, "_cores", lambda: cores)
    sentence = threads.busy_cores()
    assert (sentence is not None) == said
    assert not said or "95 % of the 2 cores" in str(sentence)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads.busy_cores() is None


def test_programs_that_have_ended_do_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    counts = tmp_path / "stat"
    monkeypatch.setattr(threads, "COUNTS", counts)
    monkeypatch.setattr(os, "getloadavg", lambda: (9.0, 9.0, 9.0))
    work = iter(["cpu  900 0 0 100 0 0 0 0\n", "cpu  905 0 0 110 5 0 0 0\n"])

    def look(seconds: float) -> None:
        counts.write_text(next(work))

    counts.write_text(next(work))
    monkeypatch.setattr(threads.time, "sleep", look)
    assert threads._taken.__wrapped__() == 5 / 20


def test_where_the_system_does_not_say_the_load_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(threads, "COUNTS", tmp_path / "none")
    monkeypatch.setattr(threads, "GLANCE", 0.0)
    monkeypatch.setattr(os, "getloadavg", lambda: (1.5, 0.0, 0.0))
    monkeypatch.setattr(threads, "_cores", lambda: 2)
    assert threads._taken.__wrapped__() == 0.75
