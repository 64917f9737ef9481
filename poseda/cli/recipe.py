"""From the options of `poseda adapt` to a run: what preset, lifter and device decide, and the data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poseda import pretrained
from poseda.cli.program import UsageError, option_name
from poseda.config import (
    ARMS,
    FIELD,
    PACKAGED_TEACHING,
    TEACHING,
    WIDE_ARMS,
    ConfigError,
    RunConfig,
    arm_name,
    preset,
    to_json,
    usual_arms,
)
from poseda.config.fields import changed, fields_of, flatten
from poseda.config.run import Preset, check_weak_labels

if TYPE_CHECKING:
    from poseda.datasets import Domains


def resolve(given: Mapping[str, Any], demo: bool = False) -> RunConfig:
    """The run that options ask for.

    Defaults come from the preset. Preset and precision ``auto`` follow from the device. Arms and views follow
    from the data. A run to resume keeps all of these. The size of the network follows from lifter and device.
    Every option that is given wins over all of these.

    Args:
        given: values of the given options by name, such as ``training.batch``.
        demo: on a CPU, take the preset demo between the embedded domains.

    Raises:
        ConfigError: if a value is out of range or two values do not fit.
        ValueError: if the device is unknown or not there.
    """
    name, recorded = given.get("preset", "auto"), recorded_options(given)
    given = recorded_arms(recorded) | _usual_for_footage(given, recorded) | dict(given)
    # A mistake is refused before torch is loaded.
    config = _by_preset(recorded.get("preset", name) if name == "auto" else name, given)
    if config.weak_labels:
        check_weak_labels(config)

    from poseda.device import choose, precision_of

    device = choose(config.device)
    if name == "auto":
        embedded = config.data is None and not config.target
        usual = "full" if device.type == "cuda" else "demo" if demo and embedded else "default"
        config = _by_preset(recorded.get("preset", usual), given)
    if config.precision == "auto":
        precision = recorded.get("precision") or precision_of(config, device)
        config = changed(config, {"precision": precision})

    if config.packaged:
        config = _sized_as_packaged(config, given, _usual_for_footage(given, recorded))
        config = changed(config, _usual_teaching(config.preset, given, recorded))

    from poseda.lifters.sizes import usual_size

    size = {name: getattr(usual_size(config), name) for name in ("width", "blocks")}
    chosen = {f"network.{name}": value for name, value in size.items() if f"network.{name}" not in given}
    return changed(config, chosen)


def _sized_as_packaged(config: RunConfig, given: Mapping[str, Any], kept: Mapping[str, Any]) -> RunConfig:
    """The run with a wide lifter of the family and size of the package's own.

    Raises:
        ConfigError: if another was asked for.
    """
    _refuse_idle(config, given, kept)
    pretrained.check_size(given)
    return changed(config, pretrained.size())


def _refuse_idle(config: RunConfig, given: Mapping[str, Any], kept: Mapping[str, Any]) -> None:
    """Refuse options that the package's lifter, trained already, leaves without effect.

    Values that nobody asked for are no reason: those of a preset, of footage, or ``kept`` of a run to resume.

    Raises:
        ConfigError: naming the first, and what would give it an effect.
    """
    if not set(WIDE_ARMS) & set(config.arms):
        return
    taught, usual = "wide_target" in config.arms, flatten(to_json(preset(config.preset)))
    for name in (entry.name for entry in fields_of(RunConfig) if entry.section in VIEWED):
        trains = name in ("wide.steps", "wide.learning_rate")
        if (
            name in pretrained.size()
            or (taught and not trains)
            or given.get(name, usual[name]) in (usual[name], FIELD.get(name), kept.get(name))
        ):
            continue
        remedy = "<from_scratch>" if trains else "the arm wide_target" if name in TEACHING else EITHER
        raise ConfigError(
            name, f"expected {remedy} beside it, as the package's lifter is trained already", "from_scratch"
        )


VIEWED = ("wide", "views", "detector")
"""Sections that the wide arms alone read."""

EITHER = "<from_scratch> or the arm wide_target"
"""What makes a run with the package's lifter train on views."""


def _usual_for_footage(given: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Where footage is the target, views are drawn as it shows people, and it teaches something itself.

    A run to resume keeps its own.
    """
    if not given.get("target"):
        return {}
    if not recorded:
        return dict(FIELD)
    there = flatten(recorded)
    return {name: there.get(name, 0.0) for name in FIELD}


def _usual_teaching(name: str, given: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
    """How long the package's lifter learns a target, where neither options nor another preset say it.

    A run to resume keeps its own.
    """
    if name != "default":
        return {}
    wide = recorded.get("wide")
    there = wide if isinstance(wide, dict) else {}
    return {
        option: there.get(option.partition(".")[2], usual)
        for option, usual in PACKAGED_TEACHING.items()
        if option not in given
    }


def _by_preset(name: Preset, given: Mapping[str, Any]) -> RunConfig:
    config = changed(preset(name), {option: value for option, value in given.items() if option != "preset"})
    if "arms" in given:
        return config
    return replace(config, arms=usual_arms(config))


def recorded_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the run to resume. None if there is none, or its record is damaged: refused later."""
    if not given.get("resume"):
        return {}
    try:
        record = json.loads((Path(given.get("out", RunConfig.out)) / "config.json").read_text())["config"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return record if isinstance(record, dict) else {}


def recorded_arms(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """The arms of the run to resume, as an option; nothing where there is none.

    Nothing, too, where the gate was on: the record may then hold those that it left, not those asked for.
    """
    if recorded.get("gate") == "on":
        return {}
    arms = recorded.get("arms")
    names = tuple(arm_name(str(arm)) for arm in arms) if isinstance(arms, list) else ()
    return {"arms": names} if names and set(names) <= set(ARMS) else {}


def open_chosen(config: RunConfig) -> Domains:
    """The data of a run.

    Raises:
        UsageError: if they cannot be read or used.
    """
    from poseda.cli.footage import with_all_detections
    from poseda.config import picture_size
    from poseda.datasets import open_domains, own_domains
    from poseda.datasets.account import check_usable

    try:
        if not config.target:
            return open_domains(config.data, size=config.domain_size)
        target = with_all_detections(config.target, config.out, config.video_detector, config.video_model)
        domains = own_domains(
            config.source,
            target,
            [size for text in config.image_size if (size := picture_size(text))],
            config.fov,
            cameras=config.cameras,
            intrinsics=config.intrinsics,
            min_confidence=config.min_confidence,
            layout=config.layout,
            people=config.people,
            joints=config.joints,
            weak_labels=config.weak_labels,
            camera_pitch=config.camera_pitch,
            camera_roll=config.camera_roll,
            strict=config.strict,
            stride=config.stride,
        )
        check_usable(domains.accounts, config.target)
        return domains
    except (ValueError, OSError) as error:
        raise UsageError(_named(str(error))) from error


def _named(sentence: str) -> str:
    """A refusal that begins with an option, with the option as it is typed."""
    option, colon, rest = sentence.partition(":")
    return f"{option_name(option)}{colon}{rest}" if option in ("joints", "layout") else sentence
