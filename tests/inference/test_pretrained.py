"""The lifter in the package: what it is, that it lifts, and that runs on footage begin with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.pretrained import VIEWS
from poseda import pretrained, training
from poseda.cli import main
from poseda.config import RunConfig, WideConfig, preset
from poseda.datasets import OwnDomains
from poseda.datasets.synthetic.embedded import EmbeddedDomains
from poseda.datasets.upright import find_up
from poseda.evaluation.evaluate import evaluate
from poseda.evaluation.labelfree import plausibility
from poseda.geometry.camera import denormalize_screen
from poseda.geometry.skeleton import H36M16, Skeleton
from poseda.geometry.standing import body_axis
from poseda.inference import AdaptedLifter
from poseda.method.bodies import group_lengths
from poseda.method.postures import UP
from poseda.runs import RunFolder
from poseda.training.preparation import check_packaged
from poseda.training.rehearsal import rehearsal
from tests.shared.runs import equal, weights

SIZE = (640, 480)
SCREEN = ["--image-size", "640x480", "--layout", "h36m16", "--device", "cpu"]


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """Detections of one clip of the embedded target."""
    poses = EmbeddedDomains(size=0.05).evaluation()
    clip = denormalize_screen(poses.pose_2d[poses.clip == poses.clip[0]].double(), *SIZE).numpy()
    items = [
        {
            "image_id": frame,
            "track_id": 0,
            "keypoints": np.concatenate([pose, np.ones((16, 1))], 1).ravel().tolist(),
        }
        for frame, pose in enumerate(clip)
    ]
    path = tmp_path / "clip.json"
    path.write_text(json.dumps(items))
    return path


def test_its_card_names_the_data_their_makers_and_its_size() -> None:
    card = pretrained.card()
    file = RunFolder(pretrained.FOLDER).weights(0, "wide", "lifter").path
    assert card["bytes"] == file.stat().st_size <= 5_000_000
    assert "mocap.cs.cmu.edu" in card["attribution"] and "NSF EIA-0196217" in card["attribution"]
    assert card["poses"] > 50_000 and "embedded source domain" in card["trained_on"]
    text = (pretrained.FOLDER / "config.json").read_text()
    assert json.loads(text)["config"]["out"] == "poseda-run" and "/" not in json.loads(text)["data"]["name"]


def test_its_card_has_errors_by_camera_and_says_which_cannot_be_compared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    card = pretrained.card()
    views, domains = card["views"], card["domains"]
    assert len(views["mm"]) > 20 and len({row["view"] for row in views["mm"]}) == len(views["mm"])
    assert all(20 < row[way] < 400 for row in views["mm"] for way in ("one_pass", "found", "given"))
    assert views["what"] == VIEWS and "not comparable" in domains["note"]
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    errors = [row["found"] for row in views["mm"]]
    assert f"mean {sum(errors) / len(errors):.0f} mm, {min(errors):.0f} to {max(errors):.0f} mm" in shown
    assert all(row["view"] in shown for row in views["mm"]) and domains["note"] in shown
    assert all(name in shown for name in views["left_out"])
    assert main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pretrained"] == card


@pytest.mark.usefixtures("one_thread")
def test_it_lifts_people_and_cameras_that_it_never_saw() -> None:
    model = AdaptedLifter.load()
    assert (model.arm, model.skeleton.name, model.frames) == ("wide", "h36m16", 1)
    unseen = EmbeddedDomains(size=0.2).evaluation()
    assert evaluate(model.lifter, unseen, model.skeleton, model.config)["mpjpe"] < 75


def test_footage_is_lifted_without_a_run(footage: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npz"
    assert main(["lift", "--input", str(footage), "--output", str(out), *SCREEN]) == 0
    with np.load(out) as lifted:
        assert lifted["valid"].all() and np.isfinite(lifted["pose_3d"]).all()
        assert np.abs(lifted["pose_3d"]).max() < 2  # metres of a person


@pytest.fixture
def adapted(footage: Path, tmp_path: Path) -> Path:
    out = tmp_path / "run"
    given = ["--target", str(footage), "--arms", "wide", "wide_target", "--wide.target-steps", "5"]
    assert main(["adapt", "--preset", "tiny", *SCREEN, *given, "--out", str(out)]) == 0
    return out


def test_adapting_to_footage_begins_with_it(adapted: Path) -> None:
    installed = RunFolder(pretrained.FOLDER).weights(0, "wide", "lifter").load()[0]
    taught = weights(adapted, "wide_target")
    packed = {name: value.to(taught[name].dtype) for name, value in installed.items()}
    # The package's lifter was packed before lengths had a map, and keeps them as they are found.
    groups = H36M16.num_groups
    packed |= {"lifter.length_mix": torch.eye(groups), "lifter.length_shift": torch.zeros(groups)}
    assert equal(weights(adapted, "wide"), packed)
    assert taught.keys() == packed.keys() and not equal(taught, packed)
    change = sum(float((taught[name] - packed[name]).square().sum()) for name in packed)
    size = sum(float(packed[name].square().sum()) for name in packed)
    assert change < 0.1 * size  # taught further, not from the beginning


def test_it_rehearses_postures_that_the_package_draws() -> None:
    rows = rehearsal(2000, H36M16, torch.Generator().manual_seed(0))
    again = rehearsal(2000, H36M16, torch.Generator().manual_seed(0))
    assert torch.equal(rows.pose_3d, again.pose_3d)
    assert pretrained.POSTURES.stat().st_size == pretrained.card()["postures"]["bytes"] < 2_000_000
    up = find_up(rows, H36M16).up
    assert torch.allclose(up, up.new_tensor(UP).expand_as(up), atol=1e-6)
    # They are people: upright for the most part, of one body, each another.
    assert float((body_axis(rows.pose_3d, H36M16) * up).sum(1).median()) > 0.9
    lengths = group_lengths(rows.pose_3d, H36M16)
    assert torch.allclose(lengths, lengths[:1].expand_as(lengths), atol=1e-4)
    apart = torch.cdist(rows.root_relative.flatten(1)[:200], rows.root_relative.flatten(1)[:200])
    assert float((apart + 9 * torch.eye(200)).min()) > 0.05
    implausible = plausibility(rows.root_relative, H36M16)
    assert implausible["any"] < 5, implausible  # percent


def test_a_lifter_can_be_trained_from_scratch(footage: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    given = ["--target", str(footage), "--arms", "wide", "--from-scratch", "--wide.steps", "5"]
    assert main(["adapt", "--preset", "tiny", *SCREEN, *given, "--out", str(out)]) == 0
    own, packed = weights(out, "wide"), RunFolder(pretrained.FOLDER).weights(0, "wide", "lifter").load()[0]
    assert {name: value.shape for name, value in own.items()} != {
        name: value.shape for name, value in packed.items()
    }


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--target", "{file}", "--wide.width", "64"],
            "--wide.width: expected 384, that of the package's lifter",
        ),
        (["--target", "{file}", "--wide.steps", "9"], "--wide.steps: expected --from-scratch beside it"),
        (
            ["--target", "{file}", "--arms", "wide", "--views.lowest", "3"],
            "--views.lowest: expected --from-scratch or the arm wide_target beside it, as",
        ),
        (
            ["--target", "{file}", "--arms", "wide", "--detector.noise", "0"],
            "--detector.noise: expected --from-scratch or the arm wide_target beside it",
        ),
        (
            ["--target", "{file}", "--arms", "wide", "--wide.target-steps", "9"],
            "--wide.target-steps: expected the arm wide_target beside it",
        ),
        (
            ["--target", "{file}", "--arms", "wide_target", "--wide.learning-rate", "1"],
            "--wide.learning-rate: expected --from-scratch beside it",
        ),
        (["--from-scratch"], "--from-scratch: expected --target without --source, where it has an effect"),
    ],
)
def test_what_does_not_fit_it_is_refused(
    footage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    given = [option.format(file=footage) for option in options]
    assert main(["adapt", *given, *SCREEN[2:] * ("--target" in given), "--out", str(tmp_path / "r")]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_a_printed_configuration_of_a_run_with_it_asks_for_the_same_run(
    footage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["adapt", "--preset", "tiny", "--target", str(footage), *SCREEN]
    assert main([*given, "--print-config"]) == 0
    printed = capsys.readouterr().out
    (tmp_path / "run.yaml").write_text(printed)
    assert main(["adapt", "--config", str(tmp_path / "run.yaml"), "--print-config"]) == 0
    assert capsys.readouterr().out == printed


def on_footage(out: Path, **options: Any) -> RunConfig:
    """A run that a program asks for: the preset tiny with footage, whose file nobody reads here."""
    clip = out.with_suffix(".npz")
    clip.touch()
    return replace(preset("tiny"), target=clip, arms=("wide",), device="cpu", out=out, **options)


def test_a_program_that_asks_for_another_size_is_told_before_anything_is_written(tmp_path: Path) -> None:
    data = EmbeddedDomains(size=0.05).adaptation()
    own = OwnDomains("gym", data, "0" * 64, {})
    with pytest.raises(ValueError, match=r"wide\.width: expected 384, that of the package's lifter, or"):
        training.prepare(on_footage(tmp_path / "r"), own)
    fits = replace(WideConfig(), **{k.removeprefix("wide."): v for k, v in pretrained.size().items()})
    dog = Skeleton.declare("dog", {"hip": None, "chest": "hip", "nose": "chest", "tail": "hip"})
    with pytest.raises(ValueError, match="from_scratch: expected it with dog, as the package's lifter has"):
        check_packaged(on_footage(tmp_path / "r", wide=fits), dog)
    assert not (tmp_path / "r").exists()
    training.prepare(on_footage(tmp_path / "r", wide=fits), own)
    training.prepare(on_footage(tmp_path / "s", from_scratch=True), own)
