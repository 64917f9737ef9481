"""Published protocols: counts worked by hand, and the published files, small, from the command line."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from runs import short_steps

from poseda.cli import main
from poseda.config import EvaluateConfig
from poseda.datasets.layouts import MPI_INF_3DHP_17, SPIN24
from poseda.evaluation.protocols import FOURTEEN, PROTOCOLS
from poseda.geometry.skeleton import H36M16, H36M17
from poseda.inference import AdaptedLifter

SHORT = short_steps(4)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("runs") / "run"
    given = ["--arms", "gpa", "--gate", "off", "--out", str(out)]
    assert main(["adapt", "--preset", "tiny", "--device", "cpu", *SHORT, *given]) == 0
    yield out
    torch.set_num_threads(before)


def off_by(**millimetres: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Two equal poses of h36m16 and predictions of which the first is off at the named joints."""
    target = torch.randn(1, 16, 3, dtype=torch.float64).expand(2, -1, -1)
    prediction = target.clone()
    for joint, distance in millimetres.items():
        prediction[0, H36M16.joint(joint), 0] += distance / 1000
    return prediction, target


def test_the_official_count_is_over_fourteen_joints_strictly_under_each_threshold() -> None:
    # Of 2 frames and 14 counted joints one is off by 149 mm, one by 151; spine and pelvis do not count.
    prediction, target = off_by(left_wrist=149.0, head_top=151.0, spine=400.0)
    official = PROTOCOLS["mpi-inf-3dhp-official"]
    scores = official.measure(prediction, target, H36M16, torch.tensor([0, 1]))
    assert scores["pck"] == pytest.approx(100 * 27 / 28)
    # Thresholds 0, 5, ..., 150: at 0 nobody is under; from 5 to 145 26 of 28; at 150 the wrist as well.
    assert scores["auc"] == pytest.approx(100 * (0 + 29 * 26 / 28 + 27 / 28) / 31)
    # MPJPE is over all joints of the skeleton, roots at the origin.
    assert scores["mpjpe"] == pytest.approx((149 + 151 + 400) / 32)
    assert scores["poses"] == 2 and scores["per_joint"]["spine"] == pytest.approx(200.0)


def test_the_threshold_itself_does_not_count() -> None:
    # 0.125 m is exact in binary: at the threshold of 125 mm it is not under it.
    target = torch.zeros(1, 16, 3, dtype=torch.float64)
    prediction = target.clone()
    prediction[0, H36M16.joint("left_wrist"), 1] = 0.125
    scores = PROTOCOLS["mpi-inf-3dhp-official"].measure(prediction, target, H36M16, torch.zeros(1).long())
    # 125 mm is under 130, ..., 150 only: 5 of 31 thresholds.
    assert scores["auc"] == pytest.approx(100 * (13 / 14 * 30 / 31 + 1 / 14 * 5 / 31))


def test_sequences_weigh_alike_where_it_says_so() -> None:
    prediction, target = off_by(left_wrist=280.0)
    clip = torch.tensor([0, 1, 1, 1])
    prediction, target = (torch.cat([part, part[1:], part[1:]]) for part in (prediction, target))
    scores = PROTOCOLS["3dpw-14"].measure(prediction, target, H36M16, clip)
    assert scores["mpjpe"] == pytest.approx(280 / 14 / 4)
    assert scores["mpjpe_per_sequence"] == pytest.approx((280 / 14 + 0) / 2)
    assert scores["pck"] == pytest.approx(100 * 55 / 56)
    assert scores["pck_per_sequence"] == pytest.approx((100 * 13 / 14 + 100) / 2)


def test_poseaugs_count_is_over_all_sixteen_and_alignment_is_for_each_frame() -> None:
    prediction, target = off_by(spine=151.0)
    protocol = PROTOCOLS["poseaug-3dhp-2929"]
    assert protocol.measure(prediction, target, H36M16, torch.zeros(2).long())["pck"] == pytest.approx(96.875)
    rotation = torch.linalg.qr(torch.randn(2, 3, 3, dtype=torch.float64)).Q
    rotation = rotation * torch.linalg.det(rotation)[:, None, None]
    scores = protocol.measure(1.7 * target @ rotation, target, H36M16, torch.zeros(2).long())
    assert scores["pa_mpjpe"] < 1e-6 < scores["mpjpe"]


def test_the_joints_are_those_that_the_sets_share() -> None:
    assert len(FOURTEEN) == 14 and set(FOURTEEN) == set(H36M16.joint_names) - {"pelvis", "spine"}
    assert set(FOURTEEN) <= set(H36M17.joint_names)
    asked_for = get_args(get_args(get_type_hints(EvaluateConfig)["protocol"])[0])
    assert set(asked_for) == set(PROTOCOLS), "the command line offers every protocol"


# ----------------------------------------------------------------------------------------- published files


def people(joints: int, rows: int) -> np.ndarray:
    """(N, J, 3) metres before a camera."""
    rng = np.random.default_rng(0)
    return rng.normal(0, 0.3, (rows, joints, 3)) + rng.uniform([-0.3, -0.3, 3], [0.3, 0.3, 5], (rows, 1, 3))


def seen_at(pose: np.ndarray) -> np.ndarray:
    """Pixels in MPI-INF-3DHP's studio camera."""
    return 1500 * pose[..., :2] / pose[..., 2:] + 1024


def cameras(folder: Path) -> Path:
    lens = {"res_w": 2048, "res_h": 2048, "center": [1024, 1024], "focal_length": [1500, 1500]}
    path = folder / "cameras.json"
    path.write_text(json.dumps({"mpi_inf_3dhp": {"test_set": {"TS1-TS4": lens, "TS5-TS6": lens}}}))
    return path


def write_spin(folder: Path) -> Path:
    pose = people(24, 6)
    hips = SPIN24.index(["left_hip", "right_hip"])
    pelvis = pose[:, SPIN24.index(["pelvis"])]
    pose[:, hips] = pelvis + np.array([[0.1, 0, 0], [-0.1, 0, 0]])
    known = np.ones((6, 24, 1))
    path = folder / "mpi_inf_3dhp_valid.npz"
    np.savez(
        path,
        imgname=[
            f"mpi_inf_3dhp_test_set/TS{1 + row // 3}/imageSequence/img_{row:06d}.jpg" for row in range(6)
        ],
        part=np.concatenate([seen_at(pose), known], -1),
        S=np.concatenate([pose - pelvis, known], -1),
    )
    return path


def write_3dpw(folder: Path, rows: int = 4) -> Path:
    (folder / "test").mkdir()
    content: dict[str, Any] = {
        "jointPositions": [people(24, rows).reshape(rows, 72)],
        "cam_poses": np.tile(np.eye(4), (rows, 1, 1)),
        "cam_intrinsics": np.array([[1960.0, 0, 540], [0, 1960.0, 960], [0, 0, 1]]),
        "campose_valid": [np.array([1, 0] + [1] * (rows - 2))],
    }
    (folder / "test" / "downtown_00.pkl").write_bytes(pickle.dumps(content, protocol=2))
    return folder / "test"


def write_official(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """annot_data.mat, through as much of h5py as the reader uses."""
    pose = people(len(MPI_INF_3DHP_17), 5)
    members = {
        "annot2": seen_at(pose)[:, None],
        "univ_annot3": 1000 * pose[:, None],
        "valid_frame": np.array([[1.0], [0], [1], [1], [1]]),
    }

    class Stored(np.ndarray):
        def __getitem__(self, key: Any) -> Any:
            return np.asarray(self) if key == () else super().__getitem__(key)

    class Opened(dict):
        def __enter__(self) -> Opened:
            return self

        def __exit__(self, *_: object) -> None: ...

    module = ModuleType("h5py")
    module.File = lambda *_: Opened({k: v.view(Stored) for k, v in members.items()})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "h5py", module)
    (folder / "TS2").mkdir()
    (folder / "TS2" / "annot_data.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n")
    return folder / "TS2" / "annot_data.mat"


@pytest.mark.parametrize(
    ("name", "poses"), [("poseaug-3dhp-2929", 6), ("mpi-inf-3dhp-official", 4), ("3dpw-14", 3)]
)
def test_each_protocol_reads_its_files_and_leaves_its_card(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, poses: int
) -> None:
    if name == "poseaug-3dhp-2929":
        data = write_spin(tmp_path)
    elif name == "3dpw-14":
        data = write_3dpw(tmp_path)
    else:
        data = write_official(tmp_path, monkeypatch)
    given = ["evaluate", str(run), "--protocol", name, "--data", str(data)]
    if name != "3dpw-14":
        given += ["--cameras", str(cameras(tmp_path))]
    assert main(given) == 0
    written = json.loads((run / "evaluation.json").read_text())
    (row,) = written["results"]
    assert row["split"] == name and row["poses"] == poses
    model = AdaptedLifter.load(run)
    labelled = PROTOCOLS[name].open(data, H36M16, Path(given[-1]) if name != "3dpw-14" else None)
    target = labelled.pose_3d - labelled.pose_3d[:, :1]
    errors = (model.lift(labelled.pose_2d) - target).norm(dim=-1)
    scored = [H36M16.joint(joint) for joint in PROTOCOLS[name].scored or H36M16.joint_names]
    assert row["mpjpe"] == pytest.approx(1000 * float(errors[:, scored].mean()), rel=1e-4)
    card = written["protocol"]
    assert {"joints", "frames", "2D source", "alignment", "PCK, AUC", "exclusions", "target"} <= set(card)
    assert card["protocol"] == name and card["frames"].startswith(str(poses))
    assert ("the published set has 2,929" in card["frames"]) == (name == "poseaug-3dhp-2929")
    assert len(written["data"]["evaluated"]["sha256"]) == 64


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 2
    return capsys.readouterr().err


def test_what_is_not_the_set_or_incomplete_is_one_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(write_3dpw(tmp_path))
    before = (run / "evaluation.json").read_bytes() if (run / "evaluation.json").exists() else None
    given = ["evaluate", str(run), "--protocol", "poseaug-3dhp-2929"]
    assert "expected SPIN's mpi_inf_3dhp_valid.npz" in refused(capsys, *given, "--data", data)
    assert "protocol: expected --data with the files" in refused(capsys, *given)
    assert "cameras: expected --protocol beside it" in refused(
        capsys, "evaluate", str(run), "--cameras", str(cameras(tmp_path))
    )
    assert "nowhere" in refused(capsys, *given, "--data", str(tmp_path / "nowhere.npz"))
    after = (run / "evaluation.json").read_bytes() if (run / "evaluation.json").exists() else None
    assert before == after
