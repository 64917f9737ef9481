"""Limits stand beside the fields that they bound, and every record checks its own."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from poseda.cli import main
from poseda.config import BenchConfig, ConfigError, EvaluateConfig, LiftConfig, RunConfig
from poseda.config.fields import build, changed, fields_of, flatten, help_texts, nest, read_plain
from poseda.config.limits import (
    Above,
    AtLeast,
    AtMost,
    Below,
    Distinct,
    Odd,
    PictureSize,
    Renamed,
    Share,
    check_fields,
    problem,
)
from poseda.config.near import guess


@dataclass(frozen=True)
class Inner:
    """A section."""

    size: Annotated[int, AtLeast(2)] = 3
    """How many."""


@dataclass(frozen=True)
class Outer:
    """A record."""

    inner: Inner = Inner()
    """What is inside."""
    names: Annotated[tuple[Annotated[Literal["new", "other"], Renamed({"old": "new"})], ...], Distinct()] = (
        "other",
    )
    """What it is called."""
    file: Path | None = None
    """Where it
    lies."""

    def __post_init__(self) -> None:
        check_fields(self)


@pytest.mark.parametrize(
    ("hint", "fits", "fails"),
    [
        (Annotated[int, AtLeast(4)], [4, 9], [3, -1, True, 4.5, "4", None]),
        (Annotated[float, AtLeast(0)], [0, 0.5, 3], [-0.1, math.nan, math.inf, "1"]),
        (Annotated[float, Above(0)], [0.1], [0, math.nan, math.inf]),
        (Annotated[float, Above(0), Below(180)], [90], [0, 180]),
        (Annotated[float, AtLeast(0), AtMost(1, "rad")], [0, 1], [1.1, -0.1]),
        (Annotated[float, Share()], [0, 0.99], [1, -0.1, math.nan]),
        (Annotated[float, Share(whole=True)], [0, 1], [1.01]),
        (Annotated[int, Odd()], [1, 3], [0, 2]),
        (Annotated[str, PictureSize()], ["1x1", "1920x1080"], ["0x1", "1920", "1920x1080x3", "", 5]),
        (Annotated[tuple[int, ...], Distinct()], [(1,), [1, 2]], [(), (1, 1), (1, "x"), "12", 1]),
        (Annotated[tuple[int, ...], Distinct(least=0)], [()], [(1, 1)]),
        (Annotated[float, Above(0)] | Literal["estimate"] | None, [1, "estimate", None], [0, "wide"]),
        (bool, [True, False], [0, 1, "yes"]),
        (Path, [Path("a"), "a"], [3]),
    ],
)
def test_a_value_fits_its_type_and_its_limits(hint: Any, fits: list[Any], fails: list[Any]) -> None:
    assert [problem(hint, value) for value in fits] == [None] * len(fits)
    for value in fails:
        said = problem(hint, value)
        assert said is not None and said.startswith("expected ") and ", got " in said, value


def test_a_field_is_named_with_its_section() -> None:
    with pytest.raises(ConfigError, match=r"^inner\.size: expected a number of at least 2, got 1$"):
        Outer(inner=Inner(size=1))
    with pytest.raises(ConfigError, match=r"^names: expected one of new, other, got 'none'$"):
        Outer(names=("none",))  # type: ignore[arg-type]


def test_a_value_is_kept_under_its_new_name() -> None:
    assert Outer(names=("old",)).names == ("new",)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="without repetition"):
        Outer(names=("old", "new"))  # type: ignore[arg-type]


def test_every_command_checks_its_limits_when_it_is_built() -> None:
    here = Path("run")
    for make, field in (
        (lambda: RunConfig(min_confidence=1.5), "min_confidence"),
        (lambda: RunConfig(target=here, fov=200.0), "fov"),
        (lambda: RunConfig(training=None), "training"),  # type: ignore[arg-type]
        (lambda: LiftConfig(here, here, here, rate=0.0), "rate"),
        (lambda: LiftConfig(here, here), "output"),
        (lambda: LiftConfig(Path("-"), fov="estimate"), "fov"),
        (lambda: EvaluateConfig(here, protocol="3dpw-14"), "protocol"),
        (lambda: EvaluateConfig(here, cameras=here), "cameras"),
        (lambda: BenchConfig(batches=(1, 0)), "batches"),
    ):
        with pytest.raises(ConfigError) as caught:
            make()
        assert caught.value.field == field


def test_an_error_names_options_as_it_is_told_to() -> None:
    error = ConfigError("a.b", "expected at least <c> = 3, got 2", "c")
    assert str(error) == "a.b: expected at least c = 3, got 2"
    assert error.naming(lambda name: f"--{name}") == "--a.b: expected at least --c = 3, got 2"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_record_is_a_flat_list_of_options() -> None:
    assert [(field.name, field.section) for field in fields_of(Outer)] == [
        ("names", ""),
        ("file", ""),
        ("inner.size", "inner"),
    ]
    assert help_texts(Outer) == {
        "inner": "What is inside.",
        "names": "What it is called.",
        "file": "Where it lies.",
        "inner.size": "How many.",
    }
    values = {"file": Path("f"), "inner.size": 5}
    assert nest(values) == {"file": Path("f"), "inner": {"size": 5}} and flatten(nest(values)) == values
    assert build(Outer, values) == changed(Outer(), values) == Outer(Inner(5), file=Path("f"))
    assert read_plain(Outer, {"file": "f", "names": ["new"]}) == {"file": Path("f"), "names": ("new",)}


def test_a_near_name_is_guessed_whole_or_by_its_end() -> None:
    known = ["training.batch", "generator.batch", "training.steps", "out"]
    assert guess("batch", known) == "; did you mean training.batch or generator.batch?"
    assert guess("trainin.steps", known) == "; did you mean training.steps?"
    assert guess("step", known) == "; did you mean training.steps?"
    assert guess("quux", known) == ""


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (["adapt", "--seeds", "-1"], "--seeds: expected a number of at least 0, got -1"),
        (["adapt", "--seeds", "0", "-1"], "--seeds: expected a number of at least 0, got -1"),
        (
            ["lift", "--rate", "1e12"],
            "--rate: expected at most 100000 frames per second, got 1e+12",
        ),
        (["adapt", "--seeds", "1", "1"], "--seeds: expected at least one value, without repetition, got 1 1"),
        (["lift", "--rate", "nan"], "--rate: expected a number of at least 0.001, got nan"),
    ],
)
def test_numbers_out_of_this_world_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: list[str], sentence: str
) -> None:
    (tmp_path / "config.json").write_text("{}")
    command, *options = line
    if command == "lift":
        options += ["--model", str(tmp_path), "--input", "-"]
    assert main([command, *options]) == 2
    assert capsys.readouterr().err == f"poseda: {sentence}\n"
