"""What a generator changes and what `gpa_lpa_view` found, as reports show it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from poseda.cli import main
from poseda.geometry.rotation import rotation_matrix
from poseda.geometry.skeleton import H36M16
from poseda.ops.samples import augment_arguments
from poseda.report import RunRecord, describe_alignment, page
from poseda.report.diversity import measure
from poseda.runs import RunFolder
from poseda.runs.view_alignment import FoundAlignment, View

pytestmark = pytest.mark.usefixtures("one_thread")

NOTES = {"skeleton": "h36m16", "parents": H36M16.parents, "joint_names": H36M16.joint_names}


def samples(after: torch.Tensor, before: torch.Tensor, body: torch.Tensor) -> dict[str, np.ndarray]:
    valid = torch.ones(len(before), dtype=torch.bool)
    valid[-1] = False
    tensors = {"source_3d": before, "augmented_3d": after, "augmented_body": body, "augmented_valid": valid}
    return {name: value.numpy() for name, value in tensors.items()}


def test_turns_lengths_and_tilts_are_what_was_done_to_the_poses() -> None:
    before = augment_arguments(5, H36M16)["pose_3d"].double()
    body = torch.tensor([[0.0, 0.0, 0.3]], dtype=torch.float64).expand(5, 3)
    after = before @ rotation_matrix(body[0]).T
    wrist, elbow = H36M16.joint("left_wrist"), H36M16.joint("left_elbow")
    # The forearm becomes 1.5 times as long and turns by 40 degrees about an axis across it.
    bone = after[:, wrist] - after[:, elbow]
    across = torch.linalg.cross(bone, torch.ones_like(bone))
    turn = math.radians(40) * across / across.norm(dim=-1, keepdim=True)
    after[:, wrist] = after[:, elbow] + 1.5 * (rotation_matrix(turn) @ bone[..., None])[..., 0]
    found = measure(samples(after, before, body), NOTES)
    assert found is not None
    expected = np.zeros((4, H36M16.num_bones))
    expected[:, wrist - 1] = 40
    np.testing.assert_allclose(found.bone, expected, atol=1e-5)
    np.testing.assert_allclose(found.length, expected / 40 * 50, atol=1e-5)
    np.testing.assert_allclose(found.body, np.degrees(0.3))
    # A body that stands upright on the screen leans by what it was turned in the plane of the screen.
    upright = torch.zeros(2, 16, 3, dtype=torch.float64)
    for side in ("left", "right"):
        upright[:, H36M16.joint(f"{side}_shoulder"), 1] = -0.5
        upright[:, H36M16.joint(f"{side}_ankle"), 1] = 0.9
    leaning = upright @ rotation_matrix(body[0]).T
    found = measure(samples(leaning, upright, body[:2]), NOTES)
    assert found is not None and found.tilt_before is not None and found.tilt_after is not None
    np.testing.assert_allclose(found.tilt_before, 0, atol=1e-9)
    np.testing.assert_allclose(found.tilt_after, np.degrees(0.3))


def test_bodies_that_cannot_stand_have_no_tilt_and_runs_without_turns_no_diversity() -> None:
    pose = torch.randn(3, 3, 3)
    kept = samples(pose, pose, torch.zeros(3, 3))
    notes = {"skeleton": "dog", "parents": (-1, 0, 1), "joint_names": ("hip", "chest", "nose")}
    found = measure(kept, notes)
    assert found is not None and found.tilt_before is None and found.bone.max() < 1e-3
    assert measure({name: value for name, value in kept.items() if name != "augmented_body"}, notes) is None
    assert measure(kept | {"augmented_valid": np.zeros(3, bool)}, notes) is None


FOUND = FoundAlignment(
    (View(10, (3.0, 5.0), (0.0, -0.04)), View(30, (-8.0, -8.0), (1.0, 2.0))),
    {"hip": (0.5, 0.5), "knee": (-4.0, -2.0), "head_top": (1.0, 2.0), "wrist": (0.1, 0.0)},
)


def test_what_plus_found_is_one_line_with_the_largest_first() -> None:
    assert describe_alignment(FOUND) == (
        "gpa_lpa_view found pitch/roll of -8.0°/+1.5°, +4.0°/0.0°; "
        "bones to knee -3.0 %, head top +1.5 %, hip +0.5 %"
    )
    many = dataclasses.replace(FOUND, views=FOUND.views * 3)
    assert "+1.5° and 3 views more; bones" in describe_alignment(many)


def test_a_report_shows_what_changed_what_gpa_lpa_view_found_and_where_it_restarted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = ["--training.pretrain-steps", "4", "--training.adapt-steps", "4", "--generator-training.steps"]
    more = ["4", "--alignment.steps", "4", "--alignment.simulations", "4", "--seeds", "0", "1"]
    out = tmp_path / "run"
    adapt = ["adapt", "--preset", "tiny", "--device", "cpu", "--arms", "gpa_lpa_view", *steps, *more]
    assert main([*adapt, "--out", str(out)]) == 0
    record = RunRecord.read(out)
    assert record.alignment is not None
    assert describe_alignment(record.alignment) in " ".join(capsys.readouterr().out.split())
    notes = [RunFolder(out).weights(seed, "gpa_lpa_view", "view_alignment").load()[1] for seed in (0, 1)]
    assert record.alignment.views[0].pitch == tuple(found["views"][0]["pitch"] for found in notes)
    assert record.alignment.proportions["knee"] == tuple(found["build"]["right_knee"] for found in notes)
    text = (out / "report.html").read_text()
    for title in ("What the generator changes", "What gpa_lpa_view found"):
        assert title in text
    assert "Restarts" not in text
    restart = {"step": 20, "phase": "generator", "seed": 1, "arm": "gpa_lpa_view", "restart": 1}
    restart |= {"collapsed_at": 40, "reason": "bone_spread below 0.01 <b>"}
    shown = page.build_page(dataclasses.replace(record, alignment=FOUND, journal=[*record.journal, restart]))
    assert (
        "gpa_lpa_view · generator · seed 1: collapsed at step 40 (bone_spread below 0.01 &lt;b&gt;); "
        "restarted from step 20" in shown
    )
    squeezed = "".join(shown.split())
    assert (
        "<td>+4.0±1.4</td><td>0.0±0.0</td>" in squeezed
        and "knee</th><td>\N{MINUS SIGN}3.0±1.4</td>" in squeezed
    )
    assert "What gpa_lpa_view found" not in page.build_page(dataclasses.replace(record, alignment=None))
