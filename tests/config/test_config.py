"""One configuration: checked as a whole, documented field by field, recorded and read back."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from poseda.config import (
    ARMS,
    AdversaryConfig,
    ConfigError,
    GeneratorConfig,
    GeneratorTrainingConfig,
    LifterTrainingConfig,
    RunConfig,
    check_resumable,
    from_json,
    preset,
    to_json,
)


@pytest.mark.parametrize("name", ["tiny", "demo", "default", "full"])
def test_a_preset_survives_json(name: str) -> None:
    config = dataclasses.replace(preset(name), data=Path("somewhere/p1.npz"), seeds=(1, 2), arms=("gpa",))
    assert config.preset == name
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


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
        (
            lambda: RunConfig(training=LifterTrainingConfig(adapt_steps=0)),
            ["training.adapt_steps", "above 0", "got 0"],
        ),
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
        (lambda: RunConfig(training=LifterTrainingConfig(ema=1.0)), ["training.ema", "got 1"]),
        (lambda: RunConfig(training=LifterTrainingConfig(source_share=1.5)), ["training.source_share"]),
        (lambda: RunConfig(seeds=(1, 1)), ["seeds", "repetition"]),
        (lambda: RunConfig(arms=()), ["arms", "at least one"]),
        (lambda: RunConfig(frames=4), ["frames", "odd", "got 4"]),
        (lambda: RunConfig(frames=-1), ["frames", "above 0", "got -1"]),
        (lambda: preset("huge"), ["preset", "tiny, demo, default, full", "'huge'"]),  # type: ignore[arg-type]
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


@pytest.mark.parametrize("option", ["joints", "strict", "people"])
def test_a_record_older_than_an_option_of_footage_is_read_and_resumed(option: str) -> None:
    saved = to_json(preset("tiny"))
    del saved[option]
    assert from_json(saved) == preset("tiny")
    check_resumable(preset("tiny"), saved)


def test_a_record_older_than_sequences_is_of_single_frames() -> None:
    saved = to_json(preset("tiny"))
    del saved["frames"], saved["network"]["causal"]
    assert from_json(saved) == preset("tiny")
    check_resumable(preset("tiny"), saved)
    with pytest.raises(ValueError, match=r"^frames: the run to resume has 1, got 9"):
        check_resumable(dataclasses.replace(preset("tiny"), frames=9), saved)


def test_a_record_with_an_unknown_entry_is_refused_by_name() -> None:
    saved = to_json(preset("tiny"))
    saved["training"]["adapt_step"] = saved["training"].pop("adapt_steps")
    expected = r"^training\.adapt_step: expected .* unknown one; did you mean training\.adapt_steps\?$"
    with pytest.raises(ConfigError, match=expected):
        from_json(saved)
    with pytest.raises(ConfigError, match=r"^network: expected the options of this section, got 3$"):
        from_json(to_json(preset("tiny")) | {"network": 3})
    with pytest.raises(ConfigError, match=r"^save_every: expected a whole number, got '20'$"):
        from_json(to_json(preset("tiny")) | {"save_every": "20"})


def test_a_record_of_the_first_version_is_read_under_todays_names() -> None:
    saved = to_json(preset("tiny")) | {"arms": ["gpa", "plus"]}
    assert from_json(saved).arms == ("gpa", "gpa_lpa_view")
