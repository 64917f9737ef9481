"""`poseda view` and notebooks: lifted poses played in a page that needs no network."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lifted import lifted
from runs import short_steps

from poseda.cli import main
from poseda.cli import view as command
from poseda.datasets import DataError
from poseda.export import LiftedPoses, poses_page, read_poses, write_poses
from poseda.geometry.skeleton import H36M16, Skeleton

HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def poses() -> LiftedPoses:
    """Two people of three frames; the middle one of the first is a gap."""
    rng = np.random.default_rng(0)
    pose = rng.normal(size=(6, 16, 3))
    pose -= pose[:, :1]
    pose[1] = np.nan
    seen = np.ones((6, 16), bool)
    seen[0, 4] = False
    return lifted(
        pose,
        H36M16,
        person=np.repeat([0, 1], 3),
        frame=np.tile(np.arange(3), 2),
        visible=seen,
        pose_2d=rng.uniform(-1, 1, (6, 16, 2)).astype(np.float32),
        image_size={0: (640, 480)},
        up={0: (0.0, -0.8, -0.6)},
        clip_names={0: HOSTILE},
        arm="wide",
        camera="field of view 60 degrees",
        error=np.full((6, 16), 0.05, np.float32),
    )


def data(page: str) -> dict[str, object]:
    (found,) = re.findall(r'id="viewer-data">(.*?)</script>', page, re.S)
    return json.loads(found)


def test_npz_comes_back_as_it_was(tmp_path: Path, poses: LiftedPoses) -> None:
    write_poses(tmp_path / "o.npz", poses)
    back = read_poses(tmp_path / "o.npz")
    assert (
        back.skeleton is H36M16
        and back.clip_names == poses.clip_names
        and back.image_size == poses.image_size
    )
    assert (back.arm, back.camera, back.rate) == (poses.arm, poses.camera, poses.rate)
    assert back.up[0] == pytest.approx(poses.up[0])
    for name in ("pose_3d", "pose_2d", "error", "valid", "visible", "frame", "person", "clip"):
        np.testing.assert_array_equal(getattr(back, name), getattr(poses, name))
    assert back.root is None


def test_a_skeleton_of_ones_own_comes_back_with_its_sides(tmp_path: Path) -> None:
    own = Skeleton.declare(
        "own", {"hip": None, "left_paw": "hip", "right_paw": "hip"}, [("left_paw", "right_paw")]
    )
    write_poses(tmp_path / "o.npz", lifted(np.ones((2, 3, 3)), own))
    assert read_poses(tmp_path / "o.npz").skeleton.symmetric_joints == ((1, 2),)


def test_rows_in_another_order_and_damaged_files_are_refused(tmp_path: Path, poses: LiftedPoses) -> None:
    write_poses(tmp_path / "twice.npz", replace(poses, frame=np.zeros(6, int)))
    with pytest.raises(DataError, match="frame: expected rows in order of clip, person and frame, each once"):
        read_poses(tmp_path / "twice.npz")
    write_poses(tmp_path / "o.npz", poses)
    whole, rng = (tmp_path / "o.npz").read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        content = bytearray(whole)
        for at in rng.integers(0, len(content), 3):
            content[at] = rng.integers(256)
        (tmp_path / "d.npz").write_bytes(content[: rng.integers(len(content) // 2, len(content) + 1)])
        try:
            read_poses(tmp_path / "d.npz")
        except DataError:
            refused += 1
    assert refused > 40


def test_the_page_shows_everybody_by_name_with_size_and_rate(poses: LiftedPoses) -> None:
    page = poses_page(poses, "dance")
    assert "<h1>dance</h1>" in page and "field of view 60 degrees" in page and "<img" not in page
    shown = data(page)
    assert [clip["clip"] for clip in shown["clips"]] == [f"person {n} of {HOSTILE}" for n in (0, 1)]
    assert shown["clips"][1] | {"clip": ""} == {
        "clip": "", "frames": 3, "in_order": True, "start": 3,
        "aspect": 0.75, "size": [640, 480], "rate": 25.0, "rate_assumed": False,
        "turn": {"wide": [1, 0, 0, 0, 1, 0, 0, 0, 1]},
    }  # fmt: skip
    assert shown["placed"] is True and shown["models"] == ["wide"]
    assert re.search(r"https?:|@import|url\(|fetch\(|import\(", page) is None


def test_an_assumed_rate_is_kept_in_the_files_and_said_wherever_it_is_shown(
    tmp_path: Path, poses: LiftedPoses, capsys: pytest.CaptureFixture[str]
) -> None:
    for assumed in (True, False):
        folder = tmp_path / str(assumed)
        folder.mkdir()
        write_poses(folder / "o.npz", replace(poses, rate_assumed=assumed))
        back = read_poses(folder / "o.npz")
        assert back.rate_assumed == assumed
        page = poses_page(back, "dance")
        assert ("25 frames a second, assumed" in page) == assumed and "25 frames a second" in page
        assert [clip["rate_assumed"] for clip in data(page)["clips"]] == [assumed] * 2  # type: ignore[index,attr-defined]
        assert main(["export", str(folder / "o.npz"), "--output", str(folder / "o.json")]) == 0
        assert ("25 frames a second assumed" in capsys.readouterr().out) == assumed
        assert json.loads((folder / "o.json").read_text())["rate_assumed"] is assumed


def test_a_file_that_does_not_say_whether_its_rate_is_assumed_is_read(
    tmp_path: Path, poses: LiftedPoses
) -> None:
    write_poses(tmp_path / "o.npz", poses)
    with np.load(tmp_path / "o.npz") as content:
        kept = {name: content[name] for name in content.files if name != "rate_assumed"}
    np.savez(tmp_path / "old.npz", **kept)
    assert read_poses(tmp_path / "old.npz").rate_assumed is False


def test_long_recordings_are_cut_and_that_is_said(poses: LiftedPoses) -> None:
    page = poses_page(poses, "dance", most=4)
    assert [clip["frames"] for clip in data(page)["clips"]] == [2, 2]
    assert "The first 2 frames of each person are shown." in page


def test_a_notebook_shows_poses_in_a_frame_of_their_own(poses: LiftedPoses) -> None:
    cell = poses._repr_html_()
    (page,) = re.findall(r'srcdoc="([^"]*)"', cell)
    assert cell.startswith("<iframe ") and '<canvas id="screen"' in html.unescape(page)
    nobody = lifted(np.full((2, 16, 3), np.nan), H36M16)
    assert nobody._repr_html_() == "<p>2 frames, none of them lifted</p>"


def test_view_writes_a_page_and_opens_it(
    tmp_path: Path, poses: LiftedPoses, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(command.webbrowser, "open", lambda url: bool(opened.append(url)) or True)
    write_poses(tmp_path / "o.npz", poses)
    page = tmp_path / "page.html"
    assert main(["view", str(tmp_path / "o.npz"), "--page", str(page)]) == 0
    assert opened == [page.as_uri()] and "viewer-data" in page.read_text()
    assert capsys.readouterr().out == f"{page}\n"
    assert main(["view", str(tmp_path / "o.npz"), "--page", str(page)]) == 2
    assert "--page: expected a new file, got" in capsys.readouterr().err
    assert main(["view", str(tmp_path / "o.npz"), "--no-browser", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert Path(found["page"]).name == "o.html" and found["opened"] is False and len(opened) == 1


def test_view_opens_the_report_of_a_run_and_writes_it_if_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command.webbrowser, "open", lambda url: False)
    out = tmp_path / "run"
    options = ["--preset", "tiny", "--device", "cpu", *short_steps(5), "--arms", "source_only"]
    assert main(["adapt", *options, "--out", str(out)]) == 0
    (out / "report.html").unlink()
    capsys.readouterr()
    assert main(["view", str(out)]) == 0
    assert "no browser found, open this file in one" in capsys.readouterr().out
    assert (out / "report.html").exists()
    assert main(["view", str(out), "--page", "x.html"]) == 2


def test_detections_are_refused_as_what_cannot_be_viewed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "o.npz", keypoints=np.zeros((2, 17, 3)))
    assert main(["view", str(tmp_path / "o.npz"), "--no-browser"]) == 2
    assert "PATH: expected the folder of a run, with config.json, or an npz" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "PATH: expected a file or folder, got"),
        (b"text", "PATH: expected the folder of a run, with config.json, or an npz of `poseda lift`, got"),
        (b"HIERARCHY", "PATH: expected the folder of a run"),
        ("folder", "PATH: expected the folder of a run, with config.json, or an npz of `poseda lift`, got"),
    ],
)
def test_what_is_neither_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | str | None, said: str
) -> None:
    path = tmp_path / "o.npz"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    assert main(["view", str(path), "--no-browser"]) == 2
    sentence = capsys.readouterr().err.strip()
    assert said in sentence and "\n" not in sentence
