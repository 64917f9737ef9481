"""`python -m benchmarks.mocap lifters`: windows and sizes of the lifters, a queue, and its table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.mocap import lifters as study
from benchmarks.mocap.config import ReproduceLiftersConfig
from benchmarks.mocap.lifters import WINDOWS, LifterJob, configure, plan
from benchmarks.mocap.program import main
from poseda import lifters
from poseda.config import NetworkConfig, preset
from poseda.datasets import open_domains
from poseda.datasets.order import why_unordered
from poseda.geometry.skeleton import H36M16
from poseda.lifters.sizes import SMALL, build_lifter, count_parameters, published_size
from poseda.training.run import Run

pytestmark = pytest.mark.usefixtures("one_thread")

STEPS = ["--training.pretrain-steps", "2", "--training.adapt-steps", "2", "--generator-training.steps", "2"]
TINY = ["--preset", "tiny", "--device", "cpu", *STEPS]


def reproduce(queue: str, mocap: Path, out: Path, *options: str) -> list[str]:
    return [queue, "--mocap", str(mocap), "--out", str(out), *options, *TINY]


def asked(**options: Any) -> ReproduceLiftersConfig:
    return ReproduceLiftersConfig(mocap=Path("m"), out=Path("o"), **options)


@pytest.mark.parametrize("name", WINDOWS)
def test_a_lifter_sees_and_returns_the_frames_that_its_batch_is_made_for(name: str) -> None:
    frames, poses = WINDOWS[name]
    config = configure(asked(), preset("default"), name)
    lifter = build_lifter(config, H36M16)
    assert lifter(torch.zeros(2, frames, 16, 2)).shape == (2, poses, 16, 3)
    assert config.training.batch == 512 // poses and config.generator_training.batch == 512
    assert 50_000 < count_parameters(lifter) < 600_000


def test_every_lifter_of_the_package_is_in_the_study() -> None:
    assert WINDOWS.keys() == SMALL.keys() == {name for name in lifters.names() if hasattr(lifters, name)}


def test_published_sizes_are_the_papers() -> None:
    sizes = {name: configure(asked(published=True), preset("default"), name).network for name in WINDOWS}
    assert sizes["simple_baseline"] == NetworkConfig(width=1024, blocks=2, dropout=0.5)
    assert sizes["videopose3d"] == NetworkConfig(width=1024, dropout=0.25)
    assert sizes["semgcn"] == NetworkConfig(width=128, blocks=4, dropout=0.0)
    assert sizes["stgcn"] == NetworkConfig(width=128, dropout=0.1)
    assert sizes["mixste"] == NetworkConfig(width=512, blocks=8, dropout=0.0)
    assert sizes["dstformer"] == NetworkConfig(width=512, blocks=5, dropout=0.0)
    assert published_size("stgcn").causal is False


def test_a_dstformer_represents_motion_by_as_many_features_as_a_joint_has() -> None:
    lifter = lifters.build("dstformer", H36M16, 3, width=16, blocks=1)
    assert (lifter.output.in_features, lifters.options("dstformer")["representation"]) == (16, None)


def test_a_batch_of_windows_is_never_too_small_and_plus_is_left_to_single_frames() -> None:
    recipe = preset("tiny")
    assert configure(asked(), recipe, "mixste").training.batch == 64 // 9
    jobs = plan(
        asked(arms=("gpa", "gpa_lpa_view"), splits=(0,), lifters=("semgcn", "stgcn"), pairs=("p1",)), recipe
    )
    assert [(job.title, job.config.arms) for job in jobs] == [
        ("p1_split0 semgcn seed 0", ("gpa", "gpa_lpa_view")),
        ("p1_sequences_split0 stgcn seed 0", ("gpa",)),
    ]
    with pytest.raises(ValueError, match="frames: expected 1 with the arm gpa_lpa_view"):
        plan(asked(arms=("gpa_lpa_view",)), recipe)


def test_the_queue_goes_breadth_first() -> None:
    jobs = plan(asked(splits=(0, 3), lifters=("stgcn", "semgcn"), seeds=(0, 1)), preset("tiny"))
    order = [(job.seed, job.benchmark.split, job.config.lifter, job.benchmark.pair) for job in jobs]
    assert order[:5] == [
        (0, 0, "stgcn", "p1"), (0, 0, "stgcn", "p2"), (0, 0, "semgcn", "p1"), (0, 0, "semgcn", "p2"),
        (0, 3, "stgcn", "p1"),
    ]  # fmt: skip
    assert len(order) == len(set(order)) == 16 and order[8][0] == 1


def test_a_line_shows_a_lifters_arms_and_the_gap_that_the_method_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = asked(splits=(0, 1), pairs=("p1",), lifters=("semgcn", "stgcn"))
    errors = {"source_only": 80.0, "gpa": 75.0, "gpa_lpa": 60.0, "oracle": 40.0}

    def results(job: LifterJob) -> list[dict[str, Any]]:
        common = {"seed": 0, "split": "target_test", "pa_mpjpe": 1.0, "pck": 2.0, "auc": 3.0}
        more = 0.0 if job.benchmark.split else 8.0
        if job.config.frames > 1:
            common |= {"frames": 9, "mpjve": 5.0 + more, "acceleration_error": 7.0}
        rows = [{"arm": arm, "mpjpe": mpjpe + more} | common for arm, mpjpe in errors.items()]
        return [*rows, rows[0] | {"split": "source_val", "mpjpe": 1000.0}]

    monkeypatch.setattr(LifterJob, "results", results)
    jobs = plan(options, preset("default"))
    text = study.markdown(options, jobs)
    cells = "84.0 ± 5.7 | 79.0 ± 5.7 |  | 64.0 ± 5.7 | 44.0 ± 5.7 | 50 %"  # no lpa; of 8 and 0: 4 ± 5.66
    assert f"| semgcn | 1 | 59,764 | {cells} |" in text and f"| stgcn | 9 | 319,744 | {cells} |" in text
    assert "| stgcn | MPJVE mm | 9.0 ± 5.7 | 9.0 ± 5.7 |  | 9.0 ± 5.7 | 9.0 ± 5.7 |" in text
    assert "| stgcn | accel. mm | 7.0 ± 0.0 |" in text and "| semgcn | MPJVE" not in text
    assert "## p1: MPJPE mm, 16 of 20 runs" in text and "semgcn 512, stgcn 56" in text
    semgcn, stgcn = study.report(options, jobs)["pairs"]["p1"]
    assert (stgcn["batch"], stgcn["network"]["width"], stgcn["frames"]) == (56, 32, 9)
    assert "mpjve" in stgcn["lines"][0]["mean"] and "mpjve" not in semgcn["lines"][0]["mean"]


@pytest.fixture(scope="module")
def trained(mocap_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("queue") / "q"
    assert main(reproduce("lifters", mocap_folder, out, *ASKED, "simple_baseline", "stgcn")) == 0
    return out


@pytest.fixture
def finished(trained: Path, tmp_path: Path) -> Path:
    """A finished queue that the test may write to."""
    return shutil.copytree(trained, tmp_path / "finished")


ASKED = ["--pairs", "p1", "--splits", "0", "--arms", "source_only", "gpa_lpa", "--lifters"]


def test_a_queue_trains_on_frames_and_on_clips(finished: Path) -> None:
    runs = finished / "runs"
    assert why_unordered(open_domains(finished / "domains/p1_split0.npz").evaluation()) is not None
    assert why_unordered(open_domains(finished / "domains/p1_sequences_split0.npz").evaluation()) is None
    record, text = json.loads((finished / "lifters.json").read_text()), (finished / "lifters.md").read_text()
    shown = {result["lifter"]: result for result in record["pairs"]["p1"]}
    for lifter, run in (("simple_baseline", "p1_split0"), ("stgcn", "p1_sequences_split0")):
        rows = json.loads((runs / run / lifter / "results.json").read_text())
        (row,) = [row for row in rows if (row["arm"], row["split"]) == ("gpa_lpa", "target_test")]
        assert shown[lifter]["lines"][1]["mean"]["mpjpe"] == row["mpjpe"]
        assert f"| {row['mpjpe']:.1f} |" in text and row["frames"] == shown[lifter]["frames"]
    assert "| stgcn | MPJVE mm | " in text and "- frames:" not in text and "- joints: all 16" in text
    assert "lifter" not in record["recipe"] and "network" not in record["recipe"]
    assert record["data"].keys() == {"p1_split0 simple_baseline", "p1_sequences_split0 stgcn"}


def test_a_finished_queue_trains_nothing_and_a_longer_one_only_what_is_new(
    finished: Path, mocap_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[str, str]] = []
    monkeypatch.setattr(
        Run, "train_arm", lambda self, seed, arm: trained.append((self.config.lifter, arm)) or []
    )
    assert main(reproduce("lifters", mocap_folder, finished, *ASKED, "stgcn", "simple_baseline")) == 0
    assert trained == []
    assert main(reproduce("lifters", mocap_folder, finished, *ASKED, "simple_baseline", "videopose3d")) == 0
    assert trained == [("videopose3d", "source_only"), ("videopose3d", "gpa_lpa")]


def test_what_a_queue_sets_or_lacks_is_refused(
    mocap_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(queue: str, *options: str) -> str:
        assert main(reproduce(queue, mocap_folder, tmp_path / "q", *options)) == 2
        assert not (tmp_path / "q").exists()
        return capsys.readouterr().err

    for option in (("--lifter", "stgcn"), ("--frames=9",), ("--network.width", "64"), ("--data", "x.npz")):
        assert f"{option[0].partition('=')[0]}: expected options of the recipe, got one" in refused(
            "lifters", *option
        )
    assert "--lifters: expected some of simple_baseline, residual, semgcn" in refused(
        "lifters", "--lifters", "magic"
    )
    assert "lifters: expected values without repetition" in refused("lifters", "--lifters", "stgcn", "stgcn")
    for queue in ("arms", "ablations", "baseline"):
        found = refused(queue, "--lifter", "stgcn", "--frames", "9")
        assert "--frames: expected 1, as this queue's benchmarks hold frames by themselves" in found
