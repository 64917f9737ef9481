"""The device and the precision of a run."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_info
from lightning_utilities.core import rank_zero
from runs import short_run

from poseda.config import RunConfig, WideConfig
from poseda.device import BF16_LIFTERS, precision_of
from poseda.lifters import names
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


@pytest.mark.parametrize(
    ("has", "lifter", "of_wide", "name"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "simple_baseline", "residual", "bf16-mixed"),
        ({"amx_bf16": True}, "semgcn", "videopose3d", "bf16-mixed"),
        ({"avx512_bf16": False, "avx512_f": True}, "simple_baseline", "residual", "32-true"),
        ({}, "simple_baseline", "residual", "32-true"),
        ({"amx_bf16": True}, "mixste", "residual", "32-true"),
        ({"amx_bf16": True}, "simple_baseline", "mixste", "32-true"),
        ({"amx_bf16": True}, "somebody.Lifter", "residual", "32-true"),
    ],
)
def test_a_cpu_rounds_to_bf16_where_the_lifters_gain_by_its_instructions(
    monkeypatch: pytest.MonkeyPatch, has: dict[str, bool], lifter: str, of_wide: str, name: str
) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: has)
    config, cpu = RunConfig(lifter=lifter, wide=WideConfig(lifter=of_wide)), torch.device("cpu")
    assert precision_of(config, cpu) == name
    assert precision_of(replace(config, precision="tf32"), cpu) == "tf32"


def test_every_lifter_that_a_cpu_rounds_is_one_of_ours() -> None:
    assert set(names()) > BF16_LIFTERS


def test_the_hint_at_another_precision_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, rank_zero.log.name), module._without_hints():
        rank_zero_info("You should set `torch.set_float32_matmul_precision('medium' | 'high')`")
        rank_zero_info("Using bfloat16 Automatic Mixed Precision (AMP)")
        rank_zero_info("all else")
    assert {record.getMessage() for record in caplog.records} == {"all else"}
