"""The run folder: one place that knows its files, and what each of them promises."""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import short_run

import poseda
from poseda import training
from poseda.config import to_json
from poseda.datasets import Domains
from poseda.runs import FolderError, RunFolder
from poseda.runs.verdict import Margin, Verdict

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def begun(tmp_path: Path, domains: Domains) -> RunFolder:
    """A folder in which a run of two seeds and two arms was begun."""
    config = short_run(tmp_path / "r", "source_only", "gpa", seeds=(3, 1))
    folder = RunFolder(config.out)
    folder.open(config, domains, ("source_val",))
    folder.release()
    return folder


def row(seed: int, arm: str, **scores: Any) -> dict[str, Any]:
    return {"arm": arm, "seed": seed, "split": "source_val", **scores}


# ------------------------------------------------------------------------------------------------ files


def test_rows_stand_in_the_order_of_the_run_and_new_ones_replace_old_ones(begun: RunFolder) -> None:
    assert begun.results.read() == []
    for new in (row(1, "gpa"), row(3, "gpa", mpjpe=1.0), row(1, "source_only"), row(3, "gpa", mpjpe=2.0)):
        begun.results.append([new])
    begun.results.append([row(9, "gpa")])  # of no seed of the run
    assert [(found["seed"], found["arm"]) for found in begun.results.read()] == [
        (9, "gpa"),
        (3, "gpa"),
        (1, "source_only"),
        (1, "gpa"),
    ]
    assert begun.results.read()[1]["mpjpe"] == 2.0


def test_checkpoints_go_by_seed_arm_and_phase_and_the_unfinished_are_found(begun: RunFolder) -> None:
    finished, partial = begun.weights(3, "gpa", "lifter"), begun.partial(3, "gpa", "lifter")
    assert not finished.exists() and begun.partials() == []
    partial.save({"a": torch.ones(2)}, {"step": 4})
    finished.save({"a": torch.zeros(2)}, {"step": 5})
    assert begun.partials() == [partial] and partial.load()[1] == {"step": 4}
    assert finished.path.parent == partial.path.parent == begun.arm_path(3, "gpa")
    partial.remove()
    partial.remove()
    assert begun.partials() == [] and finished.exists()


def test_a_process_that_follows_reads_and_never_writes(begun: RunFolder, tmp_path: Path) -> None:
    verdict = Verdict({"placement": Margin(0.01, 0.02, 0.05)}, "clips", 10, 7, 5)
    follower = RunFolder(begun.path, writes=False)
    with begun.locked(), follower.locked():  # its lock is in nobody's way
        before = {path: path.read_bytes() for path in begun.path.rglob("*") if path.is_file()}
        follower.results.append([row(3, "gpa")])
        follower.card.write({})
        follower.card.remove()
        follower.verdict.write(verdict, ("gpa",))
        follower.journal.write(5, "lifter", 3, "gpa", {"loss": 1.0})
        follower.weights(3, "gpa", "lifter").save({"a": torch.ones(2)}, {})
        assert before == {path: path.read_bytes() for path in begun.path.rglob("*") if path.is_file()}
    assert follower.read_config() == begun.read_config()
    nowhere = RunFolder(tmp_path / "nowhere", writes=False)
    nowhere.locked().take()
    assert not nowhere.path.exists() and not nowhere.begun


def test_the_verdict_is_kept_with_its_model_and_goes_where_the_gate_is_not_asked(begun: RunFolder) -> None:
    assert begun.verdict.read() is None
    verdict = Verdict({"placement": Margin(0.01, 0.02, 0.05)}, "clips", 10, 7, 5)
    begun.verdict.write(verdict, ("source_only", "gpa"))
    found = begun.verdict.read()
    assert found is not None and found == verdict.to_json("gpa")
    begun.verdict.write(None, ("gpa",))
    assert begun.verdict.read() is None


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"recommended": 3}', '{"recommended": "oracle"}'])
def test_a_damaged_verdict_is_named(begun: RunFolder, content: str) -> None:
    (begun.path / "gate.json").write_text(content)
    with pytest.raises(ValueError, match=r"gate\.json: expected the verdict of the gate"):
        begun.verdict.read()


def test_a_name_that_stands_twice_in_a_file_is_refused(begun: RunFolder) -> None:
    path = begun.path / "config.json"
    path.write_text(path.read_text().replace('"seeds"', '"out": "elsewhere", "seeds"', 1))
    with pytest.raises(FolderError, match=r"config\.json: expected .* \(out: given twice\)$"):
        begun.read_config()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"config": {}}', '{"config": 3}'])
def test_a_damaged_configuration_is_named_once(begun: RunFolder, content: str) -> None:
    (begun.path / "config.json").write_text(content)
    with pytest.raises(FolderError, match=r"config\.json: expected the config\.json of a run") as refusal:
        begun.read_config()
    assert str(refusal.value).count(str(begun.path)) == 1


@pytest.mark.parametrize("content", ["{", "3", '["gpa"]', '[{"seed": 0}]'])
def test_damaged_results_are_refused_before_a_resumed_run_trains(
    begun: RunFolder, domains: Domains, content: str
) -> None:
    (begun.path / "results.json").write_text(content)
    again = dataclasses.replace(begun.read_config(), resume=True)
    with pytest.raises(ValueError, match=r"results\.json: expected"):
        training.prepare(again, domains)


def test_a_journal_is_read_without_the_line_that_a_kill_cut_off(begun: RunFolder) -> None:
    assert begun.journal.read() == []
    begun.journal.write(5, "lifter", 3, "gpa", {"loss": 1.0})
    with begun.journal.path.open("a") as file:
        file.write('{"step": 10, "ph')
    assert begun.journal.read() == [{"step": 5, "phase": "lifter", "seed": 3, "arm": "gpa", "loss": 1.0}]


DAMAGED = [
    b"",
    b"\xff\xfe",
    b"3",
    b"{",
    b'{"step": 1}',
    b'{"step": "1", "phase": "p", "seed": 0, "arm": "gpa"}',
]


def test_damaged_lines_of_a_journal_are_counted_and_left_out(begun: RunFolder) -> None:
    begun.journal.write(5, "lifter", 3, "gpa", {"loss": 1.0})
    whole = begun.journal.path.read_bytes()
    begun.journal.path.write_bytes(b"\n".join([*DAMAGED, whole]) + b'{"st')
    counted = r"metrics\.jsonl: expected .*, left out 5 of 7 lines .*, the first in line 2$"
    with pytest.warns(UserWarning, match=counted):
        assert [entry["step"] for entry in begun.journal.read()] == [5]
    with pytest.warns(UserWarning, match=counted):
        begun.journal.rewind("lifter", 3, "gpa", 5)
    assert begun.journal.path.read_bytes() == whole


# ---------------------------------------------------------------------------------------------- a run


def test_a_run_is_opened_once_and_resumed_with_more_seeds_and_arms(
    begun: RunFolder, domains: Domains
) -> None:
    config = begun.read_config()
    with pytest.raises(FolderError, match="--out: expected a new or empty folder"):
        begun.open(config, domains, ("source_val",))
    more = dataclasses.replace(config, resume=True, arms=("random", "gpa"), seeds=(5,))
    opened = begun.open(more, domains, ("source_val",))
    assert opened.arms == ("source_only", "gpa", "random") and opened.seeds == (3, 1, 5)
    assert to_json(begun.read_config()) == to_json(opened)
    assert begun.read_record()["seeds"] == [3, 1, 5] and begun.card.read()["seeds"] == "3, 1, 5"


def test_remedies_for_a_folder_do_not_lead_in_a_circle(begun: RunFolder, tmp_path: Path) -> None:
    """`--resume` is offered where it continues a run, and a new run where one can begin."""
    config = begun.read_config()
    foreign, empty = tmp_path / "foreign", tmp_path / "empty"
    for folder in (foreign, empty):
        folder.mkdir()
    (foreign / "config.json").write_text('{"model_type": "bert"}')
    (foreign / "notes.txt").write_text("mine")

    def said(folder: Path, resume: bool) -> str:
        again = dataclasses.replace(config, out=folder, resume=resume)
        with pytest.raises(FolderError) as refusal:
            RunFolder(folder).check(again, "cpu")
        return str(refusal.value)

    assert said(begun.path, False).endswith("; --resume continues it")
    assert said(foreign, False).endswith("with files in it; name another folder")
    (foreign / "config.json").unlink()
    assert said(foreign, False).endswith("with files in it; name another folder")
    assert said(foreign, True).endswith("without config.json; name the folder of a run")
    assert said(empty, True).endswith("without config.json; without --resume a run begins there")
    RunFolder(empty).check(dataclasses.replace(config, out=empty), "cpu")
    RunFolder(begun.path).check(dataclasses.replace(config, resume=True), "cpu")
    assert list(empty.iterdir()) == []


def test_a_folder_is_checked_before_there_are_data(begun: RunFolder, tmp_path: Path) -> None:
    config = begun.read_config()
    again = dataclasses.replace(config, resume=True)
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(FolderError, match=r"^--out: expected a folder"):
            RunFolder(place).check(dataclasses.replace(config, out=place), "cpu")
    with pytest.raises(FolderError, match=r"lifter: the run to resume has 'simple_baseline'"):
        RunFolder(begun.path).check(dataclasses.replace(again, lifter="videopose3d"), "cpu")
    with begun.locked(), pytest.raises(FolderError, match=r"in use by process"):
        RunFolder(begun.path).check(again, "cpu")
    begun.partial(3, "gpa", "lifter").save({}, {"device": "cuda"})
    with pytest.raises(FolderError, match=r"--device: .* unfinished on cuda, got cpu"):
        RunFolder(begun.path).check(again, "cpu")


def test_a_lifter_is_loaded_as_its_arm_left_it_and_a_wrong_one_is_named(
    tmp_path: Path, domains: Domains
) -> None:
    config = short_run(tmp_path / "r", "source_only", steps=2, every=2)
    run = training.prepare(config, domains)
    run.pretrain(0)
    trained = run.adapt(0, "source_only")
    folder = RunFolder(config.out)
    loaded = folder.lifter(0, "source_only", config, domains.skeleton)
    for one, other in zip(trained.parameters(), loaded.parameters(), strict=True):
        assert torch.equal(one, other)
    wide = dataclasses.replace(config, network=dataclasses.replace(config.network, width=48))
    named = re.escape(str(folder.weights(0, "source_only", "lifter").path))
    said = rf"{named}: expected the tensors of lifter .*; if another version of poseda made the run"
    with pytest.raises(ValueError, match=said):
        folder.lifter(0, "source_only", wide, domains.skeleton)
    with pytest.raises(ValueError, match=r"seed0.gpa.*: expected a checkpoint of poseda"):
        folder.lifter(0, "gpa", config, domains.skeleton)


# ---------------------------------------------------------------------------------------------- names


def literals(path: Path) -> set[str]:
    """Texts in the code of a module, its docstrings aside."""
    tree = ast.parse(path.read_text())
    alone = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in alone
    }


def test_no_module_outside_of_runs_names_a_file_of_a_run_folder(begun: RunFolder) -> None:
    files = [begun.card, begun.results.file, begun.verdict.file, begun.labelfree, begun.evaluation]
    files += [begun.samples, begun.clips, begun.weights(0, "gpa", "lifter"), begun.journal]  # type: ignore[list-item]
    names = {file.path.name for file in files} | {begun.report_path.name, begun.summary_path.name}
    names |= {".partial"}
    package = Path(poseda.__file__).parent
    known, told = set(), set()
    for module in package.rglob("*.py"):
        found = literals(module) & names
        (known if module.parent.name == "runs" else told).update(found)
    assert not told, f"named outside of poseda.runs: {told}"
    assert names - known == {"lifter.safetensors"}, "all but this one, which is put together, are named there"
