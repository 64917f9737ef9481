"""`poseda doctor` shows what is installed, and ends with 1 if something is broken."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from poseda.cli import doctor, main

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]

pytestmark = pytest.mark.usefixtures("one_thread")


def test_all_is_well_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert shown.endswith("all is well\n") and "op           ok: agrees with its reference" in shown
    assert "lifter       ok: the package's own lifts 8 postures, mean error" in shown
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["broken"] == [] and found["tests"].keys() == doctor.TESTS.keys()
    assert found["packages"]["torch"] and "GiB free of" in found["system"]["memory"]


def test_what_is_broken_is_named_and_the_rest_is_tested(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise OSError("libtorch.so: not found")

    monkeypatch.setitem(doctor.TESTS, "library", fail)
    monkeypatch.setattr(doctor, "AGREE", 0.0)
    monkeypatch.setattr(doctor, "FAR_OFF", 0.0)
    monkeypatch.setattr(doctor, "NEEDED", ("torch", "nosuchpackage"))
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "library      BROKEN: OSError: libtorch.so: not found" in shown
    assert "BROKEN: ArithmeticError: expected agreement" in shown and "devices      ok" in shown
    assert "BROKEN: ArithmeticError: expected a mean error below 0 m" in shown
    assert shown.endswith("broken: library, op, lifter, nosuchpackage\n")


def test_a_missing_extra_is_no_fault_and_comes_with_its_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "EXTRAS", {"c3d": ("nosuchpackage",)})
    assert main(["doctor"]) == 0
    assert "pip install 'poseda[c3d]' brings nosuchpackage" in capsys.readouterr().out


def test_packages_and_extras_are_those_of_the_project() -> None:
    needed = " ".join(PROJECT["dependencies"])
    assert all(package in needed for package in doctor.NEEDED)
    for_users = PROJECT["optional-dependencies"].keys() - {"test", "docs", "build", "lint"}
    assert doctor.EXTRAS.keys() == for_users
    for extra, packages in doctor.EXTRAS.items():
        brought = " ".join(PROJECT["optional-dependencies"][extra])
        assert all(package in brought for package in packages), extra
