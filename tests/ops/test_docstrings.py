"""The examples in the docstrings of the ops run."""

from __future__ import annotations

import doctest
import importlib

import pytest
import torch

MODULES = (
    "poseda.ops.augment",
    "poseda.ops.kinematics",
    "poseda.ops.pose_augment",
    "poseda.ops.projection",
    "poseda.ops.random",
    "poseda.geometry.placements",
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), extraglobs={"torch": torch})
    assert result.attempted >= 2 and result.failed == 0
