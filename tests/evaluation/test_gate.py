"""The do-no-harm gate: no gap keeps the source model, a gap adapts, and clips rather than frames decide."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import short_steps
from torch import Tensor

from poseda.cli import main
from poseda.config import preset
from poseda.datasets import AdaptationData, LabelledPoses, UnlabelledPoses, open_domains
from poseda.evaluation import gate
from poseda.evaluation.distance import ClipDistances, inhomogeneity, screen_features
from poseda.evaluation.gate import decide
from poseda.geometry.camera import Camera
from poseda.geometry.skeleton import H36M16
from poseda.runs.verdict import Margin, Verdict, preferred, recommend

LENS = Camera.from_field_of_view(60, 1000, 1000)


@pytest.fixture(scope="module")
def studio() -> LabelledPoses:
    return open_domains(None, size=0.3).adaptation().source


def pair(
    source: LabelledPoses, pose_2d: Tensor, clip: Tensor, visible: Tensor | None = None
) -> AdaptationData:
    target = UnlabelledPoses(pose_2d, LENS.expand(len(pose_2d)), clip, visible)
    return AdaptationData(H36M16, source, source, target)


def halves(source: LabelledPoses) -> tuple[LabelledPoses, LabelledPoses]:
    odd = source.clip % 2 == 1
    return source.rows(~odd), source.rows(odd)


# --------------------------------------------------------------------------------------------- distances


def test_the_coefficient_is_that_of_the_definition() -> None:
    # Points 0, 2 against 1, 5: E|X-Y| = (1+5+1+3)/4 = 2.5, E|X-X'| = 2/2 = 1, E|Y-Y'| = 4/2 = 2.
    one, other = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [5.0]])
    assert inhomogeneity(one, other) == pytest.approx((5 - 1 - 2) / 5)
    assert inhomogeneity(one, one) == 0.0
    assert inhomogeneity(torch.zeros(3, 2), torch.ones(4, 2)) == pytest.approx(1.0)
    assert inhomogeneity(torch.zeros(3, 2), torch.zeros(4, 2)) == 0.0


def test_groups_of_clips_count_frames_and_may_repeat_clips() -> None:
    rows, clip = torch.randn(700, 3), torch.randint(4, (700,))
    distances = ClipDistances(rows, clip, 4)
    groups = torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1], [0, 2, 0, 0]], dtype=torch.float64)
    found = distances.between(groups[:2], groups[1:])
    expected = inhomogeneity(rows[clip < 2], rows[clip >= 2])
    assert float(found[0]) == pytest.approx(expected, rel=1e-6)
    doubled = inhomogeneity(rows[clip >= 2], torch.cat([rows[clip == 1]] * 2))
    assert float(found[1]) == pytest.approx(doubled, rel=1e-6)


def test_posture_is_blind_to_place_and_size_and_placement_is_not(studio: LabelledPoses) -> None:
    seen = torch.ones(len(studio), 16, dtype=torch.bool)
    features, usable = screen_features(studio.pose_2d, seen, H36M16)
    moved, _ = screen_features(0.5 * studio.pose_2d + 0.2, seen, H36M16)
    assert bool(usable.all())
    torch.testing.assert_close(features["posture"], moved["posture"], rtol=1e-4, atol=1e-5)
    assert float((features["placement"] - moved["placement"]).abs().min(0).values.max()) > 0.01


# --------------------------------------------------------------------------------------------- verdicts


def test_a_pair_without_a_gap_keeps_the_source_model(studio: LabelledPoses) -> None:
    source, rest = halves(studio)
    verdict = decide(pair(source, rest.pose_2d, rest.clip))
    assert not verdict.adapt and verdict.unit == "clips"
    assert verdict.sentence.startswith("By 2D alone, no gap is seen: ")
    assert recommend(verdict, ("source_only", "gpa", "gpa_lpa")) == "source_only"
    assert recommend(verdict, ("gpa", "gpa_lpa")) == "pretrained"


@pytest.mark.parametrize("change", ["place", "size", "posture"])
def test_each_kind_of_gap_is_found(studio: LabelledPoses, change: str) -> None:
    source, rest = halves(studio)
    root = rest.pose_2d[:, :1]
    changed = {
        "place": rest.pose_2d + torch.tensor([0.15, 0.0]),
        "size": root + 1.5 * (rest.pose_2d - root),
        # Everyone bows: heads and arms at the height of the hips. The box is kept.
        "posture": root + (rest.pose_2d - root) @ torch.tensor([[0.0, 1.0], [1.0, 0.0]]),
    }[change]
    verdict = decide(pair(source, changed, rest.clip))
    assert verdict.adapt and verdict.sentence.startswith("By 2D alone, a gap is seen: ")
    feature = "posture" if change == "posture" else "placement"
    assert verdict.margins[feature].ratio > 1
    if change != "posture":
        assert verdict.margins["posture"].ratio < 1
    assert recommend(verdict, ("source_only", "gpa", "gpa_lpa", "oracle")) == "gpa_lpa"


def test_the_embedded_footage_is_adapted_to_and_repeats_to_the_bit() -> None:
    data = open_domains(None).adaptation()
    verdict = decide(data)
    assert verdict.adapt and verdict.margins["placement"].ratio > 5 and verdict == decide(data)


def test_one_clip_that_the_source_could_hold_is_no_gap(studio: LabelledPoses) -> None:
    # Frame by frame a single clip differs from the studio; as a clip it does not.
    source, rest = halves(studio)
    one = rest.clip == rest.clip[0]
    verdict = decide(pair(source, rest.pose_2d[one], rest.clip[one]))
    assert not verdict.adapt and verdict.compared == 1
    assert "with only 1 of the target's clips a small gap cannot be seen" in verdict.sentence
    alone = decide(pair(source, rest.pose_2d[one], torch.arange(int(one.sum()))))
    assert alone.adapt, "were its frames independent, the same poses would be a gap"


def test_a_source_of_one_clip_is_divided_into_blocks(studio: LabelledPoses) -> None:
    whole = dataclasses.replace(studio, clip=torch.zeros_like(studio.clip))
    verdict = decide(pair(whole, studio.pose_2d, torch.zeros_like(studio.clip)))
    assert verdict.unit == "blocks of frames" and verdict.source == gate.BLOCKS and not verdict.adapt
    assert decide(pair(whole, studio.pose_2d + 0.3, torch.zeros_like(studio.clip))).adapt


def test_unseen_joints_of_the_target_are_no_gap(studio: LabelledPoses) -> None:
    source, rest = halves(studio)
    visible = torch.rand(len(rest), 16) > 0.3
    hidden = rest.pose_2d.where(visible[..., None], torch.zeros(()))
    assert not decide(pair(source, hidden, rest.clip, visible)).adapt
    # Heads and feet never seen: the boxes are small, and so are the source's with the same gaps.
    ends = torch.ones(len(rest), 16, dtype=torch.bool)
    ends[:, [H36M16.joint(name) for name in ("head_top", "left_ankle", "right_ankle")]] = False
    hidden = rest.pose_2d.where(ends[..., None], torch.zeros(()))
    assert not decide(pair(source, hidden, rest.clip, ends)).adapt
    with pytest.raises(
        ValueError, match="target: expected a visible root and a box in 1 or more poses, found 0"
    ):
        decide(pair(source, hidden, rest.clip, torch.zeros_like(ends)))


def test_the_margin_is_the_distance_over_the_limit() -> None:
    margin = Margin(halves=0.01, limit=0.02, target=0.05)
    assert margin.ratio == 2.5
    verdict = Verdict({"placement": margin, "posture": Margin(0.01, 0.02, 0.02)}, "clips", 10, 7, 5)
    assert verdict.adapt and "by 2.5 times what chance explains" in verdict.sentence
    record = json.loads(json.dumps(verdict.to_json("gpa")))
    assert record["verdict"] == "adapt" and record["recommended"] == "gpa"
    assert record["placement"] == {"halves": 0.01, "limit": 0.02, "target": 0.05, "ratio": 2.5}
    # At the limit is not beyond it.
    even = Margin(0.01, 0.02, 0.02)
    assert not Verdict({"placement": even}, "clips", 10, 7, 5).adapt
    both = ("gpa", "wide", "wide_target")
    assert recommend(None, both) == "wide_target"
    assert recommend(None, ("oracle", "gpa")) == "gpa" and recommend(None, ("oracle",)) == "pretrained"


def test_the_preferred_arm_is_the_method_and_never_the_oracle() -> None:
    assert preferred(["source_only", "gpa_lpa", "oracle"]) == "gpa_lpa"
    assert preferred(["source_only", "lpa", "gpa", "oracle"]) == "gpa"
    assert preferred(["wide", "wide_target"]) == "wide_target"
    assert preferred(["oracle"]) is None


# --------------------------------------------------------------------------------------------- in a run

SHORT = short_steps(4)
TINY = ["adapt", "--preset", "tiny", "--device", "cpu", *SHORT, "--arms", "source_only", "gpa"]


@pytest.fixture
def no_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate finds no gap in any data."""
    verdict = Verdict({"placement": Margin(0.01, 0.02, 0.01)}, "clips", 10, 7, 5)
    monkeypatch.setattr(gate, "decide", lambda data: verdict)


def ran(out: Path, *options: str) -> tuple[dict[str, Any], set[str]]:
    """The gate's record and the arms that were trained."""
    assert main([*TINY, *options, "--out", str(out)]) == 0
    rows = json.loads((out / "results.json").read_text())
    return json.loads((out / "gate.json").read_text()), {row["arm"] for row in rows}


@pytest.mark.usefixtures("no_gap")
def test_a_kept_source_model_is_said_so_and_the_table_stays_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record, arms = ran(tmp_path / "r")
    assert record["verdict"] == "keep" and record["recommended"] == "source_only"
    assert arms == {"source_only", "gpa"}
    assert "By 2D alone, no gap is seen" in capsys.readouterr().out


@pytest.mark.usefixtures("no_gap")
def test_with_the_gate_on_nothing_is_adapted_without_a_gap(tmp_path: Path) -> None:
    record, arms = ran(tmp_path / "r", "--gate", "on")
    assert record["recommended"] == "source_only" and arms == {"source_only"}
    # Resumed without the gate, what was asked for is trained after all.
    _, arms = ran(tmp_path / "r", "--resume", "--gate", "report")
    assert arms == {"source_only", "gpa"}
    # A verdict that this run did not ask for does not stay.
    assert main([*TINY, "--resume", "--gate", "off", "--out", str(tmp_path / "r")]) == 0
    assert not (tmp_path / "r" / "gate.json").exists()


def test_a_gap_recommends_the_adapted_arm_and_off_asks_nothing(tmp_path: Path) -> None:
    record, _ = ran(tmp_path / "r", "--gate", "on", "--domain-size", "0.2")
    assert record["verdict"] == "adapt" and record["recommended"] == "gpa"
    assert main([*TINY, "--gate", "off", "--out", str(tmp_path / "off")]) == 0
    assert not (tmp_path / "off" / "gate.json").exists()
    assert preset("default").gate == "report"
