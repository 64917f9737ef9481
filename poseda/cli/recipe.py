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
    FOOTAGE_ARMS,
    PACKAGED,
    SINGLE_FRAME_ARMS,
    TAUGHT_ARMS,
    ConfigError,
    RunConfig,
    preset,
)
from poseda.config.fields import changed
from poseda.config.run import Preset

if TYPE_CHECKING:
    from poseda.datasets import Domains


def resolve(given: Mapping[str, Any]) -> RunConfig:
    """The run that options ask for.

    Defaults come from the preset. Preset and precision ``auto`` follow from the device, or are those of the
    run to resume. With footage, the arms are those that need no labels. The size of the network follows from
    lifter and device. Every option that is given wins over all of these.

    Args:
        given: values of the given options by name, such as ``training.batch``.

    Raises:
        ConfigError: if a value is out of range or two values do not fit.
        ValueError: if the device is unknown or not there.
    """
    name, recorded = given.get("preset", "auto"), _recorded(given)
    # A mistake is refused before torch is loaded.
    config = _by_preset(recorded.get("preset", name) if name == "auto" else name, given)

    from poseda.device import choose, precision_of

    device = choose(config.device)
    if name == "auto":
        config = _by_preset(recorded.get("preset", "full" if device.type == "cuda" else "default"), given)
    if config.precision == "auto":
        precision = recorded.get("precision") or precision_of(config.precision, device)
        config = changed(config, {"precision": precision})

    if config.packaged:
        config = _sized_as_packaged(config, given)

    from poseda.lifters.sizes import usual_size

    size = {name: getattr(usual_size(config), name) for name in ("width", "blocks")}
    chosen = {f"network.{name}": value for name, value in size.items() if f"network.{name}" not in given}
    return changed(config, chosen)


def _sized_as_packaged(config: RunConfig, given: Mapping[str, Any]) -> RunConfig:
    """The run with a wide lifter of the family and size of the package's own.

    Raises:
        ConfigError: if another was asked for.
    """
    own = pretrained.config().wide
    size = {name: getattr(own, name.removeprefix("wide.")) for name in PACKAGED}
    if "wide.steps" in given:
        wanted = "expected <from_scratch> beside it, as the package's lifter is trained already"
        raise ConfigError("wide.steps", wanted, "from_scratch")
    for name, there in size.items():
        if given.get(name, there) != there:
            wanted = f"expected {there}, that of the package's lifter, or <from_scratch>, got {given[name]}"
            raise ConfigError(name, wanted, "from_scratch")
    return changed(config, size)


def _by_preset(name: Preset, given: Mapping[str, Any]) -> RunConfig:
    config = changed(preset(name), {option: value for option, value in given.items() if option != "preset"})
    if not config.target or "arms" in given:
        return config
    left_out = SINGLE_FRAME_ARMS if config.frames > 1 else TAUGHT_ARMS if config.packaged else ()
    return replace(config, arms=tuple(arm for arm in FOOTAGE_ARMS if arm not in left_out))


def _recorded(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the run to resume. None if there is none, or its record is damaged: refused later."""
    if not given.get("resume"):
        return {}
    try:
        record = json.loads((Path(given.get("out", RunConfig.out)) / "config.json").read_text())["config"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return record if isinstance(record, dict) else {}


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
