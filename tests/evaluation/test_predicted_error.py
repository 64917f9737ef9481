"""Predicted errors: simulated targets with their truth, the regression on them, and what is recommended."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from poseda.config import RunConfig
from poseda.datasets import AdaptationData, UnlabelledPoses, own_domains
from poseda.datasets.synthetic.embedded import EmbeddedDomains
from poseda.evaluation import predicted_error
from poseda.evaluation.error_model import ErrorModel
from poseda.evaluation.predicted_error import gather, lift_rows, scores_of, true_errors
from poseda.evaluation.simulated_target import Postures, Simulator, placed_rows
from poseda.geometry.camera import project, tilted_up
from poseda.geometry.placements import locate
from poseda.geometry.rotation import angle_between
from poseda.geometry.skeleton import H36M16
from poseda.inference import AdaptedLifter
from poseda.runs.atomic import JsonFile
from poseda.runs.verdict import Evidence, Margin, PredictedError, Verdict, VerdictFile, why
from tests.shared.rigs import film_rig

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = RunConfig(arms=("wide", "wide_target"))
FEW = {"rows": 80, "targets": 4}
"""As few as a test can do with."""


@pytest.fixture(scope="module")
def data() -> AdaptationData:
    return EmbeddedDomains(size=0.1).adaptation()


@pytest.fixture(scope="module")
def wide() -> nn.Module:
    """The package's lifter."""
    return AdaptedLifter.load().lifter


class Flat(nn.Module):
    """A lifter of screen coordinates that takes people for flat and two metres high, and trembles."""

    def __init__(self, trembling: float = 0.0) -> None:
        super().__init__()
        self.size = nn.Parameter(torch.tensor(1.7))
        self.trembling = trembling

    def forward(self, pose_2d: Tensor) -> Tensor:
        local = pose_2d - pose_2d[..., :1, :]
        height = (local[..., 1].amax(-1) - local[..., 1].amin(-1)).clamp_min(1e-3)[..., None, None]
        pose = torch.nn.functional.pad(self.size * local / height, (0, 1))
        rng = torch.Generator().manual_seed(0)
        noise = self.trembling * torch.randn(pose.shape, generator=rng)
        noise[..., 0, :] = 0
        return pose + noise


def damaged(model: nn.Module, by: float) -> nn.Module:
    """The same lifter with weights that are off by a share of their size."""
    worse, rng = copy.deepcopy(model), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in worse.parameters():
            weight += by * weight.std(correction=0) * torch.randn(weight.shape, generator=rng)
    return worse


def simulator(data: AdaptationData, rows: int = 100) -> Simulator:
    target = data.target.rows(placed_rows(data.target, data.skeleton)[:rows])
    up = tilted_up(torch.tensor([[0.5, 0.1]])).expand(len(target), 3)
    postures = Postures.of_source(data.source_val, data.skeleton, CONFIG.views)
    return Simulator(postures, target, up, data.skeleton, CONFIG.detector)


# ------------------------------------------------------------------------------------- simulated targets


def test_a_simulated_target_is_seen_by_the_targets_cameras_where_its_people_stand(
    data: AdaptationData,
) -> None:
    made = simulator(data)
    drawn = made.draw(0.0, torch.Generator().manual_seed(3))
    poses = drawn.poses
    assert len(poses) > 0.9 * len(made.target) and drawn.truth[:, 0].abs().max() == 0
    # Without a detector's errors the truth fits the picture.
    root = locate(drawn.truth.double(), poses.pose_2d.double(), poses.camera.to(torch.float64), None, 3)
    again = project(drawn.truth + root[:, None], poses.camera.to(torch.float64))
    torch.testing.assert_close(again, poses.pose_2d.double(), atol=1e-3, rtol=0)
    # Rows may be left out, so each root is looked up among the target's.
    found, there = poses.pose_2d[:, 0].double(), made.target.pose_2d[:, 0].double()
    assert torch.cdist(found, there).amin(1).max() < 1e-4


def test_people_of_a_simulated_target_stand_upright_before_the_targets_camera(data: AdaptationData) -> None:
    made = simulator(data)
    bodies = dataclasses.replace(made.postures.views, build=0, stature=0)
    made = made.showing(dataclasses.replace(made.postures, views=bodies))
    thorax = data.skeleton.joint("thorax")
    trunk = made.draw(0.0, torch.Generator().manual_seed(3)).truth[:, thorax]
    assert angle_between(trunk.mean(0), made.up[0]).rad2deg() < 25
    assert angle_between(trunk.mean(0), torch.tensor([0.0, -1.0, 0.0])).rad2deg() > 15  # not level


def test_what_the_target_hides_is_hidden(data: AdaptationData) -> None:
    made = simulator(data)
    wrist = data.skeleton.joint("left_wrist")
    visible = torch.ones(len(made.target), 16, dtype=torch.bool)
    visible[:, wrist] = False
    target = dataclasses.replace(made.target, visible=visible)
    hidden = Simulator(made.postures, target, made.up, data.skeleton, CONFIG.detector)
    drawn = hidden.draw(1.0, torch.Generator().manual_seed(0)).poses
    assert drawn.visible is not None and not drawn.visible[:, wrist].any()
    assert drawn.pose_2d[:, wrist].abs().max() == 0 and drawn.pose_2d[:, wrist - 1].abs().min() > 0


# ------------------------------------------------------------------------------------------ the regression


def test_rows_that_barely_show_a_person_are_no_evidence(data: AdaptationData) -> None:
    visible = torch.ones(len(data.target), 16, dtype=torch.bool)
    visible[5:, 7:] = False
    target = dataclasses.replace(data.target, visible=visible)
    assert placed_rows(target, data.skeleton).tolist() == [0, 1, 2, 3, 4]


def law(targets: int, seed: int = 0) -> tuple[list[dict[str, np.ndarray]], list[dict[str, float]]]:
    """Scores and errors of two arms: the error grows with the first score, falls with the second."""
    rng = np.random.default_rng(seed)
    scores, errors = [], []
    for _ in range(targets):
        one = {arm: rng.normal(size=3) for arm in ("good", "bad")}
        scores.append(one)
        errors.append(
            {
                arm: float(np.exp(4 + (arm == "bad") + 0.5 * x[0] - 0.5 * x[1] + 0.02 * rng.normal()))
                for arm, x in one.items()
            }
        )
    return scores, errors


def test_the_regression_finds_the_law_and_no_negative_weight() -> None:
    scores, errors = law(200)
    model = ErrorModel.fit(scores, errors)
    assert model.weight[0] == pytest.approx(0.5, abs=0.1) and (model.weight >= 0).all()
    assert model.weight[1] == 0  # a number that falls with the error is not believed
    assert model.error[1] - model.error[0] == pytest.approx(1, abs=0.2)
    worse = {arm: score + 1 for arm, score in scores[0].items()}
    assert (model.predict(worse)[0] > model.predict(scores[0])[0]).all()


def test_a_target_unlike_the_simulated_ones_is_less_certain_and_unknown_numbers_say_nothing() -> None:
    scores, errors = law(12)
    model = ErrorModel.fit(scores, errors)
    near = {arm: np.zeros(3) for arm in model.arms}
    far = {arm: np.full(3, 20.0) for arm in model.arms}
    assert (np.diag(model.predict(far)[1]) > 4 * np.diag(model.predict(near)[1])).all()
    unknown = {arm: np.full(3, np.nan) for arm in model.arms}
    np.testing.assert_allclose(model.predict(unknown)[0], model.error)


def test_intervals_hold_the_true_errors_of_simulated_targets_that_were_kept_apart(
    data: AdaptationData,
) -> None:
    made, models = simulator(data), {"source_only": Flat(), "gpa": Flat(0.1)}
    rng, seen, true = torch.Generator().manual_seed(1), [], []
    for _ in range(40):
        drawn = made.draw(float(torch.rand((), generator=rng)), rng)
        lifted = {arm: lift_rows(model, drawn.poses, data.skeleton, CONFIG) for arm, model in models.items()}
        seen.append(scores_of(lifted, drawn.poses, data.skeleton, "source_only"))
        true.append(true_errors(lifted, drawn))
    model = ErrorModel.fit(seen[:12], true[:12])
    off = []
    for scores, errors in zip(seen[12:], true[12:], strict=True):
        log_error, covariance = model.predict(scores)
        off.append((np.log([errors[arm] for arm in model.arms]) - log_error) / np.sqrt(np.diag(covariance)))
    inside = np.abs(off) < predicted_error.DOUBT
    assert 0.75 <= inside.mean() <= 1.0 and abs(np.mean(off)) < 1.0


# ------------------------------------------------------------------------------------- the recommendation


def recut(target: UnlabelledPoses, clip: Tensor) -> UnlabelledPoses:
    return dataclasses.replace(target, clip=clip)


def test_the_evidence_does_not_depend_on_how_tracks_are_cut(data: AdaptationData, wide: nn.Module) -> None:
    models = {"wide": wide, "wide_target": damaged(wide, 0.05)}
    size = len(data.target)
    cuts = [torch.arange(size) * 2 // size, torch.arange(size) // 50]
    found = [
        gather(
            dataclasses.replace(data, target=recut(data.target, cut)), models, CONFIG, "wide_target", **FEW
        )
        for cut in cuts
    ]
    assert found[0] == found[1] and set(found[0].errors) == {"wide", "wide_target"}


@pytest.mark.parametrize("broken", [0.5, 1.0, torch.nan])
def test_an_arm_with_damaged_weights_is_never_recommended(
    data: AdaptationData, wide: nn.Module, broken: float
) -> None:
    bad = damaged(wide, broken)
    for models, prior in (
        ({"wide": wide, "wide_target": bad}, "wide_target"),
        ({"wide": bad, "wide_target": wide}, "wide"),
    ):
        found = gather(data, models, CONFIG, prior, rows=80)
        good = "wide" if prior == "wide_target" else "wide_target"
        assert found.recommended == good and found.errors[good].error < found.errors[prior].error
        assert found.reason.endswith(f" % lower than that of {prior}")
        assert found.sure is not None and found.sure > 0.9


def test_of_arms_that_are_alike_wide_stays(data: AdaptationData, wide: nn.Module) -> None:
    models = {"wide": wide, "wide_target": copy.deepcopy(wide)}
    found = gather(data, models, CONFIG, **FEW)
    assert found.recommended == "wide" and found.reason == "no other arm is predicted to be better by enough"
    assert found.errors["wide"].error == pytest.approx(found.errors["wide_target"].error)
    assert all(error.low < error.error < error.high for error in found.errors.values())


def test_few_rows_recommend_wide_and_say_so(data: AdaptationData, wide: nn.Module) -> None:
    few = dataclasses.replace(data, target=data.target.rows(torch.arange(predicted_error.FEWEST_ROWS - 1)))
    found = gather(few, {"wide": wide, "wide_target": wide}, CONFIG, "wide_target")
    assert (found.recommended, found.errors, found.sure) == ("wide", {}, None)
    assert "only 49 rows of the target can be judged" in found.sentence
    said = why("wide", "By 2D alone, a gap is seen: …", found.to_json())
    assert said == "wide is recommended: only 49 rows of the target can be judged, too few to compare arms."


def test_a_run_without_wide_arms_is_judged_too(data: AdaptationData) -> None:
    config = dataclasses.replace(CONFIG, arms=("source_only", "gpa"))
    found = gather(data, {"source_only": Flat(), "gpa": Flat(1.0)}, config, "gpa", **FEW)
    assert (
        found.recommended == "source_only"
        and found.errors["gpa"].error > 2 * found.errors["source_only"].error
    )


def test_cameras_of_simulated_targets_have_the_tilt_that_is_given(
    data: AdaptationData, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tilted_up(torch.tensor([0.3, 0.1]))
    target = dataclasses.replace(data.target, up=given.expand(len(data.target), 3))
    noted: list[Tensor] = []

    class Noting(Simulator):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            noted.append(self.up)

    monkeypatch.setattr(predicted_error, "Simulator", Noting)
    config = dataclasses.replace(CONFIG, arms=("source_only",))  # which finds no tilt itself
    gather(dataclasses.replace(data, target=target), {"source_only": Flat()}, config, "source_only", **FEW)
    assert noted and all(torch.equal(up, given.expand(len(up), 3)) for up in noted)


def judged(ratio: float, arms: tuple[str, str]) -> str:
    """The recommended arm where the second is predicted to have this share of the error of the first."""
    _, errors = law(30)
    same = [{arms[0]: one["good"], arms[1]: ratio * one["good"]} for one in errors]
    flat = [dict.fromkeys(arms, np.zeros(3)) for _ in errors]
    model = ErrorModel.fit(flat, same)
    return predicted_error._judge(model, flat[0], 100, arms[0]).recommended


def test_wide_target_needs_a_gain_of_two_percent_and_other_arms_a_certain_one() -> None:
    pair = ("wide", "wide_target")
    assert judged(0.99, pair) == "wide" and judged(0.97, pair) == "wide_target"
    other = ("source_only", "gpa")
    assert judged(0.95, other) == "source_only" and judged(0.7, other) == "gpa"


# ---------------------------------------------------------------------------------------------- the file

EVIDENCE = Evidence(
    200,
    12,
    {"wide": PredictedError(70.4, 60.0, 80.0), "wide_target": PredictedError(95.0, 85.0, 105.0)},
    "wide_target",
    "wide",
    0.97,
)


def test_the_evidence_is_kept_beside_the_gates_finding(tmp_path: Path) -> None:
    file = VerdictFile(JsonFile(tmp_path / "gate.json", True))
    verdict = Verdict({"placement": Margin(0.01, 0.02, 0.05)}, "clips", 10, 7, 5)
    file.write(verdict, ("wide", "wide_target"))
    first = file.read()
    assert first is not None and first["recommended"] == "wide_target"  # and older files have no more
    file.add(EVIDENCE)
    found = file.read()
    assert found is not None and found["recommended"] == "wide" and found["finding"] == first["finding"]
    assert found["evidence"]["errors"]["wide"] == {"error": 70.4, "low": 60.0, "high": 80.0}
    assert found["evidence"]["sentence"] == (
        "Predicted errors with intervals of 90 %, from 200 rows: wide 70 mm (60 to 80), wide_target 95 mm "
        "(85 to 105); the chance that no other arm is better than wide by 5 % is 97 %"
    )
    said = why("wide", found["finding"], found["evidence"])
    assert said.startswith(
        "wide is recommended: its predicted error is 26 % lower than that of wide_target. "
    )
    assert said.endswith(f". {EVIDENCE.sentence}.")
    file.file.path.write_text(json.dumps(found | {"evidence": {"errors": {}}}))
    with pytest.raises(ValueError, match=r"gate\.json: expected the verdict of the gate"):
        file.read()


def test_cameras_of_a_rig_with_one_lens_have_tilts_of_their_own(tmp_path: Path) -> None:
    rig = film_rig(tmp_path / "rig", ((10, 0), (35, 5)))
    domains = own_domains(rig.source, rig.paths, intrinsics=rig.calibration)
    target = domains.adaptation().target
    assert target.rig is not None
    model = AdaptedLifter.load()
    up = lift_rows(model.lifter, target, H36M16, model.config).up
    off = angle_between(up, rig.up.float()[target.rig.camera]).rad2deg()
    assert float(off.max()) < 12
