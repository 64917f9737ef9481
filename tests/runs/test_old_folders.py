"""Run folders of 0.1.0 keep working: read, evaluated, lifted with and resumed under the names they have."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import KillAt, as_0_1_0_left_it, equal, short_run, weights

from poseda import report, training
from poseda.cli import main
from poseda.config import RunConfig
from poseda.datasets import Domains
from poseda.inference import AdaptedLifter
from poseda.runs import RunFolder
from poseda.runs.record import RunRecord

pytestmark = pytest.mark.usefixtures("one_thread")


def view_run(out: Path) -> RunConfig:
    return short_run(out, "source_only", "gpa_lpa_view", steps=10, every=5)


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory, domains: Domains) -> Path:
    """A finished run, as this version leaves it."""
    out = tmp_path_factory.mktemp("today") / "run"
    training.prepare(view_run(out), domains).train()
    report.write_report(out)
    return out


@pytest.fixture
def old(today: Path, tmp_path: Path) -> Path:
    """The same run, as 0.1.0 left it."""
    return as_0_1_0_left_it(Path(shutil.copytree(today, tmp_path / "old")))


def test_an_old_folder_holds_old_names_only(old: Path) -> None:
    assert {path.name for path in (old / "seed0").iterdir()} == {"pretrained", "source_only", "plus"}
    assert (old / "gallery.safetensors").exists() and (old / "seed0/plus/alignment.safetensors").exists()
    for path in (*old.glob("*.json"), *old.glob("*.jsonl")):
        assert "gpa_lpa_view" not in path.read_text(), path.name


def test_an_old_folder_is_read_as_if_written_today(old: Path, today: Path) -> None:
    found, expected = RunRecord.read(old), RunRecord.read(today)
    for name in ("config", "card", "results", "journal", "sample_notes", "gate", "labelfree", "clip_notes"):
        there = getattr(expected, name)
        if name in ("card", "gate"):  # 0.1.0 gathered no evidence
            there = {key: value for key, value in there.items() if key != "evidence"}
        assert getattr(found, name) == there, name
    for name in ("samples", "clips"):
        one, other = getattr(found, name), getattr(expected, name)
        assert one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)
    assert found.alignment == expected.alignment is not None
    assert RunFolder(old).read_config().arms == ("source_only", "gpa_lpa_view")


def test_the_model_that_an_old_verdict_recommends_is_lifted_with(old: Path, today: Path) -> None:
    record = json.loads((old / "gate.json").read_text())
    (old / "gate.json").write_text(json.dumps(record | {"recommended": "plus"}))
    model = AdaptedLifter.load(old)
    assert model.arm == "gpa_lpa_view"
    expected = weights(today, "gpa_lpa_view")
    for name, value in model.lifter.state_dict().items():
        assert torch.equal(value, expected[f"lifter.{name}"])


def test_old_lifters_are_evaluated_under_the_name_of_today(old: Path) -> None:
    assert main(["evaluate", str(old), "--split", "source_val"]) == 0
    rows = RunFolder(old).evaluation.read()["results"]
    assert [row["arm"] for row in rows] == ["source_only", "gpa_lpa_view"]


def test_a_finished_old_run_trains_nothing_again_and_takes_more_arms(
    old: Path, today: Path, domains: Domains
) -> None:
    before = (old / "seed0/plus/lifter.safetensors").stat().st_mtime_ns
    more = dataclasses.replace(view_run(old), resume=True, arms=("gpa",))
    results = training.prepare(more, domains).train()
    assert [row["arm"] for row in results[::2]] == ["source_only", "gpa_lpa_view", "gpa"]
    assert results[:4] == RunFolder(today).results.read() and RunFolder(old).results.read() == results
    assert (old / "seed0/plus/lifter.safetensors").stat().st_mtime_ns == before
    lines = RunFolder(old).journal.read()
    assert {line["arm"] for line in lines} == {"pretrained", "source_only", "gpa_lpa_view", "gpa"}


@pytest.mark.parametrize("phase", ["scout", "generator", "lifter"])
def test_a_killed_old_run_resumes_to_the_same_bits(
    today: Path, tmp_path: Path, domains: Domains, phase: str
) -> None:
    cut = view_run(tmp_path / "cut")
    with pytest.raises(KeyboardInterrupt):
        training.prepare(cut, domains, KillAt(f"gpa_lpa_view · {phase}", 10)).train()
    as_0_1_0_left_it(cut.out)
    assert (cut.out / f"seed0/plus/{phase}.partial").exists()
    results = training.prepare(dataclasses.replace(cut, resume=True), domains).train()
    assert results == RunFolder(today).results.read()
    for name in ("scout", "view_alignment", "generator", "lifter"):
        assert equal(weights(cut.out, "gpa_lpa_view", name), weights(today, "gpa_lpa_view", name)), name
    assert not (cut.out / "seed0/gpa_lpa_view").exists(), "an arm of a seed stands in one folder"

    def steps(out: Path) -> list[tuple[str, str, int]]:
        return [(line["arm"], line["phase"], line["step"]) for line in RunFolder(out).journal.read()]

    assert steps(cut.out) == steps(today)
