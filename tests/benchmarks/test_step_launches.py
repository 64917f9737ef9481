"""A training step launches no more kernels than it needs: the count is held, not the time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.step import launches as program
from poseda.lifters.dropout import Dropout

pytestmark = pytest.mark.usefixtures("one_thread")

aten = torch.ops.aten

LIMITS = {
    "lifter": {"draw": 42, "forward": 51, "backward": 45, "clip": 12, "optimiser": 2, "average": 2, "log": 1},
    "generator and discriminators": {
        "draw": 19,
        "forward": 141,
        "backward": 164,
        "clip": 24,
        "optimiser": 4,
        "log": 1,
    },
    "wide": {"draw": 86, "forward": 137, "backward": 126, "clip": 12, "optimiser": 3, "average": 1, "log": 1},
}
"""Most kernels of each part. Who makes a step longer raises its number here, and says why."""

COMPILED = {
    "lifter": {"draw": 27, "forward": 35, "backward": 34, "clip": 12, "optimiser": 2, "average": 2, "log": 1},
    "generator and discriminators": {
        "draw": 19,
        "forward": 100,
        "backward": 83,
        "clip": 24,
        "optimiser": 4,
        "log": 1,
    },
    "wide": {"draw": 27, "forward": 75, "backward": 83, "clip": 12, "optimiser": 3, "average": 1, "log": 1},
}
"""The same under torch.compile of torch 2.13."""

SPARE = 1.25
"""Kernels that the compiler of another torch may make, relative to those of 2.13."""


def tensors(count: int) -> list[torch.Tensor]:
    return [torch.ones(2) for _ in range(count)]


@pytest.mark.parametrize(
    ("operator", "arguments", "kernels"),
    [
        (aten.view.default, (torch.ones(2), [2, 1]), 0),
        (aten.t.default, (torch.ones(2, 2),), 0),
        (aten.empty.memory_format, ([2],), 0),
        (aten.mul.Tensor, (torch.ones(2), torch.ones(2)), 1),
        (aten.addmm.default, (torch.ones(2), torch.ones(2, 2), torch.ones(2, 2)), 1),
        (aten.native_batch_norm.default, (torch.ones(2, 2),), 3),
        (aten.mse_loss.default, (torch.ones(2), torch.ones(2)), 2),
        (aten.mse_loss.default, (torch.ones(2), torch.ones(2), 0), 1),
        (aten._foreach_div_.Tensor, (tensors(110), torch.ones(())), 1),
        (aten._foreach_div_.Tensor, (tensors(111), torch.ones(())), 2),
        (aten._foreach_lerp_.Scalar, (tensors(64), tensors(64), 0.5), 1),
        (aten._foreach_lerp_.Scalar, (tensors(65), tensors(65), 0.5), 2),
        (aten._foreach_norm.Scalar, (tensors(3),), 4),
        (aten._fused_adamw_.default, tuple(tensors(37) for _ in range(4)), 2),
        (torch.ops.poseda.augment.default, (), 1),
    ],
)
def test_an_operator_counts_by_the_kernels_it_launches(
    operator: Any, arguments: tuple[Any, ...], kernels: int
) -> None:
    assert program.kernels_of(operator, arguments) == kernels


def test_no_step_launches_more_kernels_than_it_did(tmp_path: Path) -> None:
    path = tmp_path / "launches.json"
    forward = Dropout.forward
    assert program.main(["--json", str(path)]) == 0
    assert Dropout.forward is forward, "the count leaves nothing behind"
    record = json.loads(path.read_text())
    for row in record["results"]:
        assert sum(row["operators"].values()) == sum(row["parts"].values())
        more = {
            part: count for part, count in row["parts"].items() if count > LIMITS[row["name"]].get(part, 0)
        }
        assert not more, f"{row['name']}: more kernels than {LIMITS[row['name']]} in {more}"
    headings, cells = program.table(record)
    assert headings[0] == "step" and [cell[0] for cell in cells] == list(LIMITS)


def test_the_published_counts_are_those_of_this_code() -> None:
    path = Path(program.__file__).parents[1] / "results" / "launches.json"
    published = {row["name"]: row["parts"] for row in json.loads(path.read_text())["results"]}
    assert published == LIMITS | {f"{name}, compiled": parts for name, parts in COMPILED.items()}


@pytest.mark.slow
def test_the_compiler_makes_fewer_kernels() -> None:
    rows = {row["name"]: row["parts"] for row in program.measure(64, compiled=True)}
    assert list(rows) == [*LIMITS, *(f"{name}, compiled" for name in LIMITS)]
    for name, limits in COMPILED.items():
        eager, compiled = rows[name], rows[f"{name}, compiled"]
        for part in ("clip", "optimiser", "average", "log"):
            assert compiled.get(part) == eager.get(part), f"{name}: {part} is not compiled"
        for part in ("draw", "forward", "backward"):
            assert 0 < compiled[part] <= SPARE * limits[part], f"{name}: {compiled}"
        assert sum(compiled.values()) < 0.8 * sum(eager.values())


def test_bad_input_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--batch", "1"]) == 2
    assert capsys.readouterr().err.startswith(
        "benchmarks.step.launches: --batch: expected a number of at least 4, got 1\n"
    )
