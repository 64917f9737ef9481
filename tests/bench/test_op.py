"""The benchmark compares what agrees, refuses what does not, and its records can be shown."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from poseda.bench import op as bench
from poseda.bench.record import check_writable, markdown, save_record, show_seconds
from poseda.bench.rivals import Compiled, Problem, _of_tensors, poseaug_style
from poseda.cli import main
from poseda.geometry.skeleton import COCO17, H36M16
from poseda.ops import reference


@pytest.mark.parametrize("skeleton", [H36M16, COCO17], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("direction", ["forward", "forward_backward"])
def test_poseaug_style_is_the_reference_in_other_words(
    skeleton: Any, direction: str, assert_close: Any
) -> None:
    problem = Problem.draw(65, dtype=torch.float64, skeleton=skeleton)
    bind = getattr(problem, direction)
    for actual, expected in zip(bind(poseaug_style)(), bind(reference.augment)(), strict=True):
        assert_close(actual, expected)


def test_head_is_the_problem_of_the_first_poses() -> None:
    problem = Problem.draw(10)
    whole, head = problem.forward(reference.augment)(), problem.head(4).forward(reference.augment)()
    assert all(torch.equal(part, all_[:4]) for part, all_ in zip(head, whole, strict=True))


def test_seconds_have_three_digits_in_the_unit_that_suits_them() -> None:
    shown = {1252.4: "1,252s", 0.9996: "1s", 0.04217: "42.2ms", 9.996e-4: "1ms", 3e-9: "0.003us"}
    assert {seconds: show_seconds(seconds) for seconds in shown} == shown
    assert show_seconds(None) == "-"


def test_traffic_counts_every_number_once() -> None:
    problem = Problem.draw(10)
    inputs = sum(tensor.numel() * tensor.element_size() for tensor in problem.tensors.values())
    assert problem.forward_bytes() == inputs + 10 * (16 * 5 * 4 + 1)
    assert problem.backward_bytes() == problem.forward_bytes() + 10 * (15 * 3 + 9 + 3) * 4


def test_contestants_that_disagree_are_not_timed() -> None:
    expected = torch.ones(1000, 16, 3)
    actual = expected.clone()
    actual[0] += 1  # one pose in a thousand may differ: two joints that tie
    bench.check_agreement("ours", (actual,), (expected,))
    actual[1, 0, 0] += 1e-2
    with pytest.raises(
        RuntimeError, match=r"ours: result 0 agrees .* on 99.80% of the poses.*nothing is timed"
    ):
        bench.check_agreement("ours", (actual,), (expected,))


def test_record_holds_what_the_table_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Compiled, "compile", lambda _, skeleton: _of_tensors(reference.augment, skeleton))
    monkeypatch.setattr(bench, "COPY_BYTES", 1 << 16)
    path = tmp_path / "results" / "cpu.json"
    results = bench.run(batches=(2,), threads=(1,), quick=True, json_path=path)
    assert [result["direction"] for result in results] == ["forward", "forward+backward"]
    record = json.loads(path.read_text())
    assert record["results"] == results
    for result in results:
        assert set(result["seconds"]) == {"ours", "poseaug_style", "reference", "compiled"}
        assert result["copy_share"] is None  # a batch of two lives in cache
    assert record["machine"]["torch"] == torch.__version__
    lines = markdown(record).splitlines()
    assert lines[2].startswith("| CPU thr. | batch | pass |")
    assert lines[4].startswith("| 1 | 2 | forward |")
    assert lines[7] == "| stage | batch | forward | fwd+bwd |"
    assert lines[9].startswith("| the call by itself | 1 |") and lines[-1].startswith("| + lens | 1,024 |")
    assert len(lines) == 6 + 3 + len(bench.STAGES) + 1


def test_what_is_no_file_is_not_replaced_by_a_record(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(ValueError, match="--json: expected a file to write, or no path at all, got"):
            check_writable(path)
        with pytest.raises(ValueError, match="which is no file"):  # for programs that did not check before
            save_record(path, {})
    assert (tmp_path / "pipe").is_fifo()


def test_what_was_measured_is_kept_when_the_rest_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(device: str, threads: int, batch: int, direction: str, *_: bool) -> dict[str, Any]:
        if direction != "forward":
            raise KeyboardInterrupt
        return {"batch": batch, "direction": direction}

    monkeypatch.setattr(bench, "_measure", measure)
    path, link = tmp_path / "results" / "cpu.json", tmp_path / "link.json"
    link.symlink_to(path)
    with pytest.raises(KeyboardInterrupt):
        bench.run(batches=(2,), threads=(1,), json_path=link)
    record = json.loads(path.read_text())
    assert link.is_symlink()
    assert record["results"] == [{"batch": 2, "direction": "forward"}] and "stages" not in record


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--device", "tpu"], "--device: expected auto, cpu, cuda or cuda:INDEX, got 'tpu'"),
        (["--device", "cuda:99"], "--device: expected a device of this machine, which has"),
        (["--threads", "0"], "--threads: expected a number above 0, got 0"),
        (["--batches", "8", "0"], "--batches: expected a number above 0, got 0"),
        (["--batches", "many"], "--batches"),
        (["--loud"], "--loud"),
        (["--markdown", "nowhere.json"], "--markdown: expected a file or folder, got nowhere.json"),
        (["--markdown", "{text}"], "--markdown: expected a record that --json wrote"),
        (["--json", "{text}/r.json"], "--json: expected a file to write"),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    named: str,
) -> None:
    monkeypatch.setattr(bench, "run", lambda **_: pytest.fail("nothing may be measured"))
    (tmp_path / "text").write_text("no JSON")
    given = [option.format(text=tmp_path / "text") for option in options]
    assert main(["bench", *given]) == 2
    sentence = capsys.readouterr().err.strip()
    assert sentence.startswith("poseda: ") and named in sentence and "\n" not in sentence
