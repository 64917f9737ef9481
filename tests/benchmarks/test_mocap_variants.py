"""Studies of the recipe: what a variant changes, what it is compared with, and which labels are looked at."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from benchmarks.mocap import ablations, baseline
from benchmarks.mocap.program import main
from benchmarks.mocap.tables import Row
from benchmarks.mocap.variants import BASE, Effect, change, effect
from poseda.cli import main as poseda
from poseda.config import ARMS, FIELD_VIEWS, preset
from poseda.runs.checkpoint import load_checkpoint

STEPS = ["--training.pretrain-steps", "4", "--training.adapt-steps", "4", "--generator-training.steps", "4"]
STUDIES = {
    "ablations": ablations.STUDY,
    "of wide": ablations.WIDE_STUDY,
    "of wide_target": ablations.WIDE_TARGET_STUDY,
    "baseline": baseline.STUDY,
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def reproduce(queue: str, mocap: Path, out: Path, *options: str) -> list[str]:
    given = [queue, "--mocap", str(mocap), "--out", str(out), *options]
    return [*given, "--preset", "tiny", "--device", "cpu", *STEPS]


@pytest.mark.parametrize("name", STUDIES)
def test_every_variant_changes_the_recipe_in_its_own_way(name: str) -> None:
    study, recipe = STUDIES[name], preset("default")
    configs = [change(recipe, variant.changes) for variant in study.variants]
    assert configs[0] == recipe and study.variants[0].name == BASE
    assert len({variant.name for variant in study.variants}) == len(configs)
    assert all(one != two for at, one in enumerate(configs) for two in configs[:at])
    assert all(set(variant.arms) <= set(ARMS) for variant in study.variants)
    assert all("/" not in variant.name and " " not in variant.name for variant in study.variants)


def test_no_ablation_touches_what_the_lifter_learns_before_adaptation() -> None:
    recipe = preset("default")
    adaptation_only = {"bone_jitter": 0.0, "body_jitter": 0.0, "source_share": 0.0}
    for variant in ablations.STUDY.variants:
        changed = change(recipe, variant.changes)
        assert changed.network == recipe.network
        assert dataclasses.replace(changed.training, **adaptation_only) == dataclasses.replace(
            recipe.training, **adaptation_only
        )


def test_an_effect_is_measured_seed_by_seed() -> None:
    def row(name: str, seed: int, mpjpe: float) -> Row:
        return {"run": "p2_split0", "name": name, "seed": seed, "mpjpe": mpjpe}

    rows = [row(BASE, 0, 50.0), row(BASE, 1, 60.0), row("v", 0, 51.0), row("v", 1, 63.0), row("v", 2, 999.0)]
    assert effect(rows, "v") == Effect(2, 2.0, pytest.approx(2**0.5))  # type: ignore[arg-type]
    assert effect(rows, "w") is None


def test_ablations_share_the_lifter_that_the_same_recipe_would_train_anyway(
    mocap_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--seeds", "0", "--variants", "no-discriminator", "focal-30%"]
    assert main(reproduce("ablations", mocap_folder, tmp_path / "q", *options)) == 0
    shown = capsys.readouterr().out
    assert "| no-discriminator | 1 |" in shown and "| focal-30% | 1 |" in shown and "## p2, gpa, on" in shown
    runs = tmp_path / "q/runs/p2_split0"
    weights = [runs / name / "seed0/pretrained/lifter.safetensors" for name in (BASE, "no-discriminator")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    trained = (runs / "no-discriminator/metrics.jsonl").read_text()
    assert '"pretrained"' not in trained and '"gpa_lpa"' in trained
    alone = ["adapt", "--data", str(tmp_path / "q/domains/p2_split0.npz"), "--out", str(tmp_path / "alone")]
    recipe = [
        "--arms",
        "gpa_lpa",
        "--adversary.anchor",
        "none",
        "--preset",
        "tiny",
        "--device",
        "cpu",
        *STEPS,
    ]
    assert poseda([*alone, *recipe]) == 0
    assert json.loads((tmp_path / "alone/results.json").read_text()) == json.loads(
        (runs / "no-discriminator/results.json").read_text()
    )
    record = json.loads((tmp_path / "q/ablations.json").read_text())
    table = next(table for table in record["tables"] if table["arm"] == "gpa_lpa")
    mpjpe = {line["name"]: line["mean"]["mpjpe"] for line in table["variants"]}
    against = table["variants"][1]["against_base"]
    assert against["mean"] == pytest.approx(mpjpe["no-discriminator"] - mpjpe[BASE])
    assert record["changes"]["focal-30%"] == {"target_data.focal_error": -0.3}


def test_wide_is_varied_on_both_pairs_and_nothing_else_is_trained(
    mocap_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--arm", "wide", "--seeds", "0", "--variants", "level-cameras", "--wide.steps", "4"]
    assert main(reproduce("ablations", mocap_folder, tmp_path / "q", *options)) == 0
    shown = capsys.readouterr().out
    assert "## p1, wide, on target_test" in shown and "## p2, wide, on target_test" in shown
    record = json.loads((tmp_path / "q/ablations.json").read_text())
    assert record["changes"]["level-cameras"] == {"views.level_share": 1.0}
    assert record["changes"]["field-all"] == FIELD_VIEWS
    mpjpe = {(row["pair"], row["name"]): row["mpjpe"] for row in record["rows"]}
    assert len(mpjpe) == 4 and len(set(mpjpe.values())) == 4
    assert {path.parent.name for path in (tmp_path / "q").rglob("*.safetensors")} == {"wide"}


def test_the_baseline_is_scored_on_the_sources_validation_clips_alone(
    mocap_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--seeds", "0", "--variants", "loss-squared", "noise-5px"]
    assert main(reproduce("baseline", mocap_folder, tmp_path / "q", *options)) == 0
    shown = capsys.readouterr().out
    assert "p1, source_only, on source_val" in shown and ", on target_test" not in shown
    record = json.loads((tmp_path / "q/baseline.json").read_text())
    assert {row["split"] for row in record["rows"]} == {"source_val"}
    mpjpe = {(row["pair"], row["name"]): row["mpjpe"] for row in record["rows"]}
    assert len(mpjpe) == 6 and len(set(mpjpe.values())) == 6


def test_a_variant_that_does_not_exist_is_named(
    mocap_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(reproduce("baseline", mocap_folder, tmp_path / "q", "--variants", "magic")) == 2
    assert "--variants: expected some of base, loss-squared" in capsys.readouterr().err
    assert not (tmp_path / "q").exists()


def test_plus_does_without_each_of_its_parts(
    mocap_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [variant.name for variant in ablations.STUDY.variants if variant.name.startswith("view-")]
    options = ["--seeds", "0", "--variants", *names, "--alignment.steps", "4", "--alignment.simulations", "4"]
    assert main(reproduce("ablations", mocap_folder, tmp_path / "q", *options)) == 0
    assert "## p2, gpa_lpa_view, on target_test" in capsys.readouterr().out
    record = json.loads((tmp_path / "q/ablations.json").read_text())
    table = next(table for table in record["tables"] if table["arm"] == "gpa_lpa_view")
    assert [line["name"] for line in table["variants"]] == [BASE, *names]
    assert len({line["mean"]["mpjpe"] for line in table["variants"]}) == len(names) + 1
    runs = tmp_path / "q/runs/p2_split0"
    build = {
        name: load_checkpoint(runs / name / "seed0/gpa_lpa_view/view_alignment.safetensors")[0]["build"]
        for name in (BASE, "view-without-build")
    }
    assert build[BASE].abs().max() > 1e-3 and build["view-without-build"].abs().max() == 0
    generators = {path.parts[-4] for path in runs.glob("*/seed0/gpa_lpa_view/generator.safetensors")}
    assert generators == {BASE, "view-without-build"}
