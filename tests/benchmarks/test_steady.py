"""The benchmark of poses over time: clips filmed again as they were, ways that are steadier, in one table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import steady
from benchmarks.mocap.motion import build_benchmark
from poseda.datasets import open_domains
from poseda.datasets.synthetic.embedded import EmbeddedDomains
from poseda.datasets.synthetic.repertoire import FRAMES
from poseda.geometry.kinematics import root_relative
from poseda.geometry.skeleton import H36M16
from poseda.inference import AdaptedLifter

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def domains(mocap_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("domains") / "p1.npz"
    np.savez_compressed(path, **build_benchmark(mocap_folder, "p1"))
    return path


@pytest.fixture(scope="module")
def clips(domains: Path) -> steady.Clips:
    opened = open_domains(domains)
    return steady.film_again(opened.evaluation(), opened.skeleton, 100)


def test_clips_are_whole_in_order_and_as_they_were_filmed(domains: Path, clips: steady.Clips) -> None:
    poses = open_domains(domains).evaluation()
    assert clips.rate == 10
    assert ((clips.clip.diff() > 0) | (clips.frame.diff() > 0)).all()
    frames = {(int(c), round(float(t) * 10)) for c, t in zip(poses.clip, poses.columns["time"], strict=True)}
    assert frames == set(zip(clips.clip.tolist(), clips.frame.tolist(), strict=True))
    # Each clip has the pictures of its camera among its own.
    again = {
        (c, f): row for row, (c, f) in enumerate(zip(clips.clip.tolist(), clips.frame.tolist(), strict=True))
    }
    found = 0
    for row, pose in enumerate(poses.pose_3d):
        other = again[int(poses.clip[row]), round(float(poses.columns["time"][row]) * 10)]
        found += bool(torch.allclose(clips.truth[other], pose, atol=1e-5))
    assert found >= len(again) / 5


def test_limbs_are_unseen_for_half_a_second_and_noise_lasts_where_asked(clips: steady.Clips) -> None:
    clear = steady.project(clips.truth, clips.camera)
    white, seen = steady.detected(clips, "independent noise")
    assert seen.all() and float((white - clear).std()) == pytest.approx(0.01, rel=0.05)
    lasting, _ = steady.detected(clips, "lasting noise")
    noise, together = lasting - clear, clips.run[1:] == clips.run[:-1]
    assert float(noise.std()) == pytest.approx(0.01, rel=0.1)
    left = (noise[1:] * noise[:-1])[together].mean() / noise.square().mean()
    assert float(left) == pytest.approx(steady.LASTING, abs=0.1)
    _, seen = steady.detected(clips, "limbs unseen")
    wrist, elbow = (clips.skeleton.joint(f"left_{name}") for name in ("wrist", "elbow"))
    assert not seen.all() and torch.equal(seen[:, wrist], seen[:, elbow]) and seen[:, 0].all()


def test_delay_is_told_in_frames() -> None:
    time, run = torch.arange(200) / 10, torch.zeros(200, dtype=torch.int64)

    def moved(seconds: torch.Tensor) -> torch.Tensor:
        return torch.stack([seconds.sin(), (0.7 * seconds).cos(), 0.3 * seconds], 1)[:, None]

    for frames in (0.0, 0.5, 2.0):
        late = steady.delay(moved(time - frames / 10), moved(time), run)
        assert late == pytest.approx(frames, abs=0.05)


def test_ways_over_time_are_steadier_and_the_tables_show_them(
    domains: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steady, "CASES", ("independent noise",))
    out = tmp_path / "steady.json"
    assert steady.main([str(domains), "--longest", "20", "--json", str(out)]) == 0
    record = json.loads(out.read_text())
    rows = {way: (error, acceleration) for _, way, _, error, acceleration, *_ in record["rows"]}
    for way, single in (("fit", "single frames, tilt found"), ("kalman", "single frames")):
        assert rows[way][1] < 0.5 * rows[single][1], way
    assert "| independent noise | kalman | yes |" in capsys.readouterr().out
    assert [name for name, _ in record["moving"]] == ["not found", "one vote a clip", "--moving-camera"]


def test_votes_by_window_find_the_tilt_of_a_camera_that_turns() -> None:
    poses = EmbeddedDomains(size=0.1).evaluation()
    frame = torch.arange(len(poses)) % FRAMES
    people = steady.Clips(poses.pose_3d, poses.camera, poses.clip, frame, 10.0, H36M16)
    found = dict(steady.moving(AdaptedLifter.load(), people))
    assert found["--moving-camera"] < found["one vote a clip"]


def test_a_camera_turns_about_its_own_place(clips: steady.Clips) -> None:
    turned = steady.turned(clips)
    distance = clips.truth.norm(dim=-1)
    torch.testing.assert_close(turned.truth.norm(dim=-1), distance, atol=1e-5, rtol=0)
    assert not torch.allclose(root_relative(turned.truth), root_relative(clips.truth), atol=0.05)
