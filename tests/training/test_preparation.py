"""Refusals before a run trains, and messages when the training itself fails."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins import MixedPrecision
from runs import KillAt, equal, short_run, short_steps, weights

from poseda import device, report, training
from poseda.cli import main
from poseda.config import LifterTrainingConfig, RunConfig
from poseda.datasets import Domains, NoLabelsError
from poseda.datasets.own import OwnDomains
from poseda.geometry.placements import TargetPlacements
from poseda.lifters.sizes import build_lifter
from poseda.ops import _native as native
from poseda.runs import RunFolder, folder
from poseda.training.adversarial import GeneratorPhase
from poseda.training.pairs import recipe_of

SHORT = short_steps(4)
TINY = ["adapt", "--preset", "tiny", "--device", "cpu", *SHORT]


pytestmark = pytest.mark.usefixtures("one_thread")


def write(path: Path, members: dict[str, np.ndarray], *without: str, **other: np.ndarray) -> Path:
    """A domain file without some members and with others replaced."""
    np.savez(path, **{name: value for name, value in (members | other).items() if name not in without})
    return path


def small(out: Path, **changes: Any) -> RunConfig:
    """A run of seconds."""
    return short_run(out, *changes.pop("arms", ()), steps=4, every=2, **changes)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must fail; return its one sentence."""
    assert main(list(arguments)) == 2
    sentence = capsys.readouterr().err.strip()
    assert sentence.startswith("poseda") and "\n" not in sentence
    return sentence


# --------------------------------------------------------------------------------- labels of the target


def test_missing_test_labels_are_refused_before_training(
    tmp_path: Path, members: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "blind.npz", members, "target_test_pose_3d", "target_train_pose_3d")
    given = [*TINY, "--data", str(path), "--out", str(tmp_path / "r"), "--arms", "gpa"]
    assert "blind.npz: target_test_pose_3d: expected this member" in refused(capsys, *given)
    assert not (tmp_path / "r").exists()


def test_only_the_oracle_needs_training_labels_of_the_target(
    tmp_path: Path, members: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "half.npz", members, "target_train_pose_3d")
    given = [*TINY, "--data", str(path), "--out", str(tmp_path / "r"), "--arms"]
    assert "half.npz: target_train_pose_3d: expected" in refused(capsys, *given, "gpa", "oracle")
    assert not (tmp_path / "r").exists()
    assert main([*given, "gpa"]) == 0


def test_own_footage_has_rows_of_the_source_only(tmp_path: Path, domains: Domains) -> None:
    own = OwnDomains("gym", domains.adaptation(), "0" * 64, {})
    run = training.prepare(small(tmp_path / "r"), own)
    results = run.train()
    assert [row["split"] for row in results] == ["source_val"]
    report.write_report(tmp_path / "r")
    assert "source's validation clips" in (tmp_path / "r" / "report.md").read_text()
    assert "no labels" in json.loads((tmp_path / "r" / "protocol.json").read_text())["target"]
    with pytest.raises(NoLabelsError, match="gym: oracle: expected 3D labels"):
        training.prepare(small(tmp_path / "o", arms=("oracle",)), own)
    assert not (tmp_path / "o").exists()


# ---------------------------------------------------------------------------------------------- devices


@pytest.fixture
def gpu_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a GPU on which poseda was installed without its CUDA kernels."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(native, "cuda_loaded", lambda: False)


@pytest.mark.usefixtures("gpu_without_kernels")
def test_auto_is_the_cpu_where_the_kernels_are_missing(tmp_path: Path, domains: Domains) -> None:
    run = training.prepare(small(tmp_path / "r", device="auto"), domains)
    assert run.fabric.device.type == "cpu"


@pytest.mark.usefixtures("gpu_without_kernels")
def test_cuda_without_kernels_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentence = refused(capsys, *TINY, "--device", "cuda", "--out", str(tmp_path / "r"))
    assert "--device:" in sentence and "CUDA kernels" in sentence
    assert not (tmp_path / "r").exists()


def test_auto_is_cuda_where_gpu_and_kernels_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(native, "cuda_loaded", lambda: True)
    assert device.choose("auto") == torch.device("cuda", 0)
    assert device.choose("cuda:1") == torch.device("cuda", 1)
    assert device.choose("cpu") == torch.device("cpu")


# ------------------------------------------------------------------------------------------ run folders


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, domains: Domains) -> Path:
    """The folder of a finished run on the embedded domains."""
    out = tmp_path_factory.mktemp("finished") / "run"
    training.prepare(small(out), domains).train()
    return out


def test_a_file_of_another_skeleton_is_not_evaluated(
    tmp_path: Path, members: dict[str, np.ndarray], finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def with_thorax(name: str, values: np.ndarray) -> np.ndarray:
        poses = name.endswith(("pose_2d", "pose_3d"))
        return np.concatenate([values, values[:, 8:9]], 1) if poses else values

    other = {name: with_thorax(name, values) for name, values in members.items()}
    path = write(tmp_path / "other.npz", other, skeleton=np.array("h36m17"))
    sentence = refused(capsys, "evaluate", str(finished), "--data", str(path))
    assert "--data: expected poses of h36m16, which the run lifts, got h36m17" in sentence


def test_a_folder_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "r", Path("/proc/poseda")):
        assert "--out: expected a folder" in refused(capsys, *TINY, "--out", str(out))
    assert (tmp_path / "file").read_text() == "mine"


def test_what_a_run_killed_in_its_first_write_leaves_is_an_empty_folder(
    tmp_path: Path, domains: Domains
) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / ".config.json.tmp").write_text('{"config": {')
    training.prepare(small(tmp_path / "r"), domains)
    assert json.loads((tmp_path / "r" / "config.json").read_text())
    assert not (tmp_path / "r" / ".config.json.tmp").exists()


# ------------------------------------------------------------------------------- nothing to learn from


def test_a_source_behind_the_camera_is_refused(
    tmp_path: Path, members: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    behind = members["source_pose_3d"].copy()
    behind[3, 5, 2] = 0
    path = write(tmp_path / "behind.npz", members, source_pose_3d=behind)
    sentence = refused(capsys, *TINY, "--data", str(path), "--out", str(tmp_path / "r"))
    assert "behind.npz: source_pose_3d: expected camera coordinates with depths above 0 m" in sentence
    assert f"1 of {len(behind)} rows, first 3" in sentence
    assert not (tmp_path / "r").exists()


def test_training_on_no_valid_pair_stops_the_run(tmp_path: Path, domains: Domains) -> None:
    run = training.prepare(small(tmp_path / "r"), domains)
    run.pretrain(0)
    away = run.data.source.pose_3d * torch.tensor([1.0, 1.0, -1.0])
    run.data = dataclasses.replace(run.data, source=dataclasses.replace(run.data.source, pose_3d=away))
    run.data.source.pose_3d[:, 3] = torch.nan
    with pytest.raises(
        training.NothingValidError, match=r"gpa · lifter · seed 0: valid_share: .* none in the last 2 steps"
    ):
        run.adapt(0, "gpa")
    assert not (tmp_path / "r" / "seed0" / "gpa" / "lifter.safetensors").exists()


# ------------------------------------------------------------------------------------ later evaluations


def evaluated(finished: Path, *arguments: str) -> dict[str, Any]:
    """Evaluate a run and return evaluation.json."""
    assert main(["evaluate", str(finished), *arguments]) == 0
    record: dict[str, Any] = json.loads((finished / "evaluation.json").read_text())
    return record


def test_the_card_of_an_evaluation_says_on_what(
    tmp_path: Path, members: dict[str, np.ndarray], finished: Path
) -> None:
    same = evaluated(finished)
    assert same["data"]["run"] == same["data"]["evaluated"]
    assert "target_test holds other clips" in same["protocol"]["target"]
    held = evaluated(finished, "--split", "source_val")
    assert "the numbers are of source_val" in held["protocol"]["target"]
    other = evaluated(finished, "--data", str(write(tmp_path / "other.npz", members)))
    assert other["protocol"]["data"] == "other"
    assert "evaluated on other; whether the two share clips was not checked" in other["protocol"]["target"]
    hashes = [other["data"][which]["sha256"] for which in ("run", "evaluated")]
    assert hashes[0] == same["data"]["run"]["sha256"] != hashes[1]


# ---------------------------------------------------------------------------------------- unseen joints


def test_fakes_hide_the_unseen_joints_of_their_anchors(tmp_path: Path, domains: Domains) -> None:
    run = training.prepare(small(tmp_path / "r"), domains)
    placements = run.data.placements
    seen = torch.ones(placements.pose_2d.shape[:2], dtype=torch.bool)
    seen[:, [3, 12]] = False
    data = dataclasses.replace(
        run.data,
        placements=TargetPlacements.build(placements.pose_2d, placements.camera, domains.skeleton, seen),
    )
    lifter = build_lifter(run.config, domains.skeleton)
    for arm, hidden in (("gpa_lpa", True), ("lpa", False)):
        rng = torch.Generator().manual_seed(0)
        recipe = recipe_of(arm, run.config)  # type: ignore[arg-type]
        phase = GeneratorPhase(recipe, data, run.config, 0, rng, lifter, run.fabric)
        where = data.placements.sample(8, rng)
        fakes, _ = phase._train_generator(0, torch.arange(8)[:, None], where)
        at_root = (fakes.fake_2d == fakes.fake_2d[:, :1]).all(-1)
        assert at_root[:, [3, 12]].all() == hidden and not at_root[:, [1, 2, 4]].any()


# --------------------------------------------------------------------------------------------- resuming


def test_an_unfinished_phase_stays_on_its_kind_of_device(
    tmp_path: Path, domains: Domains, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = small(tmp_path / "r")
    with pytest.raises(KeyboardInterrupt):
        training.prepare(run, domains, KillAt("gpa · lifter", 4)).train()
    partial = RunFolder(run.out).partial(0, "gpa", "lifter")
    tensors, notes = partial.load()
    assert notes == {"step": 2, "device": "cpu"}
    partial.save(tensors, notes | {"device": "cuda"})
    again = dataclasses.replace(run, resume=True)
    with pytest.raises(
        training.FolderError, match=r"--device: .*lifter\.partial unfinished on cuda, got cpu"
    ):
        training.prepare(again, domains)


def test_earlier_versions_are_kept(tmp_path: Path, domains: Domains, monkeypatch: pytest.MonkeyPatch) -> None:
    run = small(tmp_path / "r")
    again = dataclasses.replace(run, resume=True)
    found = folder.versions()
    for number, options in (("1", run), ("2", again), ("2", again), ("3", again)):
        monkeypatch.setattr(folder, "versions", lambda number=number: found | {"torch": number})
        training.prepare(options, domains)
    record = json.loads((tmp_path / "r" / "config.json").read_text())
    assert record["versions"]["torch"] == "3"
    assert [earlier["torch"] for earlier in record["earlier_versions"]] == ["1", "2"]


def test_half_precision_resumes_with_its_gradient_scale(
    tmp_path: Path, domains: Domains, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half_precision(_: RunConfig) -> Fabric:
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**6, growth_interval=3)
        return Fabric(accelerator="cpu", plugins=[MixedPrecision("16-mixed", "cpu", scaler)])

    monkeypatch.setattr("poseda.training.preparation.start_fabric", half_precision)
    steps = LifterTrainingConfig(pretrain_steps=8, adapt_steps=8, batch=32, ema=0.9)
    whole, cut = (small(tmp_path / name, training=steps) for name in ("whole", "cut"))
    run = training.prepare(whole, domains)
    expected = run.train()
    assert run.fabric.strategy.precision.state_dict()["scale"] > 2.0**6
    with pytest.raises(KeyboardInterrupt):
        training.prepare(cut, domains, KillAt("gpa · lifter", 6)).train()
    unfinished = RunFolder(cut.out).partial(0, "gpa", "lifter")
    assert unfinished.load()[0]["scaler.scale"] == 2.0**7
    assert training.prepare(dataclasses.replace(cut, resume=True), domains).train() == expected
    assert equal(weights(whole.out, "gpa"), weights(cut.out, "gpa"))


# ------------------------------------------------------------------------------------------ small targets


def test_an_arm_that_the_target_is_too_small_for_is_left_out_unless_it_was_named(
    tmp_path: Path, members: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    focal = members["target_train_focal"] * (1 + np.arange(len(members["target_train_focal"]))[:, None] / 1e3)
    path = write(tmp_path / "lenses.npz", members, target_train_focal=focal)  # every pose has its own camera
    given = [*TINY, "--wide.steps", "4", "--data", str(path), "--gate", "off", "--out", str(tmp_path / "r")]
    named = refused(capsys, *given, "--arms", "wide", "wide_target")
    assert "expected a target camera with at least 8 poses for wide_target, got 1" in named
    assert not (tmp_path / "r").exists()
    assert main([*given, "--print-config"]) == 0
    printed = tmp_path / "run.yaml"
    printed.write_text(capsys.readouterr().out)
    assert main(["adapt", "--config", str(printed)]) == 0  # which names no arms that its command did not
    said = " ".join(capsys.readouterr().out.split())
    wanted = "wide_target is left out: it needs a target camera with at least 8 poses, and the largest has 1."
    assert wanted in said
    assert json.loads((tmp_path / "r" / "config.json").read_text())["config"]["arms"] == [
        *("source_only", "gpa_lpa", "wide", "oracle")
    ]


# ------------------------------------------------------------------------------------------ own footage


@pytest.fixture
def footage(tmp_path: Path, domains: Domains) -> Path:
    """COCO results of a few people, as a detector writes them."""
    rng = np.random.default_rng(1)
    people = []
    for image in range(12):
        points = rng.normal([640, 360], [60, 120], (17, 2)) + rng.normal(0, 80, 2)
        keypoints = np.concatenate([points, np.full((17, 1), 0.9)], 1).ravel().tolist()
        people.append({"image_id": image, "category_id": 1, "keypoints": keypoints, "score": 1.0})
    (tmp_path / "gym.json").write_text(json.dumps(people))
    return tmp_path / "gym.json"


def test_own_footage_is_adapted_to_and_accounted_for(
    tmp_path: Path, footage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--target", str(footage), "--image-size", "1280x720", "--fov", "60", "--json", "--verbose"]
    arms = ["source_only", "gpa", "gpa_lpa", "gpa_lpa_view", "wide"]
    assert main([*TINY, *given, "--arms", *arms, "--out", str(tmp_path / "r")]) == 0
    shown = capsys.readouterr()
    account = json.loads((tmp_path / "r" / "account.json").read_text())
    assert json.loads(shown.out)["account"] == account
    assert account["rows"] == account["usable"]["placement"] == 12
    line = "12 detections in 12 frames; dropped: none; picture 1280x720 (as given)"
    assert line in " ".join(shown.err.split())
    assert line in (tmp_path / "r" / "report.html").read_text()
    assert line in (tmp_path / "r" / "report.md").read_text()
    results = json.loads((tmp_path / "r" / "results.json").read_text())
    assert [(row["arm"], row["split"]) for row in results] == [(arm, "source_val") for arm in arms]
    assert main(["evaluate", str(tmp_path / "r"), "--split", "source_val"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "r")]) == 2
    assert capsys.readouterr().err.endswith(
        "found 2D detections without labels; --split source_val takes those of the source or "
        "--data FILE compares with those of a domain file\n"
    )


def test_own_footage_adapts_the_packages_lifter_and_few_rows_recommend_it_as_it_is(
    tmp_path: Path, footage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--target", str(footage), "--image-size", "1280x720"]
    assert main([*TINY, *given, "--out", str(tmp_path / "r")]) == 0
    results = json.loads((tmp_path / "r" / "results.json").read_text())
    assert [row["arm"] for row in results] == ["wide", "wide_target"]
    shown = " ".join(capsys.readouterr().out.split())
    assert "wide is recommended: only 12 rows of the target can be judged" in shown


def test_footage_of_upper_bodies_is_refused_with_what_can_be_used(
    tmp_path: Path, footage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = json.loads(footage.read_text())
    for person in people[5:]:
        person["keypoints"][2 + 3 * 11 :: 3] = [0.0] * 6  # from the hips down
    footage.write_text(json.dumps(people))
    given = ["--target", str(footage), "--image-size", "1280x720", "--out", str(tmp_path / "r")]
    assert "found 5 usable for placement and 12 for lifting, of 12" in refused(capsys, *TINY, *given)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--target", "{file}", "--data", "{file}"], "--target: expected --target or --data, got both"),
        (["--fov", "60"], "fov: expected --target beside it"),
        (["--target", "{file}", "--image-size", "wide"], "--image-size: expected WIDTHxHEIGHT"),
        (["--target", "{file}", "--image-size", "1280x720", "--arms", "oracle"], "gym: oracle: expected 3D"),
        (["--target", "nowhere.json"], "nowhere.json"),
        (
            ["--target", "{file}", "--image-size", "1280x720", "--min-confidence", "0.95"],
            "expected a joint of at least 0.95",
        ),
        (["--people", "largest"], "--people: expected --target beside it"),
    ],
)
def test_bad_footage_is_one_sentence(
    tmp_path: Path, footage: Path, capsys: pytest.CaptureFixture[str], options: list[str], named: str
) -> None:
    given = [option.format(file=footage) for option in options]
    assert named in refused(capsys, *TINY, *given, "--out", str(tmp_path / "r"))
    assert not (tmp_path / "r").exists()
