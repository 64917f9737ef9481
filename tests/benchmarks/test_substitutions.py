"""`python -m benchmarks.substitutions`: what is put in is the truth, and what is left is the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from benchmarks.mocap.program import main as mocap
from benchmarks.real.clips import LIMBS, views
from benchmarks.real.program import main as real
from benchmarks.real.score import HIPS, score
from benchmarks.substitutions import truths
from benchmarks.substitutions.clips import ClipFile
from benchmarks.substitutions.program import main
from benchmarks.substitutions.tables import by_substitution, sentence
from benchmarks.substitutions.truths import Lift, Scene
from poseda.config import preset
from poseda.geometry.skeleton import H36M16
from poseda.inference import AdaptedLifter
from poseda.lifters.wide import WideLifter
from poseda.runs import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def perfect(bodies: np.ndarray) -> Lift:
    """Forty lifts without any error, of a person 5 m away."""
    truth = bodies[:, [H36M16.joint(joint) for joint in LIMBS]] + np.array([0.3, 0, 5.0])
    rays, seen = truth[..., :2] / truth[..., 2:], np.ones(truth.shape[:2], bool)
    lift = Lift(LIMBS, tuple(HIPS), truth, truth, rays, seen, np.zeros(len(truth), np.int64))
    return replace(lift, pose=lift.about_centre)


def test_the_true_size_mends_people_who_are_too_small_and_nothing_else(perfect: Lift) -> None:
    person = np.arange(40) % 2
    small = np.where(person, 0.8, 1.1)[:, None, None] * perfect.pose
    lift = replace(perfect, pose=small, person=person)
    assert lift.error > 50 and truths.with_size(lift).error == pytest.approx(0, abs=1e-9)
    turned = replace(perfect, pose=perfect.pose[..., [1, 0, 2]])
    assert truths.with_size(turned).error == pytest.approx(turned.error)


def test_true_lengths_keep_the_directions_of_segments(perfect: Lift) -> None:
    short = perfect.pose.copy()
    for name in ("left", "right"):
        elbow, wrist = (LIMBS.index(f"{name}_{joint}") for joint in ("elbow", "wrist"))
        short[:, wrist] = short[:, elbow] + 0.6 * (short[:, wrist] - short[:, elbow])
    lift = replace(perfect, pose=short)
    assert lift.error > 10 and truths.with_lengths(lift).error == pytest.approx(0, abs=1e-9)


def test_constant_offsets_are_found_whichever_way_people_turn(perfect: Lift) -> None:
    offsets = np.zeros((12, 3))
    offsets[LIMBS.index("left_knee")] = 0.05, 0.0, 0.02  # hips and shoulders carry the body's axes
    offsets[LIMBS.index("right_wrist")] = 0.0, -0.04, 0.0
    lift = truths.with_offsets(perfect, offsets)
    assert lift.error > 5
    found = truths.joint_offsets([lift])
    np.testing.assert_allclose(found, -offsets, atol=1e-9)
    assert truths.with_offsets(lift, found).error == pytest.approx(0, abs=1e-9)


def test_on_their_rays_joints_err_in_depth_alone(perfect: Lift) -> None:
    aside, behind = (perfect.moved(perfect.pose + _noise(axes)) for axes in ((1, 1, 0), (0, 0, 1)))
    assert aside.error > 10 and truths.on_rays(aside).error == pytest.approx(0, abs=1e-9)
    assert truths.on_rays(behind).error > 0.9 * behind.error
    unseen = replace(aside, seen=np.zeros_like(aside.seen))
    assert truths.on_rays(unseen).error == pytest.approx(aside.error)


def _noise(axes: tuple[int, int, int]) -> np.ndarray:
    return 0.03 * np.random.default_rng(0).standard_normal((40, 12, 3)) * np.array(axes)


def test_joints_without_truth_change_nothing_of_the_others(perfect: Lift) -> None:
    truth = perfect.truth.copy()
    truth[:, LIMBS.index("left_wrist")] = np.nan
    truth[:3, LIMBS.index("right_ankle")] = np.nan
    lift = replace(perfect, truth=truth)
    offsets = truths.joint_offsets([lift])
    for changed in (*(put_in(lift) for put_in in truths.ALONE.values()), truths.with_offsets(lift, offsets)):
        assert changed.error == pytest.approx(0, abs=1e-9)
        assert np.isfinite(changed.pose).all()


class Told(Scene):
    """Lifts that are too small, and higher by 2 cm at the left knee until gravity is told."""

    replaced: ClassVar = ("gravity", "size", "offsets")
    together: ClassVar = frozenset({"gravity", "size", "offsets"})
    told: ClassVar = frozenset({"gravity"})

    def __init__(self, perfect: Lift) -> None:
        super().__init__()
        self.perfect, self.asked = perfect, list[tuple[frozenset[str], bool]]()

    def lift(self, given: frozenset[str], learning: bool) -> Mapping[str, Lift]:
        self.asked.append((given, learning))
        offsets = np.zeros((12, 3))
        offsets[LIMBS.index("left_knee"), 1] = 0.0 if given else 0.02
        return {"here": self.perfect.moved(0.9 * truths.with_offsets(self.perfect, offsets).pose)}


def test_a_scene_is_lifted_once_for_each_truth_that_is_told(perfect: Lift) -> None:
    scene = Told(perfect)
    found = scene.errors()["here"]
    errors = found["errors"]
    assert found["frames"] == 40 and tuple(errors) == ("own", *Told.replaced, "all")
    told, untold = frozenset({"gravity"}), frozenset[str]()
    assert sorted(scene.asked, key=str) == sorted(
        [(told, False), (told, True), (untold, False), (untold, True)], key=str
    )
    assert errors["own"] > errors["gravity"] > errors["size"] > errors["all"]
    assert errors["all"] == pytest.approx(0, abs=1e-9)


@pytest.fixture
def short_clip(clip: Path, tmp_path: Path) -> Path:
    """Twelve frames of each half before one camera; the left wrist is hidden in the second half."""
    with np.load(clip) as file:
        content = dict(file)
    for name in ("keypoints", "image_size", "K", "dist", "R", "t"):
        content[name] = content[name][:1]
    content["keypoints"] = content["keypoints"][:, 8:32]
    for name in ("pose_3d", "frame"):
        content[name] = content[name][8:32]
    path = tmp_path / "short.npz"
    np.savez(path, **content)
    return path


def test_of_clips_the_first_halves_teach_and_the_second_halves_are_scored(short_clip: Path) -> None:
    config, lifter = preset("tiny"), WideLifter(H36M16, width=16, blocks=1).eval()
    model = AdaptedLifter(lifter, H36M16, config, "wide", 0)
    (view,) = views(short_clip)
    scene = ClipFile.read(model, short_clip)
    half = view.half(second=True)
    taught, scored = (scene.lift(frozenset(), learning)[view.name] for learning in (True, False))
    np.testing.assert_array_equal(scored.truth, half.truth)
    np.testing.assert_array_equal(taught.truth, view.half(second=False).truth)
    own, errors = score(model, half, "found"), scene.errors()[view.name]["errors"]
    assert own is not None and errors["own"] == pytest.approx(own["mpjpe"])
    assert errors["gravity"] != errors["own"] and errors["all"] < errors["own"]
    # These detections are exact, and the left wrist is hidden.
    assert errors["clean"] == pytest.approx(errors["limbs"], abs=0.05)
    assert abs(errors["complete"] - errors["clean"]) > 0.05


@pytest.fixture(scope="module")
def pairs(mocap_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A queue of the wide arms on p1."""
    out = tmp_path_factory.mktemp("queue") / "q"
    options = ["--pairs", "p1", "--splits", "0", "--seeds", "0", "--arms", "wide", "wide_target"]
    short = ["--preset", "tiny", "--device", "cpu", "--wide.steps", "20", "--wide.target-steps", "20"]
    assert mocap(["arms", "--mocap", str(mocap_folder), "--out", str(out), *options, *short]) == 0
    return out


def test_pairs_are_measured_once_beside_an_oracle_of_the_same_recipe(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, oracle = tmp_path / "found.json", tmp_path / "oracle"
    command = ["--out", str(out), "--mocap", str(pairs), "--oracle", str(oracle)]
    assert main(command) == 0
    table = capsys.readouterr().out
    assert "p1: oracle" in table and "MPJPE in mm, mean over views (p1 1) and seeds." in table
    scenes = {scene["arm"]: scene for scene in json.loads(out.read_text())["scenes"]}
    run = RunFolder(pairs / "runs/p1_split0")
    reported = {row["arm"]: row["mpjpe"] for row in run.results.read() if row["split"] == "target_test"}
    for arm, mpjpe in reported.items():
        errors = scenes[arm]["views"]["p1_split0"]["errors"]
        assert errors["own"] == pytest.approx(mpjpe, rel=1e-4)
        assert errors["all"] < errors["own"] and len(set(errors.values())) == len(errors)
    trained, recipe = RunFolder(oracle / "p1_split0").read_config(), run.read_config()
    assert (trained.wide, trained.views, trained.detector) == (recipe.wide, recipe.views, recipe.detector)
    for scene in scenes.values():
        (view,) = scene["views"].values()
        assert view["errors"]["one_pass"] > view["errors"]["all"]
    assert "(nothing, and no upward direction found)" in table
    assert trained.arms == ("wide",) and scenes["oracle"]["weights"] != scenes["wide"]["weights"]

    content, weights = out.read_bytes(), RunFolder(oracle / "p1_split0").weights(0, "wide", "lifter").path
    first = weights.read_bytes()
    assert main(command) == 0
    assert out.read_bytes() == content and weights.read_bytes() == first


def test_a_scene_is_measured_again_when_its_weights_have_changed(pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    assert main(["--out", str(out), "--mocap", str(pairs)]) == 0
    record = json.loads(out.read_text())
    record["scenes"][0] |= {"weights": "another", "views": {}}
    kept = record["scenes"][1]["views"]["p1_split0"]["errors"]
    kept["own"] = -1.0
    out.write_text(json.dumps(record))
    assert main(["--out", str(out), "--mocap", str(pairs)]) == 0
    scenes = {scene["arm"]: scene["views"] for scene in json.loads(out.read_text())["scenes"]}
    assert len(scenes) == 2
    assert scenes["wide"]["p1_split0"]["errors"]["own"] > 0
    assert scenes["wide_target"]["p1_split0"]["errors"]["own"] == -1.0


def test_a_folder_of_real_runs_is_measured_file_by_file(
    short_clip: Path, tmp_path: Path, bodies: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    motion, out = tmp_path / "motion.npz", tmp_path / "real"
    np.savez(motion, positions=bodies.astype(np.float32), clip_index=np.arange(40) // 10)
    runs = ["--clips", str(short_clip), "--motion", str(motion), "--out", str(out), "--seeds", "0"]
    short = ["--preset", "tiny", "--device", "cpu", "--wide.steps", "20", "--wide.target-steps", "20"]
    assert real([*runs, *short]) == 0
    record = tmp_path / "found.json"
    assert main(["--out", str(record), "--real", str(out), "--clips", str(short_clip)]) == 0
    assert "real: wide | real: wide_target |" in capsys.readouterr().out
    scores = {
        (row["arm"], row["view"]): row["mpjpe"]
        for row in json.loads((out / "real.json").read_text())["scores"]
        if row["way"] == "found"
    }
    for scene in json.loads(record.read_text())["scenes"]:
        for view, found in scene["views"].items():
            assert found["errors"]["own"] == pytest.approx(scores[scene["arm"], view], rel=1e-4)

    # The package's lifter learns each clip by itself, in a run of the clip.
    own = tmp_path / "own" / "seed0" / short_clip.stem
    own.parent.mkdir(parents=True)
    (out / "seed0").rename(own)
    again = ["--out", str(tmp_path / "own.json"), "--real", str(tmp_path / "own"), "--clips", str(short_clip)]
    assert main(again) == 0
    assert "package: wide | package: wide_target |" in capsys.readouterr().out
    first, second = (json.loads(path.read_text())["scenes"] for path in (record, tmp_path / "own.json"))
    assert [scene["views"] for scene in second] == [scene["views"] for scene in first]


def test_the_table_leaves_out_views_of_bystanders_and_what_does_not_apply() -> None:
    def scene(group: str, arm: str, **views: dict[str, float]) -> dict:
        found = {view.replace("_at_", " "): {"frames": 9, "errors": errors} for view, errors in views.items()}
        return {"group": group, "arm": arm, "views": found}

    record = {
        "scenes": [
            scene("real", "wide", a={"own": 10.0, "clean": 4.0}, b={"own": 20.0, "clean": 6.0}),
            scene("real", "wide", pose2sim_balancing_blazepose_at_1={"own": 300.0, "clean": 5.0}),
            scene("p1", "oracle", p1_split0={"own": 30.0}),
        ]
    }
    headings, lines = by_substitution(record)
    cells = {line[0]: line[1:] for line in lines}
    assert headings[1:] == ("real: wide", "p1: oracle")
    assert cells["nothing"] == ["15.0", "30.0"]
    assert cells["limbs alone, at their true places in the picture"] == ["5.0", ""]
    assert "(real 2, p1 1)" in sentence(record) and "blazepose 1" in sentence(record)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--real or --mocap: expected a folder with runs, got neither"),
        (["--real", "."], "--real and --clips: expected both or neither, got one of them"),
        (["--real", ".", "--clips", ".", "--oracle", "o"], "--oracle: expected --mocap beside it, got none"),
        (["--mocap", "."], "--mocap: expected a folder of `python -m benchmarks.mocap arms`, got ."),
        (["--real", ".", "--clips", "."], "--real: expected runs of `python -m benchmarks.real`, found none"),
    ],
)
def test_what_it_needs_is_said_in_a_sentence(
    options: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--out", str(tmp_path / "found.json"), *options]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_record_stays_as_it_is(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "notes.json"
    out.write_text("[1, 2]")
    assert main(["--out", str(out), "--mocap", str(pairs)]) == 2
    assert f"--out: expected a record of benchmarks.substitutions or no file, got {out}" in (
        capsys.readouterr().err
    )
    assert out.read_text() == "[1, 2]"
