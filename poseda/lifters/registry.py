"""Lifters by name: the built-in ones, those a program registers, and those of other packages."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn.functional import pad

from poseda.config.near import guess
from poseda.geometry.skeleton import Skeleton

ENTRY_POINTS = "poseda.lifters"
"""Entry-point group under which a package offers lifters: ``name = "module:Class"``."""

Factory = Callable[..., nn.Module]
Registered = TypeVar("Registered", bound=Factory)

_REGISTERED: dict[str, Factory] = {}


def register_lifter(name: str) -> Callable[[Registered], Registered]:
    """Register a class or function ``(skeleton, frames=1, **options) -> nn.Module`` under a name.

    Raises:
        ValueError: if the name is taken.
    """

    def register(factory: Registered) -> Registered:
        if _REGISTERED.get(name, factory) is not factory:
            raise ValueError(f"lifter {name!r} is registered already, by {_REGISTERED[name].__module__}")
        _REGISTERED[name] = factory
        return factory

    return register


def names() -> list[str]:
    """Names of all lifters that :func:`build` knows."""
    return sorted({*_REGISTERED, *(entry.name for entry in entry_points(group=ENTRY_POINTS))})


def build(name: str, skeleton: Skeleton, frames: int = 1, **options: Any) -> nn.Module:
    """Build a lifter.

    Args:
        name: one of :func:`names`.
        skeleton: of the poses.
        frames: T, the length of a window.
        **options: of the lifter.

    Raises:
        ValueError: if the name or an option is unknown; the message lists the known ones. Also if another
            package's lifter raises an error or is not a module.
    """
    factory = _find(name)
    parameters = inspect.signature(factory).parameters
    if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        known = _options(parameters)
        unknown = [option for option in options if option not in known]
        if unknown:
            raise ValueError(
                f"lifter {name!r}: expected options among {', '.join(known)}, got {', '.join(unknown)}"
            )
    try:
        lifter = factory(skeleton, frames=frames, **options)
    except ValueError:
        raise
    except Exception as error:  # another package's code may raise anything
        given = ", ".join(f"{option}={value!r}" for option, value in {"frames": frames, **options}.items())
        raise _failed(name, f"to be built from a skeleton and {given}", error) from error
    if not isinstance(lifter, nn.Module):
        raise ValueError(f"lifter {name!r}: expected an nn.Module, got {type(lifter).__name__}")
    return lifter


def options(name: str) -> dict[str, Any]:
    """The options of a lifter for :func:`build`, with their defaults.

    Raises:
        ValueError: if the name is unknown; the message lists the known ones.
    """
    return _options(inspect.signature(_find(name)).parameters)


def _options(parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    return {
        option: parameter.default
        for option, parameter in parameters.items()
        if option not in ("skeleton", "frames")
    }


def _find(name: str) -> Factory:
    if name in _REGISTERED:
        return _REGISTERED[name]
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        try:
            factory: Factory = entry.load()
        except Exception as error:  # another package's code may raise anything
            raise _failed(name, f"to import {entry.value}", error) from error
        if not callable(factory):
            found = type(factory).__name__
            raise ValueError(f"lifter {name!r}: expected a class or function at {entry.value}, got {found}")
        return factory
    raise ValueError(f"lifter: expected one of {', '.join(names())}, got {name!r}{guess(name, names())}")


def _failed(name: str, wanted: str, error: Exception) -> ValueError:
    return ValueError(f"lifter {name!r}: expected {wanted}, got an error ({type(error).__name__}: {error})")


class Lifter(nn.Module):
    """Base class of the built-in lifters.

    Args:
        skeleton: of the poses.
        frames: T.
        in_channels: 2, or 3 with confidence.

    Raises:
        ValueError: if ``frames`` is below 1, or above 1 for a lifter of single frames.
    """

    any_frames = True
    single_frame: str | None = None
    """Name of the lifter if it sees single frames only, for the message."""

    def __init__(self, skeleton: Skeleton, frames: int, in_channels: int) -> None:
        super().__init__()
        if self.single_frame is not None and frames != 1:
            raise ValueError(f"frames: expected 1, as {self.single_frame} sees single frames, got {frames}")
        if frames < 1:
            raise ValueError(f"frames: expected at least 1, got {frames}")
        self.joints, self.in_channels, self.frames = skeleton.num_joints, in_channels, frames

    def check_input(self, pose_2d: Tensor) -> None:
        """Check the shape of the input.

        Raises:
            ValueError: if it is not (N, T, J, C).
        """
        shape = tuple(pose_2d.shape)
        if len(shape) != 4 or shape[2:] != (self.joints, self.in_channels):
            raise ValueError(
                f"pose_2d: expected shape (N, T, {self.joints}, {self.in_channels}), got {shape}"
            )


class SingleFrameLifter(Lifter):
    """A network (N, J * C) to (N, (J - 1) * 3), applied to each frame; the root is put before the joints."""

    network: nn.Module

    def forward(self, pose_2d: Tensor) -> Tensor:
        """Lift (N, T, J, C) screen coordinates to (N, T, J, 3) metres, root at the origin."""
        self.check_input(pose_2d)
        batch, frames = pose_2d.shape[:2]
        features = pose_2d.reshape(batch * frames, self.joints * self.in_channels)
        joints = self.network(features).reshape(batch, frames, self.joints - 1, 3)
        return pad(joints, (0, 0, 1, 0))


def start_small(output: nn.Module) -> None:
    """Initialise a lifter's output layer near zero.

    Joints lie within a metre of the root, but He's initialisation gives several metres. A short training
    spends most of its steps on that (SimpleBaseline, embedded source, 800 steps: 138 mm against 65 mm).
    """
    assert isinstance(output, (nn.Linear, nn.Conv1d))
    nn.init.normal_(output.weight, std=1e-3)
    if output.bias is not None:
        nn.init.zeros_(output.bias)
