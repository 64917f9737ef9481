"""Domain npz files: read as written, blind to the target's labels, one clear sentence for every bad one."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from poseda.datasets import SPLITS, AdaptationData, DataError, open_domains
from poseda.datasets.formats import limits
from poseda.datasets.formats.npz import Archive
from poseda.geometry.skeleton import COCO17

ROWS = {"source": 7, "source_val": 3, "target_train": 5, "target_test": 4}

Table = dict[str, np.ndarray]


@pytest.fixture
def table() -> Table:
    """Members of a small but complete domain file."""
    rng = np.random.default_rng(0)
    members: Table = {}
    for split, rows in ROWS.items():
        fields = {
            "pose_3d": rng.normal(0, 0.3, (rows, 16, 3)) + np.array([0, 0, 5]),
            "pose_2d": rng.uniform(-0.5, 0.5, (rows, 16, 2)),
            "focal": rng.uniform(1, 2, (rows, 2)),
            "center": rng.normal(0, 0.01, (rows, 2)),
            "distortion": np.zeros((rows, 5), np.int64),
            "aspect": np.ones(rows),
            "pitch": rng.normal(0, 5, rows),
            "rotation": np.broadcast_to(np.eye(3), (rows, 3, 3)),
        }
        members |= {
            f"{split}_{k}": v.astype(np.float32) if v.dtype == float else v for k, v in fields.items()
        }
        members[f"{split}_clip"] = np.arange(rows, dtype=np.int32) // 2 + 10 * SPLITS.index(split)
        members[f"{split}_subject"] = np.array([f"person{i}" for i in range(rows)])
        members[f"{split}_valid"] = np.ones(rows, bool)
    return members


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Table], Path]:
    def write(table: Table, name: str = "pair.npz") -> Path:
        np.savez_compressed(tmp_path / name, **table)
        return tmp_path / name

    return write


def same(one: AdaptationData, two: AdaptationData) -> bool:
    def parts(data: AdaptationData) -> list[torch.Tensor]:
        return [
            tensor
            for poses in (data.source, data.source_val, data.target)
            for tensor in (
                poses.pose_2d,
                poses.clip,
                poses.camera.focal,
                poses.camera.center,
                poses.camera.distortion,
            )
        ] + [data.source.pose_3d, data.source_val.pose_3d]

    return all(torch.equal(a, b) for a, b in zip(parts(one), parts(two), strict=True))


def test_a_file_is_read_as_written(table, write):
    domains = open_domains(write(table))
    data = domains.adaptation()
    assert domains.name == "pair" and domains.skeleton.name == "h36m16"
    for split, poses in (
        ("source", data.source),
        ("source_val", data.source_val),
        ("target_train", data.target),
    ):
        assert np.array_equal(poses.pose_2d.numpy(), table[f"{split}_pose_2d"])
        assert np.array_equal(poses.clip.numpy(), table[f"{split}_clip"])
        assert poses.clip.dtype == torch.int64
        assert np.array_equal(poses.camera.focal.numpy(), table[f"{split}_focal"])
        assert poses.camera.distortion.dtype == torch.float32
    assert np.array_equal(data.source.pose_3d.numpy(), table["source_pose_3d"])
    assert np.array_equal(domains.oracle().pose_3d.numpy(), table["target_train_pose_3d"])
    test = domains.evaluation()
    assert np.array_equal(test.pose_3d.numpy(), table["target_test_pose_3d"])
    assert test.columns["subject"].tolist() == table["target_test_subject"].tolist()
    assert test.columns["rotation"].shape == (4, 3, 3)


def test_adaptation_is_bit_identical_without_the_targets_3d_members(table, write):
    whole = open_domains(write(table)).adaptation()
    blind = {
        name: v for name, v in table.items() if not (name.startswith("target") and name.endswith("pose_3d"))
    }
    domains = open_domains(write(blind, "blind.npz"))
    assert same(whole, domains.adaptation())
    with pytest.raises(DataError, match="target_train_pose_3d"):
        domains.oracle()
    with pytest.raises(DataError, match="target_test_pose_3d"):
        domains.evaluation()


def test_adaptation_is_bit_identical_with_poisoned_target_labels(table, write):
    whole = open_domains(write(table)).adaptation()
    for split in ("target_train", "target_test"):
        for field in ("pose_3d", "rotation", "pitch"):
            table[f"{split}_{field}"] = np.full_like(table[f"{split}_{field}"], np.nan)
    domains = open_domains(write(table, "poisoned.npz"))
    assert same(whole, domains.adaptation())
    with pytest.raises(
        DataError, match="target_train_pose_3d: expected finite numbers, found NaN or Inf in 5 rows"
    ):
        domains.oracle()


def test_adaptation_opens_no_label_of_the_target(table, write, monkeypatch):
    opened: list[str] = []
    read = Archive.read
    monkeypatch.setattr(Archive, "read", lambda self, name, *a: opened.append(name) or read(self, name, *a))
    open_domains(write(table)).adaptation()
    of_target = {name for name in opened if name.startswith("target")}
    fields = ("pose_2d", "valid", "focal", "center", "distortion", "aspect", "clip")
    assert of_target == {f"target_train_{field}" for field in fields}


def test_rows_marked_invalid_are_dropped_and_counted(table, write):
    table["source_valid"][[1, 4]] = False
    table["source_pose_3d"][1] = np.nan  # what is dropped need not be sound
    table["source_pose_2d"][4] = np.inf
    domains = open_domains(write(table))
    source = domains.adaptation().source
    kept = [0, 2, 3, 5, 6]
    assert np.array_equal(source.pose_3d.numpy(), table["source_pose_3d"][kept])
    assert np.array_equal(source.camera.focal.numpy(), table["source_focal"][kept])
    assert source.columns["subject"].tolist() == [f"person{i}" for i in kept]
    assert domains.dropped == {"source": 2, "source_val": 0, "target_train": 0}


def test_unseen_joints_hold_zeros_whatever_the_file_says(table, write):
    seen = np.ones((5, 16), bool)
    seen[2, 3] = False
    table["target_train_visible"] = seen
    table["target_train_pose_2d"][2, 3] = np.nan
    target = open_domains(write(table)).adaptation().target
    assert np.array_equal(target.visible.numpy(), seen)
    assert target.pose_2d[2, 3].tolist() == [0.0, 0.0]


def test_the_times_of_the_target_are_kept_where_the_file_has_them(table, write):
    assert open_domains(write(table)).adaptation().target.time is None
    table["target_train_time"] = np.array([0.0, 0.5, 1.0, 1.5, 2.0], np.float32)
    table["target_train_valid"] = np.array([True, False, True, True, True])
    assert open_domains(write(table)).adaptation().target.time.tolist() == [0.0, 1.0, 1.5, 2.0]


def test_optional_members_may_be_missing(table, write):
    optional = ("distortion", "aspect", "valid", "subject", "pitch", "rotation")
    lean = {name: v for name, v in table.items() if not name.endswith(optional)}
    data = open_domains(write(lean)).adaptation()
    assert data.target.camera.distortion is None and data.target.camera.aspect is None
    assert data.target.visible is None and data.source.columns == {}


def test_a_file_may_name_its_skeleton(table, write):
    for split, rows in ROWS.items():
        for field, width in (("pose_2d", 2), ("pose_3d", 3)):
            table[f"{split}_{field}"] = np.full((rows, 17, width), 0.5, np.float32)
    assert open_domains(write(table), skeleton=COCO17).adaptation().skeleton is COCO17
    table["skeleton"] = np.array("coco17")
    path = write(table)
    assert open_domains(path).skeleton is COCO17
    table["skeleton"] = np.array("octopus")
    with pytest.raises(DataError, match=r"pair.npz: skeleton: expected one of h36m16.*got 'octopus'"):
        open_domains(write(table))


def test_the_fingerprint_is_the_files_sha256(table, write):
    path = write(table)
    assert open_domains(path).fingerprint() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_float64_files_become_float32(table, write):
    wide = {name: v.astype(np.float64) if v.dtype == np.float32 else v for name, v in table.items()}
    assert same(open_domains(write(table)).adaptation(), open_domains(write(wide, "wide.npz")).adaptation())


def replace(field: str, value: object) -> Callable[[Table], None]:
    def change(table: Table) -> None:
        table[field] = np.asarray(value(table[field]) if callable(value) else value)

    return change


BAD = {
    "missing member": (
        lambda t: t.pop("source_focal"),
        r"source_focal: expected this member, found a file with",
    ),
    "other joints": (
        replace("source_pose_2d", lambda v: v[:, :15]),
        r"source_pose_2d: expected shape \(N, 16, 2\) with N > 0, found shape \(7, 15, 2\)",
    ),
    "empty": (
        replace("source_pose_2d", lambda v: v[:0]),
        r"source_pose_2d: .* N > 0, found shape \(0, 16, 2\)",
    ),
    "other rows": (
        replace("source_pose_3d", lambda v: v[:3]),
        r"source_pose_3d: expected shape \(7, 16, 3\), found shape \(3, 16, 3\)",
    ),
    "integers": (
        replace("target_train_pose_2d", lambda v: v.astype(np.int64)),
        "target_train_pose_2d: expected floating point, found int64",
    ),
    "text": (
        replace("source_clip", np.array(list("abcdefg"))),
        "source_clip: expected integers, found <U1",
    ),
    "no truth values": (
        replace("source_valid", lambda v: v.astype(np.int8)),
        "source_valid: expected bool, found int8",
    ),
    "nothing valid": (
        replace("source_valid", lambda v: ~v),
        "source_valid: expected at least one valid row, found none in 7",
    ),
    "NaN in 3D": (
        replace("source_pose_3d", lambda v: np.where(np.arange(7)[:, None, None] == 4, np.nan, v)),
        "source_pose_3d: expected finite numbers, found NaN or Inf in 1 rows, first 4",
    ),
    "Inf in 2D": (
        replace("target_train_pose_2d", lambda v: v + np.float32(np.inf)),
        "target_train_pose_2d: expected finite numbers, found NaN or Inf in 5 rows, first 0",
    ),
    "too large for float32": (
        replace("source_center", lambda v: v.astype(np.float64) + 1e300),
        "source_center: expected finite numbers",
    ),
    "no focal length": (
        replace("source_focal", lambda v: v * 0),
        r"source_focal: expected positive focal lengths, found 0\.0",
    ),
    "millimetres": (
        replace("source_pose_3d", lambda v: v * 1000),
        r"source_pose_3d: expected metres, found values around \d+",
    ),
    "pixels": (
        replace("target_train_pose_2d", lambda v: v * 1000 + 500),
        r"target_train_pose_2d: expected screen coordinates .*, found values around \d+",
    ),
    "a number for a table": (
        replace("source_pose_2d", np.float32(3)),
        r"source_pose_2d: expected shape .*, found shape \(\)",
    ),
    "a column of another length": (
        replace("source_subject", np.array(["a"])),
        r"source_subject: expected shape \(7,\), found shape \(1,\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_member_gets_one_sentence_with_file_field_expected_and_found(table, write, case):
    change, message = BAD[case]
    change(table)
    with pytest.raises(DataError, match=rf"^.*pair\.npz: {message}") as caught:
        open_domains(write(table)).adaptation()
    assert "\n" not in str(caught.value)


def test_python_objects_are_never_unpickled(table, write, tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    table["source_subject"] = np.array([Trap()] * 7, dtype=object)
    with pytest.raises(
        DataError, match="source_subject: expected plain numbers or text, found Python objects"
    ):
        open_domains(write(table)).adaptation()
    assert not (tmp_path / "sprung").exists()


def test_what_is_not_an_npz_is_named(tmp_path):
    with pytest.raises(DataError, match=r"absent\.npz: expected an npz file, found nothing"):
        open_domains(tmp_path / "absent.npz")
    with pytest.raises(DataError, match="expected an npz file, found a folder"):
        open_domains(tmp_path)
    for name, content in (
        ("empty", b""),
        ("text", b"poses " * 100),
        ("npy", b"\x93NUMPY\x01\x00" + b"\x00" * 200),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name}: expected an npz file, found one that does not open"):
            open_domains(tmp_path / name)


def test_a_skeleton_that_is_no_text_is_named(table, write):
    table["skeleton"] = np.array(17)
    with pytest.raises(DataError, match="skeleton: expected text, found int64"):
        open_domains(write(table))


def test_a_damaged_header_is_not_quoted_at_length(table, write):
    content = npy("(7, 16, 2)", b"").replace(b"'shape'", b"\x00" * 7) + b"\x00" * 10_000
    content = content[:8] + (9000).to_bytes(2, "little") + content[10:]
    with pytest.raises(DataError, match="a damaged member") as caught:
        open_domains(with_member(write(table), "source_pose_2d", content)).adaptation()
    assert len(str(caught.value)) < 400


def npy(shape: str, data: bytes, descr: str = "<f4") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def with_member(path: Path, name: str, content: bytes) -> Path:
    """Replace one member of an npz by raw bytes."""
    out = path.with_name("changed.npz")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, content if info.filename == f"{name}.npy" else old.read(info))
    return out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a numpy array, found a damaged member"),
        (b"not an array at all", "expected a numpy array, found a damaged member"),
        (npy("(7, 16, 2)", b"\0" * 100), r"expected \d+ bytes for float32 \(7, 16, 2\), found \d+ bytes"),
        (npy("(10**18, 16, 2)", b""), "expected a numpy array, found a damaged member"),
        (npy("(1000000000000000000, 16, 2)", b""), "expected 128000000000000000128 bytes"),
        (npy("(-7, 16, 2)", b""), "negative length in shape"),
        (npy("((7, 16, 2)", b""), "expected a numpy array, found a damaged member"),
        (npy("(7, 16, 2)", b"", descr="|O"), "Python objects, which are not unpickled"),
        (npy("(7, 16, 2)", b"", descr="bogus"), "expected a numpy array, found a damaged member"),
        (b"\x93NUMPY\x07\x00" + b"\0" * 100, "npy version"),
    ],
)
def test_a_header_that_does_not_fit_its_member_is_refused(table, write, content, message):
    path = with_member(write(table), "source_pose_2d", content)
    with pytest.raises(DataError, match=rf"source_pose_2d: .*{message}|source_pose_2d: {message}"):
        open_domains(path).adaptation()


def test_a_member_that_expands_beyond_reason_is_refused_before_it_is_read(table, write, monkeypatch):
    monkeypatch.setattr(limits, "FREE_BYTES", 1 << 20)
    rows = 1 << 18
    content = npy(f"({rows}, 16, 2)", bytes(rows * 16 * 2 * 4))
    path = with_member(write(table), "source_pose_2d", content)
    assert path.stat().st_size < 1 << 17
    monkeypatch.setattr(np, "load", lambda *a, **k: pytest.fail("read the bomb"))
    with pytest.raises(
        DataError, match=r"source_pose_2d: expected at most \d+ bytes in a file of this size, found"
    ):
        Archive(path).read("source_pose_2d", ("N", 16, 2))


def test_damaged_files_raise_nothing_but_data_errors(table, write):
    """Truncate and flip bytes all over the file: it reads, or says why not, and nothing else."""
    path = write(table)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for trial in range(150):
        damaged = bytearray(whole)
        if trial % 3 == 0:
            damaged = damaged[: int(rng.integers(len(whole)))]
        else:
            for at in rng.integers(0, len(whole), size=int(rng.integers(1, 30))):
                damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            open_domains(path).adaptation()
        except DataError:
            refused += 1
    assert refused > 100


def test_a_truncated_member_is_refused_by_name(table, write):
    buffer = io.BytesIO()
    np.save(buffer, table["source_focal"])
    path = with_member(write(table), "source_focal", buffer.getvalue()[:-8])
    with pytest.raises(DataError, match="source_focal: expected 184 bytes for float32"):
        open_domains(path).adaptation()


@pytest.mark.parametrize(("split", "other"), [("target_test", "target_train"), ("source_val", "source")])
def test_a_clip_that_is_learned_from_and_evaluated_on_is_refused(table, write, split, other):
    table[f"{split}_clip"][1:3] = table[f"{other}_clip"][4]
    clip = table[f"{other}_clip"][4]
    domains = open_domains(write(table))
    with pytest.raises(
        DataError,
        match=f"{split}_clip: expected other clips than those of {other}, found 1 in both, first {clip}",
    ):
        domains.evaluation(split)
    table[f"{other}_valid"][:] = table[f"{other}_clip"] != clip  # rows that are dropped are not learned from
    assert len(open_domains(write(table)).evaluation(split))


def test_source_and_target_number_their_clips_separately(table, write):
    for split, first in (("source", 0), ("source_val", 50), ("target_train", 0), ("target_test", 50)):
        table[f"{split}_clip"][:] = first
    assert len(open_domains(write(table)).evaluation())
