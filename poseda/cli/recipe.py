"""From the options of `poseda adapt` to a run: what preset, lifter and device decide, and the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from poseda.cli.program import UsageError, option_name
from poseda.config import FOOTAGE_ARMS, SINGLE_FRAME_ARMS, RunConfig, preset
from poseda.config.fields import changed

if TYPE_CHECKING:
    from poseda.datasets import Domains


def resolve(given: Mapping[str, Any]) -> RunConfig:
    """The run that options ask for.

    Defaults come from the preset. With footage, the arms are those that need no labels. The size of the
    network follows from lifter and device. Every option that is given wins over all of these.

    Args:
        given: values of the given options by name, such as ``training.batch``.

    Raises:
        ConfigError: if a value is out of range or two values do not fit.
        ValueError: if the device is unknown or not there.
    """
    config = preset(given.get("preset", "default"))
    if "target" in given:
        alone = given.get("frames", 1) == 1
        arms = tuple(arm for arm in FOOTAGE_ARMS if alone or arm not in SINGLE_FRAME_ARMS)
        config = replace(config, arms=arms)
    config = changed(config, given)

    from poseda.lifters.sizes import usual_size

    size = {name: getattr(usual_size(config), name) for name in ("width", "blocks")}
    chosen = {f"network.{name}": value for name, value in size.items() if f"network.{name}" not in given}
    return changed(config, chosen)


def open_chosen(config: RunConfig) -> Domains:
    """The data of a run.

    Raises:
        UsageError: if they cannot be read or used.
    """
    from poseda.cli.footage import with_detections
    from poseda.config import picture_size
    from poseda.datasets import open_domains, own_domains
    from poseda.datasets.account import check_usable

    try:
        if config.target is None:
            return open_domains(config.data, size=config.domain_size)
        target = with_detections(config.target, [config.out], config.video_detector, config.video_model)
        domains = own_domains(
            config.source,
            target,
            picture_size(config.image_size),
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
        if domains.account is not None:
            check_usable(domains.account, config.target)
        return domains
    except (ValueError, OSError) as error:
        raise UsageError(_named(str(error))) from error


def _named(sentence: str) -> str:
    """A refusal that begins with an option, with the option as it is typed."""
    option, colon, rest = sentence.partition(":")
    return f"{option_name(option)}{colon}{rest}" if option in ("joints", "layout") else sentence
