"""Threads sleep while they wait, unless the user says otherwise, and busy cores are said."""

from __future__ import annotations

import os
import subprocess
import sys

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


@pytest.mark.parametrize(("load", "loops"), [(0.3, threads.MOMENT), (1.9, None)])
def test_threads_loop_for_a_moment_only_where_cores_are_free(
    monkeypatch: pytest.MonkeyPatch, load: float, loops: str | None
) -> None:
    for name in threads.ASKED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(threads, "_cores", lambda: 2)
    with monkeypatch.context() as kept:
        kept.setattr(os, "environ", {})
        threads.wait_asleep()
        assert os.environ.get("GOMP_SPINCOUNT") == loops
        assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.mark.parametrize(("load", "cores", "said"), [(0.3, 2, False), (1.9, 2, True), (9.0, 1, False)])
def test_busy_cores_are_said(monkeypatch: pytest.MonkeyPatch, load: float, cores: int, said: bool) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(threads, "_cores", lambda: cores)
    sentence = threads.busy_cores()
    assert (sentence is not None) == said
    assert not said or f"load {load}" in str(sentence)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads.busy_cores() is None
