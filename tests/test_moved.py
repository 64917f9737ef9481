"""Modules under their names of 0.1.0: the same module, with a warning that names the new place."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from poseda._moved import MOVED


@pytest.mark.parametrize("old", MOVED)
@pytest.mark.filterwarnings("ignore:poseda.* has moved:DeprecationWarning")
def test_an_old_name_is_the_module_itself(old: str) -> None:
    module = importlib.import_module(f"poseda.{MOVED[old]}")
    assert importlib.import_module(f"poseda.{old}") is module
    assert module.__name__ == module.__spec__.name == f"poseda.{MOVED[old]}"  # type: ignore[union-attr]


def test_an_old_name_warns_once_and_works_as_an_attribute() -> None:
    program = """
import warnings
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    import poseda
    from poseda.gpa import TargetPlacements
    assert poseda.skeleton.H36M16.num_joints == 16 and TargetPlacements is poseda.TargetPlacements
print(*(warning.message for warning in seen if "has moved" in str(warning.message)), sep="\\n")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "poseda.gpa has moved to poseda.geometry.placements; the old name goes with version 0.3",
        "poseda.skeleton has moved to poseda.geometry.skeleton; the old name goes with version 0.3",
    ]
