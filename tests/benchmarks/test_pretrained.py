"""`python -m benchmarks.pretrained` packs a lifter that can be loaded, with a card that says what it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.pretrained import SCENE, main
from poseda import pretrained
from poseda.geometry.anatomy import DEGREES, RANGES, posed
from poseda.inference import AdaptedLifter
from poseda.runs import RunFolder


def test_a_lifter_is_trained_and_packed_with_its_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    angles = RANGES.mean(1) * 0.3 + 10 * rng.standard_normal((40, len(DEGREES)))
    bodies = posed(angles, np.full((40, 15), 0.3), rng.uniform(0, 360, 40)) + np.array([0, 0, 1.0])
    motion, packed = tmp_path / "motion.npz", tmp_path / "packed"
    np.savez(motion, positions=bodies.astype(np.float32), clip_index=np.arange(40) // 10)
    given = ["--motion", str(motion), "--described", "forty poses", "--attribution", "nobody"]
    folders = ["--out", str(tmp_path / "run"), "--install", str(packed)]
    assert main([*given, *folders, "--preset", "tiny", "--wide.steps", "20", "--device", "cpu"]) == 0
    card = json.loads((packed / "card.json").read_text())
    assert card["trained_on"] == ["embedded source domain", "forty poses"] and card["steps"] == 20
    file = packed / "seed0" / "wide" / "lifter.safetensors"
    assert card["bytes"] == file.stat().st_size and f"{card['bytes']:,} bytes" in capsys.readouterr().out
    assert AdaptedLifter.load(packed).wide
    trained, installed = (
        RunFolder(folder).weights(0, "wide", "lifter").load()[0] for folder in (tmp_path / "run", packed)
    )
    assert trained.keys() == installed.keys()
    assert all(installed[name].equal(value.half()) for name, value in trained.items())

    given = ["--scene-only", "--motion", str(motion), "--install", str(packed), "--preset", "tiny"]
    assert main([*given, "--wide.steps", "3", "--device", "cpu"]) == 0
    again = RunFolder(packed).weights(0, "wide", "lifter").load()[0]
    changed = {name for name in installed if not again[name].equal(installed[name])}
    assert changed and all(name.startswith(SCENE) or "log_" in name for name in changed)
    renewed = json.loads((packed / "card.json").read_text())
    assert renewed["scene_steps"] == 3 and renewed["source_val_mm"] != card["source_val_mm"]
    assert AdaptedLifter.load(packed).wide
    assert str(tmp_path) not in (packed / "config.json").read_text()

    capsys.readouterr()
    assert main([*given, "--wide.steps", "3", "--device", "cpu", "--wide.learning-rate", "1e38"]) == 2
    assert "nothing is packed; train with a lower --wide.learning-rate" in capsys.readouterr().err
    kept = RunFolder(packed).weights(0, "wide", "lifter").load()[0]
    assert all(kept[name].equal(value) for name, value in again.items())
    assert json.loads((packed / "card.json").read_text()) == renewed


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A copy of the package's lifter."""
    return Path(shutil.copytree(pretrained.FOLDER, tmp_path / "packed"))


@pytest.mark.usefixtures("one_thread")
def test_a_lifter_is_scored_by_camera_and_on_domains_without_training(
    packed: Path, clip: Path, members: dict[str, np.ndarray], tmp_path: Path
) -> None:
    before = json.loads((packed / "card.json").read_text())
    weights = (packed / "seed0" / "wide" / "lifter.safetensors").read_bytes()
    np.savez(tmp_path / "p9.npz", **members)
    given = ["--score-only", "--install", str(packed)]
    assert main([*given, "--clips", str(clip)]) == 0
    domains = ["--domains", str(tmp_path / "p9.npz"), "--domains-note", "made up"]
    assert main([*given, *domains]) == 0
    card = json.loads((packed / "card.json").read_text())
    assert (packed / "seed0" / "wide" / "lifter.safetensors").read_bytes() == weights
    views = card["views"]
    assert [(row["view"], row["frames"]) for row in views["mm"]] == [("someone 0", 20), ("someone 1", 20)]
    assert all(0 < row[way] < 1000 for row in views["mm"] for way in ("one_pass", "found", "given"))
    # No tilt that all cameras found together is known here: a column of it would repeat the true one.
    assert all("rig" not in row for row in views["mm"])
    assert views["left_out"] == [] and "did not learn from" in views["what"]
    assert card["domains"]["note"] == "made up" and card["domains"]["mm"][0]["domain"] == "p9"
    assert 0 < card["domains"]["mm"][0]["pa_mpjpe"] <= card["domains"]["mm"][0]["mpjpe"] < 200
    assert {name: card[name] for name in before if name not in ("views", "domains")} == {
        name: before[name] for name in before if name not in ("views", "domains")
    }


def test_a_view_of_too_few_frames_is_named(packed: Path, clip: Path, tmp_path: Path) -> None:
    with np.load(clip) as held:
        changed = {name: held[name] for name in held.files}
    changed["keypoints"][1, 20:, :, 2] = 0  # the second camera sees nobody in the second half
    np.savez(tmp_path / "one.npz", **changed)
    given = ["--score-only", "--install", str(packed), "--clips", str(tmp_path / "one.npz")]
    assert main(given) == 0
    views = json.loads((packed / "card.json").read_text())["views"]
    assert [row["view"] for row in views["mm"]] == ["one 0"] and views["left_out"] == ["one 1"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--score-only"], "--score-only: expected --clips or --domains beside it, got none"),
        (["--score-only", "--scene-only"], "--score-only: expected it without --scene-only, got both"),
        (["--scene-only"], "--motion: expected a value, or --score-only, got none"),
        (
            ["--scene-only", "--motion", "{file}", "--wide.width", "64"],
            "--wide.width: expected 384 with --scene-only, as the packed lifter was trained, got 64;",
        ),
        (
            ["--scene-only", "--motion", "{file}", "--views.lean", "0"],
            "--views.lean: expected 0.5 with --scene-only, as the packed lifter was trained, got 0.0;",
        ),
        (
            ["--scene-only", "--motion", "{file}", "--out", "{file}"],
            "--out: expected it without --scene-only, which does not read it",
        ),
        (["--scene-only", "--motion", "{file}", "{file}"], "--motion: expected values without repetition"),
        ([], "--motion: expected a value, or --score-only, got none"),
        (["--score-only", "--domains", "{file}"], "--domains: expected --domains-note beside it, got none"),
        (["--score-only", "--clips", "{file}", "--install", "{file}"], "--install: expected a packed lifter"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], sentence: str
) -> None:
    file = tmp_path / "file.npz"
    file.touch()
    assert main([option.format(file=file) for option in given]) == 2
    assert sentence in capsys.readouterr().err
