"""MPI-INF-3DHP: annot.mat of the training set, annot_data.mat of the test set, SPIN's npz of the latter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from poseda.datasets.conversion import Conversion, conversion
from poseda.datasets.filming import labelled, screen_of
from poseda.datasets.formats.cameras import pixel_lens, read_cameras
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.files import read_each, read_text
from poseda.datasets.formats.hdf5 import open_hdf5, read_dataset
from poseda.datasets.formats.mat import read_mat
from poseda.datasets.formats.npz import Archive
from poseda.datasets.layouts import MPI_INF_3DHP_17, MPI_INF_3DHP_28, SPIN24, Layout
from poseda.datasets.records import LabelledPoses, concatenated
from poseda.datasets.screen import Intrinsics
from poseda.geometry.camera import Camera
from poseda.geometry.placements import locate
from poseda.geometry.skeleton import Skeleton

OUTDOORS = ("TS5", "TS6")
"""Test sequences filmed with the other camera."""

OUTDOOR_CLIPS = 1000
"""Their clip numbers start here in SPIN's file, which names clips by folder."""

MILLIMETRE = 1e-3

# -------------------------------------------------------------------------------------------- training set


def read_annot(
    files: Sequence[Path], skeleton: Skeleton, cameras: str | Path | None, stride: int, strict: bool = False
) -> tuple[LabelledPoses, dict[str, str]]:
    """``S1/Seq1/annot.mat`` and the like: 28 joints in 14 cameras, millimetres in each camera's frame.

    Cameras come from ``camera.calibration`` beside the file, as the data set has it, or from the user's JSON.

    Returns:
        the poses, and why each file that could not be read was left out.
    """
    convert = conversion(MPI_INF_3DHP_28, skeleton)
    good, bad = read_each(
        files, lambda number, path: _sequence(number, path, convert, cameras, stride), strict
    )
    return concatenated([part for parts in good for part in parts]), bad


def _sequence(
    number: int, path: Path, convert: Conversion, cameras: str | Path | None, stride: int
) -> list[LabelledPoses]:
    """The cameras of one file."""
    parts, joints, file = [], len(MPI_INF_3DHP_28), read_mat(path)
    cells_2d, cells_3d = (_cells(file[f"annot{width}"], joints * width) for width in (2, 3))
    lenses = _training_lenses(path, cameras)
    if not len(cells_2d) == len(cells_3d) == len(lenses):
        found = f"{len(cells_2d)}, {len(cells_3d)} and {len(lenses)}"
        raise file.at("annot2, annot3, cameras").fail("as many of each", found)
    for camera, (flat_2d, flat_3d, lens) in enumerate(zip(cells_2d, cells_3d, lenses, strict=True)):
        if len(flat_2d) != len(flat_3d):
            raise file.at(f"annot3{{{camera}}}").fail(f"{len(flat_2d)} frames as annot2", len(flat_3d))
        pixels = convert(flat_2d[::stride].reshape(-1, joints, 2))[0]
        pose = convert(flat_3d[::stride].reshape(-1, joints, 3))[0] * MILLIMETRE
        clip = np.full(len(pose), number * len(lenses) + camera)
        name = "/".join(path.parts[-3:-1])
        columns = {"subject": np.full(len(pose), name), "camera": np.full(len(pose), camera)}
        parts.append(labelled(pose, lens.camera, clip, columns, screen_of(pixels, *lens.size)))
    return parts


def _cells(field: Field, width: int) -> list[np.ndarray]:
    """A cell a camera, each (N, width) finite numbers."""
    cells = field.value
    if not isinstance(cells, list) or not cells:
        raise field.fail("a cell for each camera")
    places = [field.at(f"{field.where}{{{index}}}", cell) for index, cell in enumerate(cells)]
    for place in places:
        if isinstance(place.value, np.ndarray) and not len(place.value):
            raise place.fail("at least one frame")
    return [place.array(("N", width)) for place in places]


def _training_lenses(path: Path, cameras: str | Path | None) -> list[Intrinsics]:
    if cameras is not None:
        return [
            _json_lens(entry)
            for entry in read_cameras(cameras, "mpi_inf_3dhp")["training_cameras"].elements()
        ]
    beside = path.with_name("camera.calibration")
    if not beside.is_file():
        raise Field(path, "cameras").fail("camera.calibration beside it, or a JSON (--cameras)", "neither")
    return read_calibration(beside)


def read_calibration(path: Path) -> list[Intrinsics]:
    """Cameras of a ``camera.calibration`` file: ``size`` and ``intrinsic`` (4 x 4) of each.

    Raises:
        DataError: if the file is not of this form.
    """
    file = Field(path)
    found: dict[str, list[np.ndarray]] = {"size": [], "intrinsic": []}
    for line in read_text(path).splitlines():
        name, *words = line.split() or [""]
        if name in found:
            try:
                numbers = [float(word) for word in words]
            except ValueError as error:
                raise file.at(name).fail("numbers", str(error)[:60]) from error
            found[name].append(file.at(name, numbers).numbers((2 if name == "size" else 16,)))
    sizes, matrices = found["size"], found["intrinsic"]
    if not sizes or len(sizes) != len(matrices):
        raise file.at("size, intrinsic").fail("as many of each", f"{len(sizes)} and {len(matrices)}")
    return [
        _lens(file.at("intrinsic"), matrix.reshape(4, 4), size)
        for matrix, size in zip(matrices, sizes, strict=True)
    ]


def _lens(place: Field, matrix: np.ndarray, size: np.ndarray) -> Intrinsics:
    (fx, _, cx), (_, fy, cy) = matrix[:2, :3]
    finite = np.isfinite([fx, fy, cx, cy, *size]).all()
    if not (finite and min(fx, fy) > 0 and 1 <= size.min() <= size.max() < 1e6 and (size % 1 == 0).all()):
        raise place.fail("positive focal lengths and size", f"{fx}, {fy}, {size[0]} x {size[1]}")
    width, height = map(int, size)
    return Intrinsics(Camera.from_pixels(fx, fy, cx, cy, width, height), (width, height))


def _json_lens(entry: Field) -> Intrinsics:
    """A camera of a cameras JSON, without distortion where all coefficients are zero."""
    lens = pixel_lens(entry)
    camera = lens.camera() if lens.distortion.any() else replace(lens.camera(), distortion=None)
    return Intrinsics(camera, lens.size)


# ------------------------------------------------------------------------------------------------ test set


def read_annot_data(
    files: Sequence[Path], skeleton: Skeleton, cameras: str | Path | None, stride: int, strict: bool = False
) -> tuple[LabelledPoses, dict[str, str]]:
    """``TS1/annot_data.mat`` and the like (HDF5, needs h5py): 17 joints, frames marked valid.

    3D is ``univ_annot3``, which the official evaluation uses.

    Returns:
        the poses, and why each file that could not be read was left out.
    """

    def read(number: int, path: Path) -> LabelledPoses:
        pixels, pose, valid = _test_arrays(path)
        kept = np.flatnonzero(valid)[::stride]
        outdoors = path.parent.name.upper() in OUTDOORS
        lens = _test_lenses(path, cameras)[outdoors]
        columns = {"subject": np.full(len(kept), path.parent.name), "frame": kept}
        return _placed(
            pixels[kept], pose[kept] * MILLIMETRE, MPI_INF_3DHP_17, skeleton, lens, number, columns
        )

    good, bad = read_each(files, read, strict)
    return concatenated([part for part in good if len(part)]), bad


def _test_lenses(path: Path, cameras: str | Path | None) -> tuple[Intrinsics, Intrinsics]:
    """The studio's camera (TS1 to TS4) and the one outdoors (TS5, TS6)."""
    if cameras is None:
        raise Field(path, "cameras").fail("a JSON with MPI-INF-3DHP's test cameras (--cameras)", "none")
    entries = read_cameras(cameras, "mpi_inf_3dhp")["test_set"]
    return _json_lens(entries["TS1-TS4"]), _json_lens(entries["TS5-TS6"])


def _test_arrays(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, 17, 2) pixels, (N, 17, 3) millimetres, (N,) bool."""
    file, names = Field(path), ("annot2", "univ_annot3", "valid_frame")
    with open_hdf5(path, "annot_data.mat") as content:
        for name in names:
            if name not in content:
                raise file.at(name).fail("this member", ", ".join(content)[:80])
        arrays = [np.asarray(read_dataset(file.at(name, content[name])), np.float64) for name in names]
    rows, joints = arrays[0].shape[0], len(MPI_INF_3DHP_17)
    for name, array, shape in zip(names, arrays, ((1, joints, 2), (1, joints, 3), (1,)), strict=True):
        if array.shape != (rows, *shape) or not np.isfinite(array).all():
            raise file.at(name).fail(f"finite numbers of shape {(rows, *shape)}", array.shape)
    return arrays[0][:, 0], arrays[1][:, 0], arrays[2][:, 0] > 0


def read_spin(archive: Archive, skeleton: Skeleton, cameras: str | Path | None, stride: int) -> LabelledPoses:
    """SPIN's mpi_inf_3dhp_valid.npz: ``part`` (N, 24, 3) pixels, ``S`` (N, 24, 4) metres, pelvis at zero.

    SPIN left out where the poses stand: they are put where the 2D annotations see them.
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
    return concatenated(parts)


def _placed(
    pixels: np.ndarray,
    pose: np.ndarray,
    layout: Layout,
    skeleton: Skeleton,
    lens: Intrinsics,
    clip: np.ndarray | int,
    columns: dict[str, np.ndarray],
) -> LabelledPoses:
    """Poses at the roots at which they fit their 2D annotations best."""
    convert = conversion(layout, skeleton)
    screen, local = screen_of(convert(pixels)[0], *lens.size), convert(pose)[0]
    local = local - local[:, :1]
    root = locate(torch.from_numpy(local), torch.from_numpy(screen), lens.camera.to(torch.float64)).numpy()
    clips = np.broadcast_to(np.asarray(clip, np.int64), (len(pose),))
    return labelled(local + root[:, None], lens.camera, clips, columns, screen)
