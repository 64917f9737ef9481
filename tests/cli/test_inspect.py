"""`poseda inspect`: an account without a model and without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bodies import walk
from lifted import lifted

from poseda.cli import main
from poseda.export import write_poses
from poseda.geometry.skeleton import H36M16


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    np.savez(tmp_path / "yard.npz", keypoints=walk(30, (300, 300)), image_size=(1280, 720))
    return tmp_path / "yard.npz"


def test_the_account_is_printed_for_people_and_for_machines(
    footage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(footage)]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{footage}:\n  npz, layout coco17 (by the number of joints); 1 person")
    assert main(["inspect", str(footage), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["rows"] == 30 and content["image_size_told_by"] == "file"


def test_several_files_have_an_account_each_and_a_refusal_ends_with_2(
    footage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.json").write_text('{"a": 1}')
    files = [str(footage), str(tmp_path / "bad.json")]
    assert main(["inspect", *files, "--json"]) == 2
    shown = capsys.readouterr()
    content = json.loads(shown.out)
    assert content[files[0]]["rows"] == 30 and "expected COCO results" in content[files[1]]["error"]
    assert shown.err.startswith("poseda: ") and "bad.json" in shown.err
    assert main(["inspect", *files]) == 2
    assert "yard.npz" in capsys.readouterr().out


def test_files_that_hold_no_detections_are_recognised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    (tmp_path / "walk.bvh").write_text("HIERARCHY\n")
    np.savez(tmp_path / "motion.npz", positions=np.zeros((2, 16, 3)))
    for name, said in {
        "run": "a run folder of poseda adapt",
        "walk.bvh": "a BVH file: labelled 3D, for --source",
        "motion.npz": "motion in a world: labelled 3D, for --source",
    }.items():
        assert main(["inspect", str(tmp_path / name)]) == 0
        assert f"no detections: {said}" in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["npz", "json", "csv"])
def test_lifted_poses_are_recognised_wherever_detections_are_expected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    pose = np.random.default_rng(0).normal(size=(3, 16, 3))
    (file,) = write_poses(tmp_path / f"poses.{ending}", lifted(pose, H36M16))
    said = "3D poses of poseda lift, for --weak-labels of poseda adapt, or --source if lifted with --root"
    assert main(["inspect", str(file)]) == 0
    assert f"no detections: {said}" in capsys.readouterr().out
    for line in (
        ["adapt", "--target", str(file), "--out", str(tmp_path / "run")],
        ["lift", "--input", str(file), "--output", str(tmp_path / "o.npz")],
    ):
        assert main(line) == 2
        assert f"{file}: file: expected 2D detections, found {said}" in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == [file.name]


def test_options_are_those_of_adapt(footage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(footage), "--people", "largest", "--layout", "coco17", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["layout_told_by"] == "flag"
    assert main(["inspect", str(footage), "--image-size", "640x480"]) == 2
    assert "leave out --image-size" in capsys.readouterr().err
    assert main(["inspect", str(footage), "--people", "4"]) == 2
    assert "expected all, largest or one of 0" in capsys.readouterr().err
    assert main(["inspect", str(footage), "--people", "tallest"]) == 2
    assert main(["inspect"]) == 2
    assert "expected FILES, got none" in capsys.readouterr().err
    assert main(["inspect", str(footage.with_name("yart.npz"))]) == 2
    assert "did you mean" in capsys.readouterr().err


def test_files_may_stand_in_a_file_of_options(footage: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(footage), "--people", "0", "--print-config"]) == 0
    options = footage.with_name("options.yaml")
    options.write_text(capsys.readouterr().out)
    assert main(["inspect", "--config", str(options)]) == 0
    assert capsys.readouterr().out.startswith(f"{footage}:")


def test_no_torch_is_loaded(footage: Path) -> None:
    code = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('torch', 'lightning', 'scipy'):\n"
        "            raise ImportError(f'{name} is loaded')\n"
        "sys.meta_path.insert(0, Block())\n"
        "from poseda.cli import main\n"
        f"sys.exit(main(['inspect', {str(footage)!r}, '--json']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 30
