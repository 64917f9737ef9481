"""MPI-INF-3DHP: annot.mat, annot_data.mat and SPIN's npz, each written by the test as published."""

import json
import struct
import sys
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from sources import body, reprojects

from poseda.datasets import DataError, read_source
from poseda.datasets.conversion import conversion
from poseda.datasets.formats.cameras import read_intrinsics
from poseda.datasets.formats.mat import read_mat
from poseda.datasets.layouts import MPI_INF_3DHP_17, MPI_INF_3DHP_28, SPIN24
from poseda.geometry.camera import Camera, denormalize_screen, project
from poseda.geometry.skeleton import H36M16


def cameras_json(path: Path) -> Path:
    """MPI-INF-3DHP's two test cameras."""
    studio = {
        "res_w": 2048, "res_h": 2048, "center": [1017, 1043],
        "focal_length_published_variants": [[1500, 1500], [1499, 1499]],
    }  # fmt: skip
    field = {
        "res_w": 1920, "res_h": 1080, "focal_length": [1684, 1672], "center": [940, 560],
        "radial_distortion": [-0.27, 0.13, -0.05], "tangential_distortion": [-0.0004, -0.001],
    }  # fmt: skip
    path.write_text(json.dumps({"mpi_inf_3dhp": {"test_set": {"TS1-TS4": studio, "TS5-TS6": field}}}))
    return path


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(name: str, value: Any, compress: bool = False) -> bytes:
    """A MATLAB 5 variable: an array, or a list as a cell column."""
    short = name.encode()
    if isinstance(value, list):
        head = element(6, struct.pack("<II", 1, 0)) + element(5, struct.pack("<2i", len(value), 1))
        content = head + element(1, short) + b"".join(matrix("", cell) for cell in value)
    else:
        stored, dtype = {"f8": (9, "<f8"), "u1": (2, "u1")}["u1" if value.dtype == np.uint8 else "f8"]
        head = element(6, struct.pack("<II", 6, 0)) + element(5, struct.pack("<2i", *value.shape))
        name_element = (
            struct.pack("<HH", 1, len(short)) + short.ljust(4, b"\0")
            if 0 < len(short) <= 4
            else element(1, short)
        )
        content = head + name_element + element(stored, value.astype(dtype).tobytes("F"))
    whole = element(14, content)
    if not compress:
        return whole
    packed = zlib.compress(whole)
    return struct.pack("<II", 15, len(packed)) + packed


def mat_file(path: Path, compress: bool = True, **variables: Any) -> Path:
    header = b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    path.write_bytes(header + b"".join(matrix(name, value, compress) for name, value in variables.items()))
    return path


CALIBRATION = "Skeletool Camera Calibration File V1.0\n" + "".join(
    f"name          {camera}\n  sensor      10 10\n  size        2048 2048\n  animated    0\n"
    f"  intrinsic   {1500 + camera} 0 1024 0 0 {1500 + camera} 1050 0 0 0 1 0 0 0 0 1 \n"
    f"  extrinsic   1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1 \n  radial      0\n"
    for camera in range(2)
)


def annotated(joints: int, rows: int, focal: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, J, 3) metres and their (N, J, 2) pixels in the studio."""
    pose = body(joints, rows, seed)
    camera = Camera.from_pixels(focal, focal, 1024, 1050, 2048, 2048).to(torch.float64)
    return pose, denormalize_screen(project(torch.from_numpy(pose), camera), 2048, 2048).numpy()


def write_annot(folder: Path, compress: bool = True) -> list[np.ndarray]:
    folder.mkdir(parents=True)
    pairs = [annotated(28, 5, 1500 + camera, camera) for camera in range(2)]
    mat_file(
        folder / "annot.mat",
        compress,
        annot2=[pixels.reshape(5, -1) for _, pixels in pairs],
        annot3=[1000 * pose.reshape(5, -1) for pose, _ in pairs],
        cameras=np.arange(2, dtype=np.uint8)[None],
        frames=np.arange(5.0)[:, None],
    )
    (folder / "camera.calibration").write_text(CALIBRATION)
    return [pose for pose, _ in pairs]


@pytest.mark.parametrize("compress", [False, True])
def test_mpi_inf_3dhp_training_annotations(tmp_path, compress):
    truth = write_annot(tmp_path / "S1" / "Seq1", compress)
    write_annot(tmp_path / "S2" / "Seq1", compress)
    poses = read_source(tmp_path)
    assert len(poses) == 20 and reprojects(poses, 1e-4) and len(poses.clip.unique()) == 4
    expected = conversion(MPI_INF_3DHP_28, H36M16)(truth[1])[0]
    assert np.allclose(poses.pose_3d[5:10], expected, atol=1e-5)
    assert poses.camera.focal[5].tolist() == pytest.approx([2 * 1501 / 2048] * 2)
    assert set(poses.columns["subject"]) == {"S1/Seq1", "S2/Seq1"}
    one = read_source(tmp_path / "S1" / "Seq1" / "annot.mat", stride=2)
    assert torch.equal(one.pose_3d[:3], poses.pose_3d[:5:2])


def test_mpi_inf_3dhp_without_cameras_or_with_other_contents_is_named(tmp_path):
    write_annot(tmp_path / "Seq1")
    file = tmp_path / "Seq1" / "annot.mat"
    file.with_name("camera.calibration").unlink()
    with pytest.raises(
        DataError, match=r"annot\.mat: cameras: expected camera\.calibration beside it, or a JSON"
    ):
        read_source(file)
    empty, wide = np.zeros((5, 84)), np.zeros((5, 50))
    for change, message in (
        ({"annot2": [np.zeros((5, 56))]}, "annot3: expected a cell for each camera, found nothing"),
        ({"annot2": [wide], "annot3": [empty]}, r"annot2\{0\}: expected numbers of shape \(N, 56\), found"),
        ({"annot2": [wide[:, :1] + np.full((5, 56), np.nan)], "annot3": [empty]}, "expected finite numbers"),
    ):
        with pytest.raises(DataError, match=message):
            read_source(mat_file(file, **change))


def test_matlab_files_hold_what_was_written(tmp_path):
    values = {"wide": np.arange(6.0).reshape(2, 3), "a": np.arange(4, dtype=np.uint8).reshape(4, 1)}
    cell = [np.ones((1, 2)), [np.zeros((2, 1)), np.full((1, 1), 7.0)]]
    found = read_mat(mat_file(tmp_path / "x.mat", **values, nested=cell))
    assert np.array_equal(found["wide"].value, values["wide"]) and found["a"].value.dtype == np.float64
    assert found["a"].value.ravel().tolist() == [0, 1, 2, 3] and found["nested"].value[1][1].item() == 7


def test_damaged_matlab_files_raise_nothing_but_data_errors(tmp_path):
    rng = np.random.default_rng(0)
    refused = 0
    for compress in (False, True):
        path = mat_file(tmp_path / "x.mat", compress, annot2=[np.ones((2, 56))], frames=np.ones((3, 1)))
        whole = path.read_bytes()
        for trial in range(300):
            damaged = bytearray(whole[: int(rng.integers(129, len(whole)))] if trial % 3 == 0 else whole)
            for at in rng.integers(124, len(damaged), size=int(rng.integers(1, 8))):
                damaged[at] = rng.integers(256)
            path.write_bytes(damaged)
            try:
                read_mat(path)
            except DataError:
                refused += 1
    assert refused > 300


def test_a_damaged_shape_is_not_quoted_at_length(tmp_path):
    shape = element(5, struct.pack("<2000i", *range(2000)))
    variable = element(14, element(6, struct.pack("<II", 6, 0)) + shape)
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    (tmp_path / "x.mat").write_bytes(header + variable)
    with pytest.raises(DataError, match=r"a damaged one \(shape \[0, 1,") as caught:
        read_mat(tmp_path / "x.mat")
    assert len(str(caught.value)) < 400


def test_a_matlab_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("poseda.datasets.formats.limits.FREE_BYTES", 1 << 16)
    path = mat_file(tmp_path / "bomb.mat", True, big=np.zeros((1000, 1000)))
    with pytest.raises(
        DataError, match=r"variable: expected at most \d+ bytes in a file of this size, found more"
    ):
        read_mat(path)


def test_spin_poses_are_put_where_they_are_seen(tmp_path):
    cameras = cameras_json(tmp_path / "cameras.json")
    lenses = json.loads(cameras.read_text())["mpi_inf_3dhp"]["test_set"]
    unfilled = {"lsp_head_top", "mpii_thorax", "nose", "left_eye", "right_eye", "left_ear", "right_ear"}
    filled = SPIN24.index([name for name in SPIN24.joint_names if name not in unfilled])
    pose, part, spin, names = body(24, 6), np.zeros((6, 24, 3)), np.zeros((6, 24, 4)), []
    pose[:, SPIN24.index(["left_hip", "right_hip"])] = pose[:, SPIN24.index(["pelvis"])] + [
        [[0.1, 0, 0], [-0.1, 0, 0]]
    ]
    for row, sequence in enumerate((1, 1, 2, 5, 6, 6)):
        lens = lenses["TS5-TS6" if sequence > 4 else "TS1-TS4"]
        (tmp_path / "lens.json").write_text(json.dumps({"focal_length": [1500, 1500], **lens}))
        intrinsics = read_intrinsics(tmp_path / "lens.json")
        seen = project(torch.from_numpy(pose[row : row + 1]), intrinsics.camera.to(torch.float64))
        part[row, filled, :2] = denormalize_screen(seen, *intrinsics.size)[0].numpy()[filled]
        spin[row, filled, :3] = (pose[row] - pose[row, SPIN24.index(["pelvis"])])[filled]
        spin[row, filled, 3] = part[row, filled, 2] = 1
        names.append(f"mpi_inf_3dhp_test_set/TS{sequence}/imageSequence/img_{row:06d}.jpg")
    np.savez(
        tmp_path / "mpi_inf_3dhp_valid.npz",
        imgname=names,
        part=part,
        S=spin,
        center=np.zeros((6, 2)),
        scale=np.ones(6),
    )
    poses = read_source(tmp_path / "mpi_inf_3dhp_valid.npz", cameras=cameras)
    expected = conversion(SPIN24, H36M16)(pose)[0]
    assert np.allclose(poses.pose_3d, expected, atol=2e-3) and reprojects(poses, 1e-3)
    assert poses.clip.tolist() == [0, 0, 1, 1000, 1001, 1001]
    assert poses.columns["image"].tolist() == names
    with pytest.raises(DataError, match="cameras: expected a JSON with MPI-INF-3DHP's test cameras"):
        read_source(tmp_path / "mpi_inf_3dhp_valid.npz")


class FakeFile(dict):
    """As much of an h5py file as the reader uses."""

    def __enter__(self) -> "FakeFile":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class FakeData(np.ndarray):
    def __getitem__(self, key: Any) -> Any:
        return np.asarray(self) if key == () else super().__getitem__(key)


def test_mpi_inf_3dhp_test_annotations(tmp_path, monkeypatch):
    pose = body(17, 5)
    lens = Camera.from_pixels(1500, 1500, 1017, 1043, 2048, 2048).to(torch.float64)
    pixels = denormalize_screen(project(torch.from_numpy(pose), lens), 2048, 2048).numpy()
    content = {
        "annot2": pixels[:, None],
        "univ_annot3": 1000 * pose[:, None],
        "valid_frame": np.array([[1.0], [0], [1], [1], [1]]),
    }
    (tmp_path / "TS3").mkdir()
    file = tmp_path / "TS3" / "annot_data.mat"
    file.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n")
    cameras = cameras_json(tmp_path / "cameras.json")
    module = ModuleType("h5py")
    module.File = lambda path, mode: FakeFile({k: v.view(FakeData) for k, v in content.items()})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "h5py", module)
    poses = read_source(file, cameras=cameras)
    expected = conversion(MPI_INF_3DHP_17, H36M16)(pose)[0][[0, 2, 3, 4]]
    assert np.allclose(poses.pose_3d, expected, atol=1e-4) and poses.columns["frame"].tolist() == [0, 2, 3, 4]
    content["annot2"] = pixels
    with pytest.raises(
        DataError, match=r"annot2: expected finite numbers of shape \(5, 1, 17, 2\), found \(5, 17, 2\)"
    ):
        read_source(file, cameras=cameras)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"expected h5py .*found it not installed"):
        read_source(file, cameras=cameras)
