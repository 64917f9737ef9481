"""MPI-INF-3DHP: annot.mat of the training set, annot_data.mat of the test set, SPIN's npz of the latter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from poseda.datasets.conversion import conversion
from poseda.datasets.filming import labelled, screen_of, together
from poseda.datasets.formats.calibration import read_cameras
from poseda.datasets.formats.deeplabcut import check_size, import_h5py
from poseda.datasets.formats.mat import read_mat
from poseda.datasets.formats.npz import Archive
from poseda.datasets.formats.text import fail, numbers, read_text, record
from poseda.datasets.layouts import MPI_INF_3DHP_17, MPI_INF_3DHP_28, SPIN24, Layout
from poseda.datasets.records import DataError, LabelledPoses
from poseda.geometry.camera import Camera
from poseda.geometry.locate import locate
from poseda.geometry.skeleton import Skeleton

OUTDOORS = ("TS5", "TS6")
"""Test sequences filmed with the other camera."""

OUTDOOR_CLIPS = 1000
"""Their clip numbers start here in SPIN's file, which names clips by folder."""

MILLIMETRE = 1e-3

Lens = tuple[Camera, float, float]
"""A camera of one row, and width and height of its picture."""


def read_annot(
    files: Sequence[Path], skeleton: Skeleton, cameras: str | Path | None, stride: int
) -> LabelledPoses:
    """``S1/Seq1/annot.mat`` and its like: 28 joints in 14 cameras, millimetres in each camera's frame.

    Cameras come from ``camera.calibration`` beside the file, as the data set has it, or from the user's JSON.
    """
    convert, parts = conversion(MPI_INF_3DHP_28, skeleton), []
    joints = len(MPI_INF_3DHP_28)
    for number, file in enumerate(files):
        content = read_mat(file)
        cells = [
            _cells(file, content, name, joints * width) for name, width in (("annot2", 2), ("annot3", 3))
        ]
        lenses = _training_lenses(file, cameras)
        if not len(cells[0]) == len(cells[1]) == len(lenses):
            found = f"{len(cells[0])}, {len(cells[1])} and {len(lenses)}"
            raise fail(file, "annot2, annot3, cameras", "as many of each", found)
        for camera, (flat_2d, flat_3d, (lens, width, height)) in enumerate(zip(*cells, lenses, strict=True)):
            if len(flat_2d) != len(flat_3d):
                raise fail(file, f"annot3{{{camera}}}", f"{len(flat_2d)} frames as annot2", len(flat_3d))
            pixels = convert(flat_2d[::stride].reshape(-1, joints, 2))[0]
            pose = convert(flat_3d[::stride].reshape(-1, joints, 3))[0] * MILLIMETRE
            clip = np.full(len(pose), number * len(lenses) + camera)
            name = "/".join(file.parts[-3:-1])
            columns = {"subject": np.full(len(pose), name), "camera": np.full(len(pose), camera)}
            parts.append(labelled(pose, lens, clip, columns, screen_of(pixels, width, height)))
    return together(parts)


def _cells(path: Path, content: dict[str, Any], name: str, width: int) -> list[np.ndarray]:
    """A cell a camera, each (N, width) finite numbers."""
    cells = content.get(name)
    if not isinstance(cells, list) or not cells:
        raise fail(path, name, "a cell for each camera", type(cells).__name__)
    for at, cell in enumerate(cells):
        if not isinstance(cell, np.ndarray) or cell.ndim != 2 or cell.shape[1] != width or not len(cell):
            found = cell.shape if isinstance(cell, np.ndarray) else type(cell).__name__
            raise fail(path, f"{name}{{{at}}}", f"numbers of shape (N, {width})", found)
        if not np.isfinite(cell).all():
            raise fail(path, f"{name}{{{at}}}", "finite numbers", "NaN or Inf")
    return [np.asarray(cell, np.float64) for cell in cells]


def _training_lenses(file: Path, cameras: str | Path | None) -> list[Lens]:
    if cameras is not None:
        entries = read_cameras(cameras, "mpi_inf_3dhp").get("training_cameras")
        if not isinstance(entries, list):
            raise fail(Path(cameras), "training_cameras", "a list", type(entries).__name__)
        return [_json_lens(Path(cameras), f"training_cameras[{at}]", e) for at, e in enumerate(entries)]
    beside = file.with_name("camera.calibration")
    if not beside.is_file():
        raise fail(file, "cameras", "camera.calibration beside it, or a JSON (--cameras)", "neither")
    return read_calibration(beside)


def read_calibration(path: Path) -> list[Lens]:
    """Cameras of a ``camera.calibration`` file: ``size`` and ``intrinsic`` (4 x 4) of each.

    Raises:
        DataError: if the file is none.
    """
    sizes: list[np.ndarray] = []
    matrices: list[np.ndarray] = []
    for line in read_text(path).splitlines():
        words = line.split()
        if words[:1] in (["size"], ["intrinsic"]):
            count = 2 if words[0] == "size" else 16
            try:
                values = numbers(path, words[0], [float(word) for word in words[1:]], (count,))
            except ValueError as error:
                raise (
                    error
                    if isinstance(error, DataError)
                    else fail(path, words[0], "numbers", str(error)[:60])
                ) from error
            (sizes if count == 2 else matrices).append(values)
    if not sizes or len(sizes) != len(matrices):
        raise fail(path, "size, intrinsic", "as many of each", f"{len(sizes)} and {len(matrices)}")
    return [
        _checked_lens(path, m.reshape(4, 4)[:2, :3], s[0], s[1]) for s, m in zip(sizes, matrices, strict=True)
    ]


def _checked_lens(
    path: Path, matrix: np.ndarray, width: float, height: float, distortion: Any = None
) -> Lens:
    (fx, _, cx), (_, fy, cy) = matrix
    known = np.isfinite([fx, fy, cx, cy, width, height, *(() if distortion is None else distortion)]).all()
    if not (known and min(fx, fy) > 0 and min(width, height) >= 1):
        raise fail(path, "intrinsic", "positive focal lengths and size", f"{fx}, {fy}, {width} x {height}")
    return Camera.from_pixels(fx, fy, cx, cy, width, height, distortion), float(width), float(height)


def _json_lens(path: Path, where: str, entry: Any) -> Lens:
    """A camera of a cameras JSON; of several published focal lengths the first counts."""
    entry = record(path, where, entry)
    focal = entry.get("focal_length") or (entry.get("focal_length_published_variants") or [None])[0]
    fx, fy = numbers(path, f"{where}.focal_length", focal, (2,))
    cx, cy = numbers(path, f"{where}.center", entry.get("center"), (2,))
    size = numbers(path, f"{where}.res_w", [entry.get("res_w"), entry.get("res_h")], (2,))
    radial = numbers(path, f"{where}.radial_distortion", entry.get("radial_distortion") or [0, 0, 0], (3,))
    tangential = numbers(path, f"{where}.tangential", entry.get("tangential_distortion") or [0, 0], (2,))
    bent = np.concatenate([radial, tangential])
    matrix = np.array([[fx, 0, cx], [0, fy, cy]])
    return _checked_lens(path, matrix, size[0], size[1], bent if bent.any() else None)


def _test_lenses(path: Path, cameras: str | Path | None) -> tuple[Lens, Lens]:
    """The studio's camera (TS1 to TS4) and the one outdoors (TS5, TS6)."""
    if cameras is None:
        raise fail(path, "cameras", "a JSON with MPI-INF-3DHP's test cameras (--cameras)", "none")
    source = Path(cameras)
    entries = record(source, "test_set", read_cameras(cameras, "mpi_inf_3dhp").get("test_set"))
    studio, field = (
        _json_lens(source, f"test_set.{name}", entries.get(name)) for name in ("TS1-TS4", "TS5-TS6")
    )
    return studio, field


def read_annot_data(
    files: Sequence[Path], skeleton: Skeleton, cameras: str | Path | None, stride: int
) -> LabelledPoses:
    """``TS1/annot_data.mat`` and its like (HDF5, needs h5py): 17 joints, frames marked valid.

    3D is ``univ_annot3``, which the official evaluation uses.
    """
    parts = []
    for number, file in enumerate(files):
        pixels, pose, valid = _test_arrays(file)
        kept = np.flatnonzero(valid)[::stride]
        outdoors = file.parent.name.upper() in OUTDOORS
        lens = _test_lenses(file, cameras)[outdoors]
        columns = {"subject": np.full(len(kept), file.parent.name), "frame": kept}
        parts.append(
            _placed(pixels[kept], pose[kept] * MILLIMETRE, MPI_INF_3DHP_17, skeleton, lens, number, columns)
        )
    return together([part for part in parts if len(part)])


def _test_arrays(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, 17, 2) pixels, (N, 17, 3) millimetres, (N,) bool."""
    h5py, out = import_h5py(path), []
    try:
        with h5py.File(path, "r") as file:
            for name in ("annot2", "univ_annot3", "valid_frame"):
                if name not in file:
                    raise fail(path, name, "this member", ", ".join(file)[:80])
                check_size(path, name, file[name])
                out.append(np.asarray(file[name][()], np.float64))
    except DataError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise fail(path, "file", "annot_data.mat", f"one that does not read ({error})") from error
    rows, joints = out[0].shape[0], len(MPI_INF_3DHP_17)
    for name, array, shape in zip(
        ("annot2", "univ_annot3", "valid_frame"), out, ((1, joints, 2), (1, joints, 3), (1,)), strict=True
    ):
        if array.shape != (rows, *shape) or not np.isfinite(array).all():
            raise fail(path, name, f"finite numbers of shape ({rows}, {str(shape)[1:]}", array.shape)
    return out[0][:, 0], out[1][:, 0], out[2][:, 0] > 0


def read_spin(archive: Archive, skeleton: Skeleton, cameras: str | Path | None, stride: int) -> LabelledPoses:
    """SPIN's mpi_inf_3dhp_valid.npz: ``part`` (N, 24, 3) pixels, ``S`` (N, 24, 4) metres, pelvis at zero.

    The place in space that SPIN left out is the one from which the 2D annotations are seen.
    """
    names = archive.read("imgname", ("N",), "U")
    rows = len(names)
    part = archive.read("part", (rows, len(SPIN24), 3)).astype(np.float64)
    local = archive.read("S", (rows, len(SPIN24), 4)).astype(np.float64)
    if not (np.isfinite(part).all() and np.isfinite(local).all()):
        raise archive.fail("part, S", "finite numbers", "NaN or Inf")
    needed = conversion(SPIN24, skeleton).weights.any(0)
    if not (local[:, needed, 3] > 0).all():
        raise archive.fail("S", "every joint that is used annotated", "confidence 0")
    outdoors = np.array([any(name in text for name in OUTDOORS) for text in names])
    parts = []
    for lens, mask in zip(_test_lenses(archive.path, cameras), (~outdoors, outdoors), strict=True):
        index = np.flatnonzero(mask)[::stride]
        if not len(index):
            continue
        _, clip = np.unique([text.rpartition("/")[0] for text in names[index]], return_inverse=True)
        clip = clip.reshape(-1) + OUTDOOR_CLIPS * int(outdoors[index[0]])
        columns = {"image": names[index]}
        pixels, pose = part[index, :, :2], local[index, :, :3]
        parts.append(_placed(pixels, pose, SPIN24, skeleton, lens, clip, columns))
    return together(parts)


def _placed(
    pixels: np.ndarray,
    pose: np.ndarray,
    layout: Layout,
    skeleton: Skeleton,
    lens: Lens,
    clip: np.ndarray | int,
    columns: dict[str, np.ndarray],
) -> LabelledPoses:
    """Poses put where they are seen as annotated: least squares over the root of each."""
    convert, (camera, width, height) = conversion(layout, skeleton), lens
    screen, local = screen_of(convert(pixels)[0], width, height), convert(pose)[0]
    local = local - local[:, :1]
    root = locate(torch.from_numpy(local), torch.from_numpy(screen), camera.to(torch.float64)).numpy()
    clips = np.broadcast_to(np.asarray(clip, np.int64), (len(pose),))
    return labelled(local + root[:, None], camera, clips, columns, screen)
