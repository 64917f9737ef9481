"""The device and the precision of a run."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_info
from lightning_utilities.core import rank_zero
from runs import short_run

from poseda.training import fabric as module
from poseda.training.fabric import layer_precision

GPU = torch.device("cuda")


@pytest.mark.parametrize(
    ("precision", "capability", "inside"),
    [
        ("auto", (9, 0), "tf32"),
        ("auto", (7, 5), "ieee"),
        ("32-true", (9, 0), "ieee"),
        ("tf32", (9, 0), "tf32"),
    ],
)
def test_layers_multiply_as_the_precision_says_within_training_only(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
    capability: tuple[int, int],
    inside: str,
) -> None:
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda *_: capability)
    products = torch.backends.cuda.matmul
    before = products.fp32_precision
    with pytest.raises(KeyError), layer_precision(short_run(tmp_path, precision=precision), GPU):
        assert products.fp32_precision == inside
        raise KeyError
    assert products.fp32_precision == before != "tf32"


def test_the_hint_at_another_precision_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, rank_zero.log.name), module._without_hint():
        rank_zero_info("You should set `torch.set_float32_matmul_precision('medium' | 'high')`")
        rank_zero_info("all else")
    assert {record.getMessage() for record in caplog.records} == {"all else"}
