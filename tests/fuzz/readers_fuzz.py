"""Damaged and hostile files for every reader: it reads, or says why not in one sentence, and nothing else.

    python tests/fuzz/readers_fuzz.py --seconds 300
    python tests/fuzz/readers_fuzz.py --cases 2000 --seed 1

Small files as the readers' own tests write them are damaged byte by byte, token by token, and within their
structure (JSON trees, npz members), one to a few damages a case. Anything but a result or a DataError of one
sentence, more than the allowed time or memory, or a module imported on the way, is a bug; its file is kept.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import pickle
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "datasets" / "formats"))
sys.path.insert(0, str(Path(__file__).parents[1] / "shared"))
import keypoint_forms
import motions
import test_detections
import test_frames
import test_mpi_inf_3dhp
import test_pickle
import test_prepared_sources
import test_sources
import test_tables
from h5 import HEAD, FakeGroup

from poseda.datasets import DataError, open_domains, read_detections, read_source
from poseda.datasets.formats.cameras import read_intrinsics, read_rig
from poseda.datasets.formats.field import Field
from poseda.datasets.formats.pickle import unpickle
from poseda.datasets.screen import unlabelled
from poseda.export import write_poses
from poseda.geometry.skeleton import H36M16, H36M17

SIZE = (1920, 1080)
SECONDS, BYTES = 30, 3 << 30
"""What one case may take."""

ODD_NUMBERS = ["nan", "-inf", "1e400", "-1", "0", "1e-320", "9" * 40, "0x10", "1_0", "", "١٢", "1e5", "-0.0"]
ODD_VALUES: list[Any] = [
    None, True, 0, -1, 2**63, 1e400, float("nan"), 1e-320, "", "x" * 50, "\ud800", [], {}, [[]], [None],
    [1, [2]], {"": 0}, [1e308, 1e308, 1e308], "nan", 10**30,
]  # fmt: skip
ODD_ARRAYS: list[Callable[[random.Random, np.ndarray], np.ndarray]] = [
    lambda rng, a: a[:0],
    lambda rng, a: a[: max(1, len(a) // 2)] if a.ndim else a,
    lambda rng, a: a[..., :1],
    lambda rng, a: a[None],
    lambda rng, a: a.ravel(),
    lambda rng, a: a.astype(np.float64) * rng.choice([np.nan, np.inf, 0, -1, 1e300, 1e-300, 1e4]),
    lambda rng, a: a.astype(rng.choice(["f2", "f4", ">f8", "i1", "u8", "?", "c16", "M8[s]", "S3", "U2"])),
    lambda rng, a: np.asfortranarray(a),
    lambda rng, a: np.array(rng.choice(["", "h36m16", "body_25", "\0"])),
    lambda rng, a: np.array(rng.choice([None, 3, "a", [1, 2]]), dtype=object),
    lambda rng, a: np.zeros((0, 3)),
    lambda rng, a: np.array(7),
]


@dataclass(frozen=True)
class Target:
    """A reader and the files it is tried on.

    Args:
        suffix: of the file's name.
        seeds: whole files.
        read: called with the file.
        structured: damages the content as what it is.
    """

    suffix: str
    seeds: list[bytes]
    read: Callable[[Path], object]
    structured: Callable[[random.Random, bytes], bytes]


# ------------------------------------------------------------------------------------------------ damages


def damage_bytes(rng: random.Random, content: bytes) -> bytes:
    """Flip, cut, repeat or insert."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(data) + 1)
        what = rng.randrange(6)
        if what == 0 and data:
            data[at % len(data)] = rng.randrange(256)
        elif what == 1:
            del data[at : at + rng.choice([1, 4, 64, len(data)])]
        elif what == 2:
            data[at:at] = data[rng.randrange(len(data) + 1) :][: rng.choice([1, 8, 200])]
        elif what == 3:
            data[at:at] = rng.randbytes(rng.choice([1, 4, 16]))
        elif what == 4:
            data[at : at + 4] = rng.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]).to_bytes(4, "little")
        elif data:
            data[at % len(data)] ^= 1 << rng.randrange(8)
    return bytes(data)


CALIBRATION_TOML = b"""[cam_01]
name = "front"
size = [ 1280.0, 960.0,]
matrix = [ [ 1100.0, 0.0, 640.0,], [ 0.0, 1100.0, 480.0,], [ 0.0, 0.0, 1.0,],]
distortions = [ -0.1, 0.02, 0.001, 0.0,]
rotation = [ 1.2, 0.1, -0.3,]
translation = [ 0.1, 0.2, 4.0,]
fisheye = false

[metadata]
adjusted = false
"""
"""A calibration as Pose2Sim writes it."""


def damage_text(rng: random.Random, content: bytes) -> bytes:
    """Replace numbers and words; drop, repeat and swap lines."""
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(lines))
        what = rng.randrange(5)
        if what == 0:
            del lines[at]
        elif what == 1:
            lines.insert(at, rng.choice(lines))
        else:
            separator = "," if "," in lines[at] else " "
            words = lines[at].split(separator)
            word = rng.randrange(len(words))
            words[word] = rng.choice([*ODD_NUMBERS, rng.choice(rng.choice(lines).split() or [""]), "{", "}"])
            lines[at] = separator.join(words)
        lines = lines or [""]
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def damage_json(rng: random.Random, content: bytes) -> bytes:
    """Replace, drop, repeat or move parts of the tree."""
    tree = json.loads(content)
    for _ in range(rng.randint(1, 3)):
        places: list[tuple[Any, Any]] = []

        def walk(node: Any, places: list[tuple[Any, Any]] = places) -> None:
            entries = node.items() if isinstance(node, dict) else enumerate(node)
            for key, value in list(entries)[:40]:
                places.append((node, key))
                if isinstance(value, list | dict):
                    walk(value)

        if not isinstance(tree, list | dict):
            break
        walk(tree)
        if not places:
            break
        holder, key = rng.choice(places)
        what = rng.randrange(4)
        if what == 0:
            del holder[key]
        elif what == 1:
            other_holder, other_key = rng.choice(places)
            if other_key in other_holder or (
                isinstance(other_holder, list) and other_key < len(other_holder)
            ):
                holder[key] = json.loads(json.dumps(other_holder[other_key]))
        elif what == 2 and isinstance(holder[key], list):
            holder[key] = holder[key][: rng.randrange(len(holder[key]) + 1)] * rng.choice([1, 2, 3])
        else:
            holder[key] = copy.deepcopy(rng.choice(ODD_VALUES))
    text = json.dumps(tree)
    if rng.random() < 0.05:
        text = "[" * 100_000 + text
    return text.encode("utf-8", "surrogatepass")


def damage_npz(rng: random.Random, content: bytes) -> bytes:
    """Change members' shapes, types and values, their bytes, or which there are."""
    members: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            members[name] = archive.read(name)
    names = list(members)
    for _ in range(rng.randint(1, 3)):
        name = rng.choice(names)
        what = rng.randrange(5)
        if what == 0:
            members.pop(name, None)
        elif what == 1:
            members[name] = damage_bytes(rng, members.get(name, b""))
        elif what == 2:
            members[name] = members.get(rng.choice(names), b"")
        else:
            try:
                array = np.load(io.BytesIO(members[name]), allow_pickle=False)
                with np.errstate(all="ignore"):
                    array = rng.choice(ODD_ARRAYS)(rng, array)
            except Exception:  # what came of earlier damages is no array any more
                continue
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=True)  # writes what readers must refuse
            members[name] = buffer.getvalue()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return packed.getvalue()


# ------------------------------------------------------------------------------------------------ targets


def npz(**members: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **members)
    return buffer.getvalue()


def as_json(content: Any) -> bytes:
    return json.dumps(content).encode()


def detections(path: Path) -> object:
    return unlabelled(read_detections(path, SIZE), H36M16)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def packed(group: FakeGroup) -> bytes:
    """The members of an HDF5 file as an npz, so that they can be damaged one by one."""
    members: dict[str, np.ndarray] = {}

    def pack(one: FakeGroup, place: str) -> None:
        for name, value in one.attrs.items():
            members[f"{place}@{name}"] = np.frombuffer(value, np.uint8)
        for name, value in one.items():
            if isinstance(value, FakeGroup):
                pack(value, f"{place}{name}|")
            else:
                members[place + name] = value

    pack(group, "")
    return npz(**members)


def unpacked_h5(path: Path) -> object:
    """Read what :func:`packed` wrote by the readers of HDF5 files."""
    content = FakeGroup({})
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            for name in archive.files:
                group, (*places, last) = content, name.split("|")
                for place in places:
                    group = group.setdefault(place, FakeGroup({}))
                holder = group.attrs if last.startswith("@") else group
                holder[last.removeprefix("@")] = archive[name]
    except Exception as error:  # an archive that h5py would not open either
        raise DataError(f"{path}: damaged") from error
    sys.modules["h5py"] = SimpleNamespace(File=lambda *_: content)  # type: ignore[assignment]
    (path.parent / "file.h5").write_bytes(HEAD)
    return read_detections(path.parent / "file.h5", SIZE)


def domains(path: Path) -> object:
    opened = open_domains(path)
    return opened.adaptation(), opened.evaluation(), opened.oracle()


def sources_with(cameras: Path) -> Callable[[Path], object]:
    return lambda path: read_source(path, cameras=cameras)


def domain_file() -> bytes:
    """The members of a domain file of a few rows."""
    rng = np.random.default_rng(0)
    members: dict[str, np.ndarray] = {}
    for number, split in enumerate(("source", "source_val", "target_train", "target_test")):
        members |= {
            f"{split}_pose_3d": (rng.normal(0, 0.3, (5, 16, 3)) + np.array([0, 0, 5])).astype(np.float32),
            f"{split}_pose_2d": rng.uniform(-0.5, 0.5, (5, 16, 2)).astype(np.float32),
            f"{split}_focal": np.full((5, 2), 2.0),
            f"{split}_center": np.zeros((5, 2)),
            f"{split}_distortion": np.zeros((5, 5)),
            f"{split}_aspect": np.ones(5),
            f"{split}_clip": np.arange(5) + 10 * number,
            f"{split}_valid": np.ones(5, bool),
            f"{split}_subject": np.array(list("abcde")),
        }
    members["target_train_visible"] = np.ones((5, 16), bool)
    members["skeleton"] = np.array("h36m16")
    return npz(**members)


def targets(folder: Path) -> dict[str, Target]:
    """Every reader with whole files of its formats, as the readers' tests make them."""
    points = test_detections.person
    one, three = points(17), [points(17, seed) for seed in range(3)]
    result, instance = test_detections.result, test_detections.instance
    keypoint_files = [
        as_json([result(7, one), result(3, three[1]), result(3, three[2])]),
        as_json(test_detections.annotations(one)).replace(b"640", b"1920").replace(b"480", b"1080"),
        as_json([result("9.jpg", points(26), idx=[4.0]), result("10.jpg", points(26, 1), idx=2)]),
        as_json([{"frame_id": 0, "instances": [instance(person) for person in three]}]),
        as_json({"meta_info": {}, "instance_info": [{"frame_id": 0, "instances": [instance(one)]}]}),
        as_json(test_frames.openpose(points(25))),
        as_json([test_frames.landmarks(points(33)), test_frames.landmarks(points(33, 1))]),
        as_json([table.tolist() for table in three]),
    ]
    forms = [content for _, content in keypoint_forms.ONE_PERSON.values()]
    keypoint_files += [as_json(content) for content in (*forms, *keypoint_forms.LANDMARKS.values())]
    csv = folder / "animal.csv"
    csvs = []
    for individuals in (False, True):
        test_frames.deeplabcut(csv, individuals)
        csvs.append(csv.read_bytes())
    headings = ("landmark_{i}_{axis}", "{axis}_{name}")
    tables = [test_tables.write_rows(csv, test_tables.mediapipe_rows(one)).read_bytes() for one in headings]
    csvs.append(test_tables.write_rows(csv, test_tables.deeplabcut_rows([["a", "b", "1.png"]])).read_bytes())
    labels = [
        "\n".join(test_tables.label_line(point, ends) for point in (one, three[1])).encode()
        for ends in ([], ["0.9", "4"])
    ]
    arrays = [npy(np.stack(three)), npy(np.stack(three)[:, None, :, :2].astype(np.float32))]
    values, index = np.stack([test_tables.coco(n).ravel() for n in range(3)]), np.arange(3)
    groups = [
        test_tables.fake_table(values, index),
        test_tables.fake_fixed(values, {"axis1": index}),
        *map(test_tables.sleap_content, (False, True)),
    ]
    rows = np.stack(three)
    detection_npz = [
        npz(keypoints=rows, image_size=np.array(SIZE)),
        npz(pose_2d=(rows[..., :2] / 1000 - 0.7)[:, :16]),
        test_tables.detectron(folder / "detectron.npz", [[one], [], three]).read_bytes(),
        npz(
            positions_2d=np.array({"S1": {"Walking": [rows[..., :2]] * 2}}, dtype=object),
            metadata=np.array({"num_joints": 17, "layout_name": "coco"}, dtype=object),
        ),
    ]
    bvh = motions.bvh([{"Hips": (0, 10, 20), "LeftLeg": (0, 30, 0)}] * 4).encode()
    standing = np.array([[motions.STANDING[joint] for joint in motions.MARKERS.values()]] * 3)
    c3d = []
    if find_spec("c3d") is not None:
        motions.write_c3d(folder / "a.c3d", motions.MARKERS, standing, unit="m", screen="+Z")
        c3d = [(folder / "a.c3d").read_bytes()]
    exports = {}
    for suffix in ("npz", "json", "csv"):
        write_poses(folder / f"lifted.{suffix}", test_prepared_sources.lifted())
        exports[suffix] = (folder / f"lifted.{suffix}").read_bytes()
    test_prepared_sources.mmpose_npz(
        folder / "mmpose.npz", H36M17.joint_names, test_prepared_sources.H36M_PICTURES
    )
    test_sources.write_human36m(folder / "h36m.npz")
    cameras = test_sources.cameras_json(folder / "cameras.json")
    body = test_sources.body
    source_npz = [
        (folder / "h36m.npz").read_bytes(),
        npz(pose_3d=body(16, 4), focal=np.array([2.0, 2.0]), center=np.zeros(2), clip=np.arange(4)),
        npz(positions=body(16, 6) @ np.array([[1, 0, 0], [0, 0, -1.0], [0, 1, 0]]), clip=np.zeros(6, int)),
        domain_file(),
        (folder / "mmpose.npz").read_bytes(),
        exports["npz"],
    ]
    recorded, _ = test_sources.threedpw()
    pickled = [b"\x80\x02" + test_sources.python2(recorded) + b".", pickle.dumps(recorded, 2)]
    annotated = folder / "annotated"
    test_mpi_inf_3dhp.write_annot(annotated, compress=False)
    matlab = [(annotated / "annot.mat").read_bytes()]
    lenses = [
        as_json({"width": 640, "height": 480, "matrix": [[500, 0, 320], [0, 500, 240], [0, 0, 1]]}),
        as_json({"res_w": 640, "res_h": 480, "focal_length": [500, 500], "center": [320, 240]}),
    ]

    def beside_calibration(path: Path) -> object:
        (path.parent / "camera.calibration").write_text(test_mpi_inf_3dhp.CALIBRATION)
        return read_source(path)

    def as_calibration(path: Path) -> object:
        (path.parent / "annot.mat").write_bytes(matlab[0])
        return read_source(path.parent / "annot.mat")

    plain = [pickle.dumps(test_pickle.PLAIN, protocol) for protocol in range(6)]
    optional = {"C3D": Target("file.c3d", c3d, read_source, damage_bytes)} if c3d else {}
    return optional | {
        "keypoint JSON": Target("file.json", keypoint_files, detections, damage_json),
        "DeepLabCut CSV": Target("file.csv", csvs, lambda path: read_detections(path, SIZE), damage_text),
        "CSV table": Target("file.csv", tables, detections, damage_text),
        "label txt": Target("file.txt", labels, detections, damage_text),
        "npy": Target("file.npy", arrays, detections, damage_bytes),
        "h5": Target("file.npz", [packed(group) for group in groups], unpacked_h5, damage_npz),
        "detections npz": Target("file.npz", detection_npz, detections, damage_npz),
        "BVH": Target("file.bvh", [bvh], read_source, damage_text),
        "TRC": Target("file.trc", [motions.trc().encode()], read_source, damage_text),
        "export JSON": Target("file.json", [exports["json"]], read_source, damage_json),
        "export CSV": Target("file.csv", [exports["csv"]], read_source, damage_text),
        "source npz": Target("file.npz", source_npz, sources_with(cameras), damage_npz),
        "domain npz": Target("file.npz", [domain_file()], domains, damage_npz),
        "3DPW pickle": Target("file.pkl", pickled, read_source, damage_bytes),
        "MATLAB file": Target("annot.mat", matlab, beside_calibration, damage_bytes),
        "calibration": Target(
            "camera.calibration",
            [test_mpi_inf_3dhp.CALIBRATION.encode()],
            as_calibration,
            damage_text,
        ),
        "intrinsics JSON": Target("file.json", lenses, read_intrinsics, damage_json),
        "cameras TOML": Target("file.toml", [CALIBRATION_TOML], read_rig, damage_text),
        "cameras JSON": Target(
            "file.json",
            [cameras.read_bytes()],
            lambda path: read_source(folder / "h36m.npz", cameras=path),
            damage_json,
        ),
        "pickle": Target("file", plain, lambda path: unpickle(path.read_bytes(), Field(path)), damage_bytes),
    }


# ----------------------------------------------------------------------------------------------- the loop


class TooSlowError(BaseException):
    """A case took longer than it may; no reader catches this."""


def complaint(target: Target, path: Path) -> str | None:
    """What is wrong with how a file was read, or None."""

    def stop(*_: object) -> None:
        raise TooSlowError

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    before = set(sys.modules)
    try:
        target.read(path)
    except DataError as error:
        if "\n" in str(error) or len(str(error)) > 1000:
            return f"not one sentence: {str(error)[:2000]!r}"
    except TooSlowError:
        return f"more than {SECONDS} s"
    except Exception:
        return traceback.format_exc()
    finally:
        signal.alarm(0)
    imported = {name.partition(".")[0] for name in set(sys.modules) - before}
    return f"imported {imported}" if imported & {"os", "subprocess", "pickle", "builtins"} else None


def fuzz(seconds: float, cases: int, seed: int, only: str | None, keep: Path) -> Counter[str]:
    """Try damaged files for so long or so many; return how many of each.

    Raises:
        SystemExit: at the first bug; its file is in ``keep``.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, -1))
    rng, done, ends = random.Random(seed), Counter[str](), time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="poseda-fuzz-") as scratch:
        table = {name: t for name, t in targets(Path(scratch)).items() if only in (None, name)}
        for target in table.values():
            for content in target.seeds:  # whole files must read, or their damages show nothing
                place = Path(scratch) / "whole"
                place.mkdir(exist_ok=True)
                (place / target.suffix).write_bytes(content)
                target.read(place / target.suffix)
        while done.total() < cases and time.monotonic() < ends:
            name = rng.choice(list(table))
            target = table[name]
            content = rng.choice(target.seeds)
            content = (target.structured if rng.random() < 0.7 else damage_bytes)(rng, content)
            place = Path(scratch) / "case"
            place.mkdir(exist_ok=True)
            (place / target.suffix).write_bytes(content)
            done[name] += 1
            wrong = complaint(target, place / target.suffix)
            if wrong is not None:
                keep.mkdir(parents=True, exist_ok=True)
                kept = keep / f"{name.replace(' ', '-')}-{seed}-{done.total()}-{target.suffix}"
                kept.write_bytes(content)
                raise SystemExit(f"{name}: case {done.total()}, kept as {kept}:\n{wrong}")
    return done


if __name__ == "__main__":
    # As in pyproject.toml: warnings at our own lines, and numpy's about our numbers, are errors.
    warnings.filterwarnings("error", module="poseda|__main__")
    warnings.filterwarnings("error", category=RuntimeWarning, module="numpy")
    # numpy says so of a signalling NaN, which becomes a quiet one.
    warnings.filterwarnings("ignore", message="invalid value encountered in cast")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--cases", type=int, default=sys.maxsize)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", help="one reader only, by its name")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"), help="where files of bugs go")
    given = parser.parse_args()
    counted = fuzz(given.seconds, given.cases, given.seed, given.target, given.keep)
    print(f"{counted.total()} damaged files, every one read or refused in a sentence: {dict(counted)}")
