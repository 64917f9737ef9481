"""No step computes with a table that stayed on the host: on a GPU it would be copied there at every step.

The steps run on torch's meta device, which computes nothing, but refuses a tensor of another device.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.step.launches import as_on_cuda, phases
from poseda.training.adversarial import GeneratorPhase

pytestmark = pytest.mark.usefixtures("one_thread")

META = torch.device("meta")

KINDS = ("lifter", "generator and discriminators", "wide")


def moved(value: Any, seen: dict[int, Any]) -> Any:
    """What a phase holds on the meta device: modules and our own objects in place, records as copies."""
    if id(value) in seen:
        return seen[id(value)][0]
    result = value
    if isinstance(value, (Tensor, nn.Module)):
        result = value.to(META)
    elif isinstance(value, torch.Generator):
        result = None  # the meta device has none
    elif type(value).__module__.startswith("poseda.") and hasattr(value, "__dict__"):
        result = copy.copy(value) if is_dataclass(value) else value
        seen[id(value)] = (result, value)
        names = [entry.name for entry in fields(value)] if is_dataclass(value) else list(vars(value))
        for name in names:
            object.__setattr__(result, name, moved(getattr(value, name), seen))
    seen[id(value)] = (result, value)
    return result


def backward_alone(terms: dict[str, Tensor], phase: GeneratorPhase) -> dict[str, Tensor]:
    """The backward pass, without an optimiser, which takes no such device."""
    torch.stack(list(terms.values())).backward(phase._weight_row(tuple(terms)))
    return terms


@pytest.fixture
def on_meta(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Phases after a step, which makes their tables, with all that they hold on the meta device."""
    made: dict[str, Any] = dict(phases(16))
    for phase in made.values():
        phase.step(0)
        order = phase._order if isinstance(phase, GeneratorPhase) else phase.pairs._order
        moved(phase, {id(kept): (kept, kept) for kept in (phase._graphs, phase.watch, order)})
        if isinstance(phase, GeneratorPhase):
            monkeypatch.setattr(phase, "_weight_row", lambda names: torch.empty(len(names), device=META))
            monkeypatch.setattr(
                phase, "_minimise", lambda _, terms, *more, own=phase: backward_alone(terms, own)
            )
        else:
            monkeypatch.setattr(phase, "_update_weights", lambda loss, *_: loss.backward())
    with as_on_cuda():
        yield made


def train(phase: Any) -> None:
    index = torch.arange(16, device=META)
    if isinstance(phase, GeneratorPhase):
        phase._train(phase.discriminator_optimizer, 0, index)
    else:
        phase._train(0, 0.1, index)


def test_no_step_computes_with_a_table_of_the_host(on_meta: dict[str, Any]) -> None:
    assert tuple(on_meta) == KINDS
    for phase in on_meta.values():
        train(phase)


def test_a_table_that_stays_on_the_host_is_found(on_meta: dict[str, Any]) -> None:
    wide, generator = on_meta["wide"], on_meta["generator and discriminators"]
    wide.pairs.detector._trunk = torch.ones(16, dtype=torch.bool)
    generator.discriminators["2d"].scale = torch.ones(35)
    for phase in (wide, generator):
        with pytest.raises(RuntimeError, match="device"):
            train(phase)
