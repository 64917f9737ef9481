"""One configuration: checked as a whole, documented field by field, recorded and read back."""

from __future__ import annotations

import ast
import dataclasses
import json
from pathlib import Path

import pytest

from poseda import config as config_package
from poseda.config import (
    ARMS,
    AdversaryConfig,
    GeneratorConfig,
    GeneratorTrainingConfig,
    LifterTrainingConfig,
    RunConfig,
    check_resumable,
    from_json,
    preset,
    to_json,
)


@pytest.mark.parametrize("name", ["tiny", "default", "full"])
def test_a_preset_survives_json(name: str) -> None:
    config = dataclasses.replace(preset(name), data=Path("somewhere/p1.npz"), seeds=(1, 2), arms=("gpa",))
    assert config.preset == name
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


def test_every_option_has_a_help_sentence() -> None:
    sources = [path.read_text() for path in Path(config_package.__file__).parent.glob("*.py")]
    records = [
        node for source in sources for node in ast.parse(source).body if isinstance(node, ast.ClassDef)
    ]
    assert len(records) >= 14
    for record in records:
        for entry, after in zip(record.body, [*record.body[1:], None], strict=True):
            if isinstance(entry, ast.AnnAssign):
                assert isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant), (
                    f"{record.name}.{ast.unparse(entry.target)} has no help text"
                )
                assert str(after.value.value).endswith("."), f"{record.name}.{ast.unparse(entry.target)}"


@pytest.mark.parametrize(
    ("build", "names"),
    [
        (
            lambda: RunConfig(
                adversary=AdversaryConfig(pool=8), generator_training=GeneratorTrainingConfig(batch=9)
            ),
            ["adversary.pool", "generator_training.batch = 9", "got 8"],
        ),
        (
            lambda: RunConfig(generator=GeneratorConfig(scale_limit=0.3)),
            ["generator.scale_limit", "generator.bone_scale = 0.2", "got 0.3"],
        ),
        (lambda: RunConfig(save_every=75), ["save_every", "log_every = 50", "got 75"]),
        (lambda: RunConfig(training=LifterTrainingConfig(batch=0)), ["training.batch", "above 0", "got 0"]),
        (
            lambda: RunConfig(training=LifterTrainingConfig(batch=1)),
            ["training.batch", "at least 4", "got 1"],
        ),
        (
            lambda: RunConfig(generator_training=GeneratorTrainingConfig(batch=3)),
            ["generator_training.batch", "at least 4", "got 3"],
        ),
        (
            lambda: RunConfig(training=LifterTrainingConfig(learning_rate=float("nan"))),
            ["training.learning_rate"],
        ),
        (lambda: RunConfig(training=LifterTrainingConfig(ema=1.0)), ["training.ema", "got 1.0"]),
        (lambda: RunConfig(training=LifterTrainingConfig(source_share=1.5)), ["training.source_share"]),
        (lambda: RunConfig(seeds=(1, 1)), ["seeds", "twice"]),
        (lambda: RunConfig(arms=()), ["arms", "at least one"]),
        (lambda: RunConfig(frames=4), ["frames", "odd", "got 4"]),
        (lambda: RunConfig(frames=-1), ["frames", "above 0", "got -1"]),
        (lambda: preset("huge"), ["preset", "tiny, default, full", "'huge'"]),  # type: ignore[arg-type]
    ],
)
def test_values_that_do_not_fit_are_named(build: object, names: list[str]) -> None:
    with pytest.raises(ValueError) as caught:
        build()  # type: ignore[operator]
    for name in names:
        assert name in str(caught.value)


def test_a_resumed_run_may_gain_arms_but_not_change_its_training() -> None:
    saved = to_json(preset("tiny"))
    check_resumable(dataclasses.replace(preset("tiny"), arms=ARMS, seeds=(5,), resume=True), saved)
    other = dataclasses.replace(preset("tiny"), training=LifterTrainingConfig(batch=32))
    with pytest.raises(ValueError, match=r"training\.\w+: the run to resume has .*, got"):
        check_resumable(other, saved)


def test_the_first_field_that_differs_is_named_whatever_the_hash_seed() -> None:
    saved = to_json(preset("tiny"))
    for record in (saved["network"], saved["training"], saved["generator"]):
        record |= {name: -1 for name, value in record.items() if isinstance(value, float)}
    saved["lifter"] = "other"
    with pytest.raises(ValueError, match=r"^lifter: the run to resume has 'other'"):
        check_resumable(preset("tiny"), saved)


def test_a_record_with_a_missing_entry_is_refused() -> None:
    saved = to_json(preset("tiny"))
    del saved["lifter"]
    with pytest.raises(ValueError, match="lifter: missing"):
        from_json(saved)


def test_a_record_older_than_own_footage_is_read_and_resumed() -> None:
    saved = to_json(preset("tiny"))
    for name in ("target", "source", "image_size", "fov", "cameras", "intrinsics", "layout"):
        del saved[name]
    del saved["min_confidence"], saved["stride"], saved["gate"], saved["json"]
    assert from_json(saved) == preset("tiny")
    check_resumable(preset("tiny"), saved)


def test_a_record_older_than_sequences_is_of_single_frames() -> None:
    saved = to_json(preset("tiny"))
    del saved["frames"], saved["network"]["causal"]
    assert from_json(saved) == preset("tiny")
    check_resumable(preset("tiny"), saved)
    with pytest.raises(ValueError, match=r"^frames: the run to resume has 1, got 9"):
        check_resumable(dataclasses.replace(preset("tiny"), frames=9), saved)
