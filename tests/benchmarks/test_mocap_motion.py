"""The motion-capture benchmarks, on a small made-up folder of the same form.

With ``POSEDA_MOCAP=FOLDER`` the real folder is built, too, and compared with its ``make_domains.py``.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from programs import load_program

from benchmarks.mocap.motion import BENCHMARKS, BODY_DONORS, build_benchmark
from poseda.datasets import SPLITS, DataError, open_domains
from poseda.datasets.synthetic.repertoire import FRAMES
from poseda.geometry.camera import Camera, project
from poseda.geometry.skeleton import H36M16


@pytest.fixture
def real_folder() -> Path:
    if "POSEDA_MOCAP" not in os.environ:
        pytest.skip("POSEDA_MOCAP does not name a folder of motion capture")
    return Path(os.environ["POSEDA_MOCAP"])


@pytest.mark.parametrize("benchmark_name", BENCHMARKS)
@pytest.mark.parametrize("sequences", [False, True])
def test_a_built_benchmark_opens_as_domains(mocap_folder, tmp_path, benchmark_name, sequences):
    table = build_benchmark(mocap_folder, benchmark_name, seed=1, sequences=sequences)
    np.savez_compressed(tmp_path / "built.npz", **table)
    domains = open_domains(tmp_path / "built.npz")
    data = domains.adaptation()
    seen = [
        set(poses.clip.tolist())
        for poses in (data.source, data.source_val, data.target, domains.evaluation())
    ]
    assert all(seen)
    # One domain of p2, dev and back numbers the clips of another database.
    own = seen if benchmark_name in ("p0", "p1") else seen[:2] if benchmark_name == "back" else seen[2:]
    assert len(set().union(*own)) == sum(map(len, own))
    for poses in (data.source, domains.evaluation(), domains.oracle()):
        camera = Camera(
            *(getattr(poses.camera, f).double() for f in ("focal", "center", "distortion", "aspect"))
        )
        # float32 storage of poses at some metres.
        torch.testing.assert_close(
            project(poses.pose_3d.double(), camera), poses.pose_2d.double(), rtol=0, atol=2e-6
        )


def test_the_same_seed_gives_the_same_bits_and_another_does_not(mocap_folder):
    first, again, other = (build_benchmark(mocap_folder, "p2", seed=s) for s in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["source_pose_2d"][:20], other["source_pose_2d"][:20])


def test_p1_gives_each_domain_its_own_rig(mocap_folder):
    table = build_benchmark(mocap_folder, "p1")
    assert np.allclose(table["source_focal"], [2.29, 2.288]) and np.allclose(table["target_test_aspect"], 1.0)
    assert table["source_distortion"].any() and not table["target_train_distortion"].any()
    # The three ceiling cameras, pitched by 28 degrees, are left out.
    assert set(table["target_train_camera"]) <= set(range(5)) and table["target_train_pitch"].max() < 13
    assert set(table["source_camera"]) <= set(range(20))


def test_p0_films_both_domains_with_the_studio_rig(mocap_folder):
    table = build_benchmark(mocap_folder, "p0")
    fields = ("focal", "center", "distortion", "aspect")
    for field in fields:
        rigs = [np.unique(table[f"{split}_{field}"], axis=0) for split in ("source", "target_train")]
        assert np.array_equal(*rigs)
    assert table["target_test_distortion"].any()
    assert np.array_equal(table["source_clip"], build_benchmark(mocap_folder, "p1")["source_clip"])


def test_p2_keeps_the_donors_out_of_the_target_and_puts_their_bones_into_the_source(mocap_folder):
    table = build_benchmark(mocap_folder, "p2")
    target = set(table["target_train_subject"]) | set(table["target_test_subject"])
    assert target == {"cmu01", "cmu86", "cmu05@iclone", "walking@expmap"}
    assert set(table["source_subject"]) == {"bandai1", "bandai2"}

    def lengths(pose: np.ndarray) -> np.ndarray:
        return np.linalg.norm(pose[:, 1:] - pose[:, list(H36M16.parents[1:])], axis=-1)

    with np.load(mocap_folder / "cmu.npz") as cmu:
        frames = cmu["subject"][cmu["clip_index"]]
        donors = np.stack([lengths(cmu["positions"][frames == s]).mean(0) for s in BODY_DONORS])
    bones = lengths(table["source_pose_3d"])
    ratio = bones[:, None] / donors  # (N, donors, K): constant over the bones for one's own donor
    unevenness = (ratio.max(-1) / ratio.min(-1)).min(1)
    assert unevenness.max() < 1.001
    scale = np.take_along_axis(ratio.mean(-1), (ratio.max(-1) / ratio.min(-1)).argmin(1)[:, None], 1)
    assert 0.959 < scale.min() < scale.max() < 1.041


def test_back_is_dev_the_other_way_round(mocap_folder):
    back, dev = (build_benchmark(mocap_folder, name) for name in ("back", "dev"))
    for one, other in (("source", "target_train"), ("target_train", "source")):
        assert set(back[f"{one}_subject"]) == set(dev[f"{other}_subject"])
        assert {*map(tuple, back[f"{one}_focal"])} <= {*map(tuple, dev[f"{other}_focal"])}
    assert set(back["target_test_subject"]) == {"bandai1", "bandai2"}


def test_sequences_are_in_order_and_keep_invalid_frames(mocap_folder):
    table = build_benchmark(mocap_folder, "p1", sequences=True)
    for split in SPLITS:
        order = np.lexsort([table[f"{split}_{field}"] for field in ("time", "camera", "clip")])
        assert np.array_equal(order, np.arange(len(order)))
        track = np.stack([table[f"{split}_clip"], table[f"{split}_camera"]], 1)
        assert (np.unique(track, axis=0, return_counts=True)[1] == FRAMES).all()


def test_what_is_missing_or_wrong_is_named(mocap_folder, tmp_path):
    with pytest.raises(ValueError, match="benchmark: expected one of p0, p1, p2, dev, back, got 'p3'"):
        build_benchmark(mocap_folder, "p3")
    with pytest.raises(
        DataError, match=r"cameras\.json: file: expected a file that can be read, found No such file"
    ):
        build_benchmark(tmp_path, "p1")
    (tmp_path / "cameras.json").write_text('{"human36m": {}}')
    with pytest.raises(DataError, match=r"human36m\.intrinsics: expected a list, found nothing"):
        build_benchmark(tmp_path, "p1")
    (tmp_path / "cameras.json").write_text((mocap_folder / "cameras.json").read_text())
    with pytest.raises(DataError, match=r"cmu\.npz: expected an npz file, found nothing"):
        build_benchmark(tmp_path, "p1")
    with np.load(mocap_folder / "cmu.npz") as whole:
        members = dict(whole)
    np.savez(tmp_path / "cmu.npz", **{**members, "clip_index": members["clip_index"] + 5})
    with pytest.raises(DataError, match=r"clip_index: expected numbers from 0 to 27, found 5 to 32"):
        build_benchmark(tmp_path, "p1")


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the script leaves its files to the collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("benchmark_name", ["p1", "p2"])
def test_the_real_folder_gives_what_its_own_script_gives(real_folder, benchmark_name, sequences):
    script = load_program(real_folder / "make_domains.py")
    expected = script.build(str(real_folder), benchmark_name, 0, sequences)
    built = build_benchmark(real_folder, benchmark_name, 0, sequences)
    assert built.keys() == expected.keys()
    for name in expected:
        assert np.array_equal(built[name], expected[name]), name
