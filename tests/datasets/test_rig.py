"""A target of several paths: what each camera saw stays apart, and what they share is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from poseda.datasets import DataError, own_domains
from poseda.datasets.formats.cameras import read_intrinsics, read_rig
from poseda.datasets.lens import find_cameras
from poseda.datasets.rig import names_of
from poseda.method.two_passes import lenses
from tests.shared.rigs import SIZE, FilmedRig, film_rig

MATRIX = [[1100.0, 0.0, 640.0], [0.0, 1100.0, 480.0], [0.0, 0.0, 1.0]]


@pytest.fixture
def rig(tmp_path: Path) -> FilmedRig:
    return film_rig(tmp_path / "rig", frames=20)


def rewritten(path: Path, **changes: object) -> None:
    content = {name: value for name, value in np.load(path).items()}
    np.savez(path, **(content | changes))


def test_paths_become_one_target_whose_cameras_and_people_stay_apart(rig: FilmedRig) -> None:
    domains = own_domains(rig.source, rig.paths)
    target = domains.adaptation().target
    alone = [own_domains(rig.source, path).adaptation().target for path in rig.paths]
    assert target.pose_2d.equal(torch.cat([one.pose_2d for one in alone]))
    times = [one.time for one in alone if one.time is not None]
    assert target.time is not None and target.time.equal(torch.cat(times))
    assert target.rig is not None and target.rig.camera.tolist() == [0] * 20 + [1] * 20
    assert target.clip.unique().numel() == 2  # one person in each
    # Their lenses are alike, and yet they are two cameras with a tilt each.
    assert target.camera.focal.unique(dim=0).shape == (1, 2)
    assert lenses(target).unique().numel() == 2
    assert domains.name == "cam0 + cam1" and list(domains.accounts) == ["cam0", "cam1"]
    assert {account.rows for account in domains.accounts.values()} == {20}
    assert "cam0: field of view unknown" in domains.camera and "each is found by itself" in domains.camera


def test_recordings_keep_their_names_below_that_of_their_path(rig: FilmedRig, tmp_path: Path) -> None:
    for at, path in enumerate(rig.paths):
        folder = tmp_path / f"side{at}"
        folder.mkdir()
        for name in ("sit", "walk"):
            (folder / f"{name}.npz").write_bytes(path.read_bytes())
    target = own_domains(rig.source, [tmp_path / "side0", tmp_path / "side1"]).adaptation().target
    assert target.rig is not None
    assert target.rig.recordings == ("side0/sit", "side0/walk", "side1/sit", "side1/walk")
    assert target.rig.recording.bincount().tolist() == [20] * 4
    # A frame of one recording is another moment than the same frame of another.
    assert target.rig.moment.unique(return_counts=True)[1].tolist() == [2] * 40


def test_names_have_as_many_folders_as_tell_them_apart() -> None:
    assert names_of(["a/cam1.json", "a/cam2.json"]) == ["cam1", "cam2"]
    assert names_of(["a/cam1/walk.json", "a/cam2/walk.json"]) == ["cam1/walk", "cam2/walk"]
    assert names_of(["anywhere/walk.npz"]) == ["walk"]


def test_an_option_has_one_value_for_all_paths_or_one_each(rig: FilmedRig) -> None:
    both = own_domains(rig.source, rig.paths, fov=[60, 90]).adaptation().target.camera.focal[:, 0]
    assert both[0] == pytest.approx(3**0.5) and both[-1] == pytest.approx(1)
    assert (
        own_domains(rig.source, rig.paths, fov=(60, 90)).adaptation().target.camera.focal[-1, 0] == both[-1]
    )
    one = own_domains(rig.source, rig.paths, fov=60).adaptation().target.camera.focal[:, 0]
    assert one[0] == one[-1] == pytest.approx(3**0.5)
    sizes = [(1280, 960), (1280, 960)]
    assert (
        own_domains(rig.source, rig.paths, sizes).fingerprint()
        != own_domains(rig.source, rig.paths).fingerprint()
    )
    with pytest.raises(ValueError, match=r"fov: expected one value, or one for each of the 2 .*, got 3"):
        own_domains(rig.source, rig.paths, fov=[60, 70, 80])
    with pytest.raises(ValueError, match=r"fov: expected one value, as target is one path, got 2"):
        own_domains(rig.source, rig.paths[0], fov=[60, 70])


def test_a_tilt_that_is_given_stays_with_the_rows_of_its_camera(rig: FilmedRig) -> None:
    told = own_domains(rig.source, rig.paths, camera_pitch=[10, 35], camera_roll=[0, 5])
    target = told.adaptation().target
    assert target.rig is not None and target.up is not None
    assert target.up.allclose(rig.up.float()[target.rig.camera], atol=1e-6)
    assert target.rows(torch.tensor([0, 30])).up.allclose(rig.up.float(), atol=1e-6)  # type: ignore[union-attr]
    assert "cam1: field of view unknown" in told.camera
    assert told.camera.endswith("given as 35 degrees down, rolled 5") and "found" not in told.camera
    level = own_domains(rig.source, rig.paths, camera_pitch=0).adaptation().target
    assert level.up is not None and level.up.unique(dim=0).tolist() == [[0, -1, 0]]
    found = own_domains(rig.source, rig.paths)
    assert found.adaptation().target.up is None
    assert len({found.fingerprint(), told.fingerprint()}) == 2
    with pytest.raises(ValueError, match=r"camera_pitch: expected one value, or one for each of the 2 .*3"):
        own_domains(rig.source, rig.paths, camera_pitch=[1, 2, 3])


def test_cameras_of_a_calibration_are_found_by_name(rig: FilmedRig) -> None:
    swapped = own_domains(rig.source, rig.paths[::-1], intrinsics=rig.calibration)
    target = swapped.adaptation().target
    assert target.rig is not None and target.rig.rotation is not None
    assert target.rig.rotation.allclose(rig.rotation.flip(0).float(), atol=1e-6)
    assert "cam1: camera cam1 of Calib.toml" in swapped.camera
    assert "find the upward direction together" in swapped.camera
    # One path finds its own camera in the file of all.
    assert (
        own_domains(rig.source, rig.paths[1], intrinsics=rig.calibration).camera
        == "camera cam1 of Calib.toml"
    )


def test_cameras_of_other_names_belong_to_paths_in_order_which_is_said(rig: FilmedRig) -> None:
    text = rig.calibration.read_text()
    rig.calibration.write_text(text.replace('"cam0"', '"front"').replace('"cam1"', '"side"'))
    domains = own_domains(rig.source, rig.paths, intrinsics=rig.calibration)
    assert "cam1: camera side of Calib.toml, by its order" in domains.camera
    rig.calibration.write_text(text.replace('"cam0"', '"front"'))
    wanted = r"Calib\.toml: cameras: expected one named as each path .*\(cam0, cam1\), found front, cam1"
    with pytest.raises(DataError, match=wanted):
        own_domains(rig.source, rig.paths, intrinsics=rig.calibration)


def test_a_file_for_each_path_may_hold_its_rotation(rig: FilmedRig, tmp_path: Path) -> None:
    files = []
    for at, rotation in enumerate(rig.rotation.tolist()):
        content = {"width": SIZE[0], "height": SIZE[1], "matrix": MATRIX, "rotation": rotation}
        files.append(tmp_path / f"lens{at}.json")
        files[-1].write_text(json.dumps(content))
    target = own_domains(rig.source, rig.paths, intrinsics=files).adaptation().target
    assert target.rig is not None and target.rig.rotation is not None
    assert target.rig.rotation.allclose(rig.rotation.float(), atol=1e-6)
    # One file of one camera is that of all paths: its rotation is none of theirs.
    shared = own_domains(rig.source, rig.paths, intrinsics=files[0]).adaptation().target
    assert shared.rig is not None and shared.rig.rotation is None


def test_the_sum_of_a_rig_covers_all_files_and_to_which_path_they_belong(
    rig: FilmedRig, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    for name in ("a", "b"):
        (first / f"{name}.npz").write_bytes(rig.paths[0].read_bytes())
    (second / "c.npz").write_bytes(rig.paths[1].read_bytes())
    before = own_domains(rig.source, [first, second]).fingerprint()
    (first / "b.npz").rename(second / "b.npz")
    moved = own_domains(rig.source, [first, second]).fingerprint()
    rewritten(second / "c.npz", frame=np.arange(20) + 1)
    assert len({before, moved, own_domains(rig.source, [first, second]).fingerprint()}) == 3


def test_moments_are_known_where_one_person_is_alone_and_frame_rates_agree(rig: FilmedRig) -> None:
    def shared(paths: list[Path]) -> int:
        target = own_domains(rig.source, paths).adaptation().target
        assert target.rig is not None
        _, count = target.rig.moment[target.rig.moment >= 0].unique(return_counts=True)
        return int((count == 2).sum())

    assert shared(rig.paths) == 20
    # Two people in the last five frames of one camera: who is who cannot be told.
    content = dict(np.load(rig.paths[1]))
    more = {name: np.concatenate([content[name], content[name][-5:]]) for name in ("keypoints", "frame")}
    rewritten(rig.paths[1], person=np.repeat([0, 1], [20, 5]), **more)
    assert shared(rig.paths) == 15
    for path, rate in zip(rig.paths, (30, 25), strict=True):
        rewritten(path, rate=np.array(rate))
    assert shared(rig.paths) == 0


def test_paths_of_different_joints_are_refused(rig: FilmedRig) -> None:
    names = np.load(rig.paths[1])["joint_names"].tolist()
    rewritten(rig.paths[1], joint_names=np.array(names[::-1]))
    with pytest.raises(DataError, match=r"cam1\.npz: joints: expected those of .*cam0\.npz"):
        own_domains(rig.source, rig.paths)


def test_cameras_are_read_in_the_forms_that_calibrations_have(tmp_path: Path) -> None:
    camera = {"name": "00_01", "resolution": [1280, 960], "K": MATRIX, "distCoef": [0.1, 0, 0, 0, 0]}
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({"cameras": [camera | {"R": np.eye(3).tolist()}, camera | {"name": "00_02"}]}))
    first, second = read_rig(path)
    assert (first.name, second.name) == ("00_01", "00_02") and second.rotation is None
    assert first.rotation is not None and np.array_equal(first.rotation, np.eye(3))
    assert first.intrinsics.size == SIZE and first.intrinsics.camera.distortion is not None
    (found,) = find_cameras([path], ["take/00_02"])
    assert found is not None and found.note == "camera 00_02 of calibration.json"
    with pytest.raises(DataError, match=r"cameras: expected one, found 2: 00_01, 00_02"):
        read_intrinsics(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"rotation": [[2, 0, 0], [0, 1, 0], [0, 0, 1]]},
            r"\[a\]\.rotation: expected a rotation, found \[\[2\.0",
        ),
        ({"rotation": [1, 2]}, r"\[a\]\.rotation: expected numbers of shape \(3\)"),
        ({"fisheye": True}, r"\[a\]\.fisheye: expected a lens of OpenCV's usual model, found a fisheye lens"),
        ({"size": [0, 5]}, r"\[a\]\.size\[0\]: expected a picture of some pixels"),
    ],
)
def test_wrong_entries_of_a_camera_are_named(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    path = tmp_path / "cameras.json"
    path.write_text(json.dumps({"a": {"size": [1280, 960], "matrix": MATRIX} | changes}))
    with pytest.raises(DataError, match=message):
        read_rig(path)


def test_a_file_without_cameras_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("[project]\nname = 'x'\n")
    with pytest.raises(DataError, match=r"settings\.toml: file: expected cameras with a matrix"):
        read_rig(path)
    path.write_text("neither = [of the two")
    with pytest.raises(DataError, match=r"settings\.toml"):
        read_rig(path)
