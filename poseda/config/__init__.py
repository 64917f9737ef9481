"""Every option, once: command lines, help texts, defaults and saved runs derive from these records.

The text under each field is its help text. Its annotation says what values it may have. Lengths are in metres
and angles in radians unless the text names another unit.
"""

from __future__ import annotations

from poseda.config.commands import (
    FEWEST_JOINTS,
    BenchConfig,
    DoctorConfig,
    EvaluateConfig,
    ExportConfig,
    FileConfig,
    InfoConfig,
    InspectConfig,
    LiftConfig,
    SmoothingConfig,
    ViewConfig,
)
from poseda.config.limits import ConfigError, picture_size
from poseda.config.record import check_resumable, from_json, to_json
from poseda.config.run import (
    ARMS,
    FIELD,
    FIELD_VIEWS,
    PACKAGED,
    PACKAGED_TEACHING,
    RENAMED_ARMS,
    TEACHING,
    WIDE_ARMS,
    Arm,
    Compile,
    RunConfig,
    arm_name,
    preset,
    usual_arms,
)
from poseda.config.sections import (
    SMALLEST_BATCH,
    AdversaryConfig,
    AlignmentConfig,
    DetectorConfig,
    GeneratorConfig,
    GeneratorTrainingConfig,
    HealthConfig,
    LifterTrainingConfig,
    Loss,
    NetworkConfig,
    PlacementConfig,
    TargetDataConfig,
    ViewsConfig,
    WideConfig,
)
from poseda.config.streams import STDOUT

__all__ = [
    "ARMS",
    "FEWEST_JOINTS",
    "FIELD",
    "FIELD_VIEWS",
    "PACKAGED",
    "PACKAGED_TEACHING",
    "RENAMED_ARMS",
    "SMALLEST_BATCH",
    "STDOUT",
    "TEACHING",
    "WIDE_ARMS",
    "AdversaryConfig",
    "AlignmentConfig",
    "Arm",
    "BenchConfig",
    "Compile",
    "ConfigError",
    "DetectorConfig",
    "DoctorConfig",
    "EvaluateConfig",
    "ExportConfig",
    "FileConfig",
    "GeneratorConfig",
    "GeneratorTrainingConfig",
    "HealthConfig",
    "InfoConfig",
    "InspectConfig",
    "LiftConfig",
    "LifterTrainingConfig",
    "Loss",
    "NetworkConfig",
    "PlacementConfig",
    "RunConfig",
    "SmoothingConfig",
    "TargetDataConfig",
    "ViewConfig",
    "ViewsConfig",
    "WideConfig",
    "arm_name",
    "check_resumable",
    "from_json",
    "picture_size",
    "preset",
    "to_json",
    "usual_arms",
]
