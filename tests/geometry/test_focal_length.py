"""Focal length and pitch from people who stand: found where they can be, and refused where they cannot."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from poseda.datasets import DataError, own_domains
from poseda.datasets.filming import look_at
from poseda.datasets.synthetic.embedded import EmbeddedDomains
from poseda.geometry.camera import Camera, denormalize_screen, project
from poseda.geometry.focal_length import STATURE, calibrate_from_people
from poseda.geometry.skeleton import COCO17, H36M16

SIZE = (1280, 720)


@dataclass(frozen=True)
class Scene:
    """A camera before a floor: degrees, metres."""

    fov: float = 60
    pitch: float = 20
    height: float = 2.5
    near: float = 3
    far: float = 9
    roll: float = 2

    def film(self, world: Tensor) -> Tensor:
        """(N, J, 2) screen coordinates of (N, J, 3) world poses, z up, camera looking along x."""
        position = np.array([[0.0, 0.0, self.height]])
        aim = np.array([[10.0, 0.0, self.height - 10 * math.tan(math.radians(self.pitch))]])
        rotation = torch.from_numpy(look_at(position, aim, np.array([self.roll]))[0])
        lens = Camera.from_field_of_view(self.fov, *SIZE).to(torch.float64)
        return project((world - torch.from_numpy(position)) @ rotation.T, lens)

    def places(self, number: int) -> Tensor:
        """(number, 3) spots on the floor in the middle of the view."""
        rng = np.random.default_rng(0)
        x = rng.uniform(self.near, self.far, number)
        return torch.from_numpy(np.stack([x, x * rng.uniform(-0.35, 0.35, number), 0 * x], -1))


def statues(scene: Scene, number: int = 100) -> Tensor:
    """(N, 16, 2): one upright person, cast in many places, with ankles on the floor."""
    height = {"ankle": 0.0, "knee": 0.44, "hip": 0.88, "pelvis": 0.88, "spine": 1.1, "head_top": STATURE}
    stems = [name.removeprefix("left_").removeprefix("right_") for name in H36M16.joint_names]
    z = torch.tensor([height.get(stem, 1.35) for stem in stems], dtype=torch.float64)
    pose = torch.stack([torch.zeros(16), torch.zeros(16), z], -1)
    return scene.film(pose + scene.places(number)[:, None])


def actors(scene: Scene) -> tuple[Tensor, Tensor]:
    """(N, 16, 2), (N,) clips: the embedded studio's people act on that floor; many do not stand."""
    poses = EmbeddedDomains(seed=0, size=0.3).evaluation("source_val")
    turned = torch.from_numpy(np.stack(poses.columns["rotation"]))
    world = torch.einsum("nji,nkj->nki", turned, poses.root_relative.double())
    world[..., 2] += 0.08 - world[..., 2].amin(1, keepdim=True)
    names, clip = poses.clip.unique(return_inverse=True)
    return scene.film(world + scene.places(len(names))[clip][:, None]), clip


def one_view(pose_2d: Tensor) -> Tensor:
    return torch.zeros(len(pose_2d), dtype=torch.int64)


@pytest.mark.parametrize(
    "scene", [Scene(), Scene(fov=35, pitch=12, far=15), Scene(fov=95, pitch=35, near=2, roll=-5)]
)
def test_upright_people_give_the_camera_exactly(scene: Scene) -> None:
    pose_2d = statues(scene)
    found = calibrate_from_people(pose_2d, None, one_view(pose_2d), torch.arange(len(pose_2d)), H36M16)
    assert found.field_of_view == pytest.approx(scene.fov, abs=1e-3)
    assert found.pitch == pytest.approx(scene.pitch, abs=1e-3)
    assert found.height == pytest.approx(scene.height, abs=1e-4)


def test_views_share_the_focal_length_and_have_pitches_of_their_own() -> None:
    scenes = [Scene(pitch=pitch, height=height) for pitch, height in ((10, 2.0), (20, 3.0), (30, 4.0))]
    pose_2d = torch.cat([statues(scene, 40) for scene in scenes])
    view = torch.arange(3).repeat_interleave(40)
    found = calibrate_from_people(pose_2d, None, view, torch.arange(120), H36M16)
    assert found.field_of_view == pytest.approx(60, abs=1e-3)
    assert found.pitch == pytest.approx(20, abs=1e-3) and found.height == pytest.approx(3, abs=1e-3)


def test_people_in_motion_give_the_camera_within_its_stated_error() -> None:
    pose_2d, clip = actors(Scene())
    pose_2d = pose_2d + 0.003 * torch.randn(pose_2d.shape, dtype=torch.float64)  # 2 px
    found = calibrate_from_people(pose_2d, None, one_view(pose_2d), clip, H36M16)
    assert found.interval is not None and found.interval[0] < 60 < found.interval[1]
    assert found.interval[1] - found.interval[0] < 30 and found.poses > 300
    assert found.pitch == pytest.approx(20, abs=3) and found.height == pytest.approx(2.5, abs=0.3)


@pytest.mark.parametrize(
    ("scene", "reason"),
    [
        (Scene(near=5, far=5.2), "people stand at one distance"),
        (Scene(pitch=0, height=1.5, roll=0), "the camera looks too level"),
    ],
)
def test_what_no_picture_shows_is_not_estimated(scene: Scene, reason: str) -> None:
    pose_2d, clip = actors(scene)
    pose_2d = pose_2d + 0.003 * torch.randn(pose_2d.shape, dtype=torch.float64)
    found = calibrate_from_people(pose_2d, None, one_view(pose_2d), clip, H36M16)
    assert found.field_of_view is None and reason in found.reason and reason in found.sentence()


def test_too_few_or_unseen_people_are_not_estimated_from() -> None:
    pose_2d = statues(Scene())
    track = torch.arange(len(pose_2d))
    few = calibrate_from_people(pose_2d[:20], None, one_view(pose_2d[:20]), track[:20], H36M16)
    assert few.field_of_view is None and few.reason == "expected 30 standing poses, found 20"
    visible = torch.ones(pose_2d.shape[:2], dtype=torch.bool)
    visible[:, H36M16.joint("head_top")] = False
    hidden = calibrate_from_people(pose_2d, visible, one_view(pose_2d), track, H36M16)
    assert hidden.field_of_view is None and hidden.reason.endswith("found 0")


def write_detections(path: Path, pose_2d: Tensor) -> Path:
    pixels = denormalize_screen(pose_2d, *SIZE).numpy()
    points = np.concatenate([pixels, np.ones((*pixels.shape[:2], 1))], -1)
    items = [{"image_id": at, "keypoints": pose.ravel().tolist()} for at, pose in enumerate(points)]
    path.write_text(json.dumps(items))
    return path


def test_own_footage_takes_the_estimate_or_says_why_not(tmp_path: Path) -> None:
    given = {"image_size": SIZE, "fov": "estimate", "layout": "h36m16"}
    domains = own_domains(None, write_detections(tmp_path / "high.json", statues(Scene())), **given)
    focal = domains.adaptation().target.camera.focal
    assert focal[0, 0].item() == pytest.approx(3**0.5, rel=1e-4)
    assert domains.camera.startswith("field of view 60 degrees (60 to 60), estimated from 100 standing poses")
    level = statues(Scene(near=5, far=5.01))
    domains = own_domains(None, write_detections(tmp_path / "level.json", level), **given)
    assert domains.camera.endswith("55 degrees across the longer side assumed")
    assert "people stand at one distance" in domains.camera
    with pytest.raises(DataError, match="--fov: expected degrees or estimate, found 'wide'"):
        own_domains(None, write_coco(tmp_path / "coco.json"), SIZE, "wide")
    with pytest.raises(DataError, match="--fov: expected degrees for skeleton coco17, which has no head_top"):
        own_domains(None, write_coco(tmp_path / "coco.json"), SIZE, "estimate", skeleton=COCO17)


def write_coco(path: Path) -> Path:
    points = np.concatenate([np.random.default_rng(0).uniform(100, 600, (17, 2)), np.ones((17, 1))], 1)
    path.write_text(json.dumps([{"image_id": 0, "keypoints": points.ravel().tolist()}]))
    return path
