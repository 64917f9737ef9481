"""Tables on the device: made once, and constants of a compiled program."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from poseda.geometry.device_table import device_table
from poseda.geometry.skeleton import COCO17, H36M16
from poseda.lifters import mirror

made: list[tuple[Any, ...]] = []


@device_table
def powers(base: float, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Its first powers, and their number."""
    made.append((base, size, device.type))
    power = base ** torch.arange(size, device=device)
    return power, torch.tensor(size, device=device)


CPU = torch.device("cpu")


def test_a_table_is_made_once_for_each_set_of_arguments() -> None:
    made.clear()
    first, again, other = powers(2.0, 4, CPU), powers(2.0, 4, CPU), powers(3.0, 4, CPU)
    assert first[0] is again[0] and first[0].tolist() == [1, 2, 4, 8] and other[0].tolist() == [1, 3, 9, 27]
    assert made == [(2.0, 4, "cpu"), (3.0, 4, "cpu")]
    assert powers.__name__ == "powers" and powers.__doc__ == "Its first powers, and their number."


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("backend", "size"), [("eager", 5), ("aot_eager", 6)])
def test_a_compiled_program_takes_the_kept_tables_for_constants(backend: str, size: int) -> None:
    """Several tables of one function, too: the compiler once gave them all one name."""
    made.clear()

    def program(x: Tensor) -> Tensor:
        power, number = powers(2.0, size, x.device)
        return x * power * number + powers(3.0, size, x.device)[0] + powers(5.0, size, x.device)[0]

    torch._dynamo.reset()
    graphs: list[torch.fx.GraphModule] = []

    def compiled(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        graphs.append(graph)
        return torch._dynamo.lookup_backend(backend)(graph, inputs)

    x = torch.linspace(-1.0, 2.0, size)
    for _ in range(2):
        found = torch.compile(program, backend=compiled, fullgraph=True)(x)
    assert torch.equal(found, program(x))
    assert made == [(base, size, "cpu") for base in (2.0, 3.0, 5.0)], "not made again for the program"
    (graph,) = graphs
    names = {str(node.target) for node in graph.graph.nodes if node.op.startswith("call")}
    assert not any("arange" in name or "tensor" in name for name in names), names


def test_mirrored_poses_of_two_skeletons_compile_to_the_same_poses() -> None:
    torch._dynamo.reset()
    one, two = torch.randn(5, 16, 3), torch.randn(5, 17, 2)

    def both(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return mirror(a, H36M16), mirror(b, COCO17)

    found = torch.compile(both, backend="aot_eager", fullgraph=True)(one, two)
    for mirrored, plain in zip(found, both(one, two), strict=True):
        assert torch.equal(mirrored, plain)


@pytest.mark.parametrize("dynamic", [None, True])
def test_mirrored_poses_of_any_number_of_channels_compile(dynamic: bool | None) -> None:
    torch._dynamo.reset()
    program = torch.compile(
        lambda pose: mirror(pose, H36M16), backend="eager", fullgraph=True, dynamic=dynamic
    )
    for channels in (3, 2):  # the compiler then takes the number for a symbol
        pose = torch.randn(5, 16, channels)
        assert torch.equal(program(pose), mirror(pose, H36M16))


def test_a_table_made_in_inference_serves_training() -> None:
    with torch.inference_mode():
        power, _ = powers(11.0, 3, CPU)
    leaf = torch.ones(3, requires_grad=True)
    (leaf * power).sum().backward()
    assert leaf.grad is not None and leaf.grad.tolist() == [1, 11, 121]


def test_a_table_made_in_an_export_is_a_real_one() -> None:
    class Program(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * powers(13.0, 3, x.device)[0]

    program = torch.export.export(Program(), (torch.ones(2, 3),), strict=False)
    power, _ = powers(13.0, 3, CPU)
    assert type(power) is Tensor and power.tolist() == [1, 13, 169]
    assert torch.equal(program.module()(torch.ones(2, 3)), power.expand(2, 3))
