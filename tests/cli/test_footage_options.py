"""Options about the joints and files of footage: what they change, and how a mistake in them reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from motions import trc

from poseda.cli import main
from poseda.cli.adapt import parse_run
from poseda.cli.recipe import open_chosen
from poseda.datasets import OwnDomains
from poseda.geometry.skeleton import COCO17


def detections(folder: Path, names: tuple[str, ...] = COCO17.joint_names) -> Path:
    """Ten pictures of a person, whose joints the file names."""
    rng = np.random.default_rng(0)
    points = rng.uniform([500, 200], [700, 500], (10, 17, 2))
    path = folder / "people.npz"
    np.savez(path, keypoints=points, image_size=np.array([1280, 720]), joint_names=np.array(names))
    return path


def opened(line: str, folder: Path) -> OwnDomains:
    """The data that options ask for, with a small source."""
    (folder / "walk.trc").write_text(trc(frames=8))
    domains = open_chosen(parse_run(f"--source {folder / 'walk.trc'} {line}".split()))
    assert isinstance(domains, OwnDomains)
    return domains


def test_joints_are_named_on_the_command_line_or_in_a_file(tmp_path: Path) -> None:
    odd = tuple({"left_hip": "hueftgelenk", "nose": "tip"}.get(name, name) for name in COCO17.joint_names)
    path, pairs = detections(tmp_path, odd), tmp_path / "joints.yaml"
    pairs.write_text("left_hip: hueftgelenk\nnose: tip\n")
    on_line = opened(f"--target {path} --joints left_hip=hueftgelenk nose=tip", tmp_path)
    in_file = opened(f"--target {path} --joints {pairs}", tmp_path)
    assert on_line.fingerprint() == in_file.fingerprint()
    plain = opened(f"--target {detections(tmp_path)}", tmp_path)
    assert on_line.adaptation().target.pose_2d.equal(plain.adaptation().target.pose_2d)


def test_a_damaged_file_of_the_source_is_said_and_strict_refuses_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, source = detections(tmp_path), tmp_path / "source"
    source.mkdir()
    (source / "walk.trc").write_text(trc(frames=8))
    (source / "cut.trc").write_text(trc()[:300])
    account = opened(f"--target {path} --source {source}", tmp_path).source_account
    assert account[-1].startswith("1 file left out, which --strict refuses: cut.trc (")
    line = [
        "adapt",
        "--target",
        str(path),
        "--source",
        str(source),
        "--strict",
        "--out",
        str(tmp_path / "run"),
    ]
    assert main(line) == 2 and not (tmp_path / "run").exists()
    assert f"poseda: {source / 'cut.trc'}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("joints", "message"),
    [
        (["nose"], "poseda: --joints: expected OURS=THEIRS pairs or a file of them, found nose"),
        (["noze=a"], "poseda: --joints: expected a joint of a layout, .*found noze; did you mean nose?"),
        (
            ["nose=nosee"],
            "people.npz: joints: nose: expected the name of one of the file's joints, found nosee",
        ),
    ],
)
def test_mistakes_in_joints_are_one_sentence_and_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], joints: list[str], message: str
) -> None:
    line = [
        "adapt",
        "--target",
        str(detections(tmp_path)),
        "--out",
        str(tmp_path / "run"),
        "--joints",
        *joints,
    ]
    assert main(line) == 2 and not (tmp_path / "run").exists()
    shown = capsys.readouterr().err
    first, _, last = message.partition(".*")
    assert first in shown and last in shown and shown.count("\n") == 1


def test_joints_as_json(tmp_path: Path) -> None:
    path, order = detections(tmp_path), tmp_path / "order.json"
    order.write_text(json.dumps(list(COCO17.joint_names)))
    content = dict(np.load(path))
    del content["joint_names"]
    np.savez(path, **content)
    listed = opened(f"--target {path} --joints {order}", tmp_path).adaptation().target
    assert listed.pose_2d.equal(opened(f"--target {path}", tmp_path).adaptation().target.pose_2d)
