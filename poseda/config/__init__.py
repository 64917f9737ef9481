"""Every option, once: command line flags, help texts, defaults and saved runs derive from these records.

The sentence under each field is its help text. Lengths are in metres, angles in radians unless it says
otherwise.
"""

from __future__ import annotations

from poseda.config.checks import SMALLEST_BATCH, picture_size
from poseda.config.commands import EvaluateConfig, InfoConfig, LiftConfig, SmoothingConfig
from poseda.config.record import check_resumable, from_json, to_json
from poseda.config.run import ARMS, RENAMED_ARMS, Arm, Compile, RunConfig, arm_name, preset
from poseda.config.sections import (
    AdversaryConfig,
    AlignmentConfig,
    GeneratorConfig,
    GeneratorTrainingConfig,
    HealthConfig,
    LifterTrainingConfig,
    Loss,
    NetworkConfig,
    PlacementConfig,
    TargetDataConfig,
)

__all__ = [
    "ARMS",
    "RENAMED_ARMS",
    "SMALLEST_BATCH",
    "AdversaryConfig",
    "AlignmentConfig",
    "Arm",
    "Compile",
    "EvaluateConfig",
    "GeneratorConfig",
    "GeneratorTrainingConfig",
    "HealthConfig",
    "InfoConfig",
    "LiftConfig",
    "LifterTrainingConfig",
    "Loss",
    "NetworkConfig",
    "PlacementConfig",
    "RunConfig",
    "SmoothingConfig",
    "TargetDataConfig",
    "arm_name",
    "check_resumable",
    "from_json",
    "picture_size",
    "preset",
    "to_json",
]
