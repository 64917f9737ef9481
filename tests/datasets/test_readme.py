"""The page on data files says what the code does: tables, numbers and examples are compared with it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import poseda.datasets
from poseda.datasets import filming
from poseda.datasets.conversion import made_up_table
from poseda.datasets.detection_files import FORMATS
from poseda.datasets.detections import DEFAULT_CONFIDENCE, DEFAULT_FIELD_OF_VIEW
from poseda.datasets.domain_file import EXTRA_COLUMNS
from poseda.datasets.formats.cameras import read_intrinsics, read_rigs_by_subject
from poseda.datasets.layouts import BY_JOINTS, LAYOUTS

PAGE = (Path(poseda.datasets.__file__).parent / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_table_of_made_up_joints_is_what_the_command_prints() -> None:
    printed = subprocess.run([sys.executable, "-m", "poseda.datasets"], capture_output=True, text=True)
    assert printed.stdout.strip() == made_up_table() and printed.stderr == ""
    assert made_up_table() in PAGE


def test_the_table_of_joint_numbers_is_the_one_that_readers_use() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| `(\w+)`", PAGE, re.MULTILINE))
    of_a_format = {"15": "openpose_mpi15", "16": "h36m16", "28": "mpi_inf_3dhp_28"}
    assert rows == of_a_format | {str(joints): layout.name for joints, (layout, _) in BY_JOINTS.items()}
    for joints, (layout, kept) in BY_JOINTS.items():
        assert joints == kept or f"| {joints} | `{layout.name}`: the first {kept} of a whole-body" in PAGE


def test_numbers_are_those_of_the_code() -> None:
    assert f"(default {DEFAULT_CONFIDENCE:g})" in PAGE
    assert PAGE.count(f"{DEFAULT_FIELD_OF_VIEW:g} degrees") == 2
    words = " ".join(PAGE.split())
    for sentence in (
        f"The assumed rig has {filming.RIG_CAMERAS} cameras around the origin",
        f"{filming.RIG_DISTANCE:g} m away, {filming.RIG_HEIGHT:g} m high, and aimed at a height of "
        f"{filming.RIG_AIM:g} m.",
        f"Their field of view is {filming.RIG_FIELD_OF_VIEW:g} degrees.",
    ):
        assert sentence in words
    assert all(f"`{column}`" in PAGE for column in EXTRA_COLUMNS)


def test_examples_of_intrinsics_are_read(tmp_path: Path) -> None:
    examples = [text for text in blocks("json") if "extrinsics" not in text]
    assert len(examples) == 2
    for text in examples:
        (tmp_path / "lens.json").write_text(text)
        content = json.loads(text)
        lens = read_intrinsics(tmp_path / "lens.json")
        assert lens.size == (content["width"], content["height"])
        fx = content["focal_length"][0] if "focal_length" in content else content["matrix"][0][0]
        assert lens.camera.focal[0, 0].item() == pytest.approx(2 * fx / content["width"])


def test_the_example_of_a_rig_is_read(tmp_path: Path) -> None:
    (text,) = [text for text in blocks("json") if "extrinsics" in text]
    (tmp_path / "cameras.json").write_text(text)
    (camera,) = read_rigs_by_subject(tmp_path / "cameras.json")["S1"]
    assert camera.position.tolist() == [0, -4.8, 1.5] and camera.pitch == 0


def test_the_python_runs() -> None:
    (text,) = blocks("python")
    scope: dict[str, Any] = {}
    exec(text, scope)
    assert scope["made_up"]["pelvis"] == "mean of left_hip, right_hip"
    assert scope["rows"]["pelvis"] == {"mean of left_hip, right_hip": 5}


def test_every_layout_by_flag_and_every_format_is_on_the_page() -> None:
    assert all(f"`{name}`" in PAGE for name in LAYOUTS)
    for tool in re.findall(r"[A-Z][A-Za-z0-9.]+[A-Z][A-Za-z0-9]*", FORMATS):
        assert tool in PAGE or tool in ("JSON", "CSV"), tool


def test_every_file_that_the_page_names_exists() -> None:
    root = Path(poseda.datasets.__file__).parents[1]
    for name in re.findall(r"`([a-z_/0-9]+\.py)`", PAGE):
        assert (root / name).is_file() or (root / "datasets" / name).is_file() or name.startswith("tests/")
