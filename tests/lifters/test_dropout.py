"""Dropout on a CPU: the right share, the right scale, torch's generator, and nothing in evaluation mode."""

from functools import partial

import pytest
import torch
from torch import nn

from poseda.lifters.dropout import Dropout, drop_part


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_share_and_scale(probability: float) -> None:
    torch.manual_seed(0)
    size = 400_000
    dropped = Dropout(probability)(torch.ones(size // 8, 8))
    share = (dropped == 0).double().mean().item()
    deviation = (probability * (1 - probability) / size) ** 0.5
    assert abs(share - probability) < 5 * deviation + 2**-17
    scale = dropped[dropped != 0].unique()
    assert scale.numel() == 1 and abs(scale.item() * (1 - probability) - 1) < 2**-16 / (1 - probability)
    # Neighbours share a draw; none of them may follow another.
    together = ((dropped == 0).double() - share).T.corrcoef() - torch.eye(8)
    assert together.abs().max() < 5 / (size // 8) ** 0.5


def test_gradient_passes_where_the_feature_does() -> None:
    torch.manual_seed(0)
    features = torch.randn(33, 7, requires_grad=True)
    dropped = Dropout(0.3)(features)
    dropped.sum().backward()
    torch.testing.assert_close(features.grad, (dropped / features).detach())


def test_the_seed_decides() -> None:
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(Dropout(0.5)(torch.ones(1000)))
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("probability", [0.0, 0.4, 1.0])
def test_edges(probability: float) -> None:
    features = torch.randn(5, 3)
    module = Dropout(probability)
    assert torch.equal(module.eval()(features), features)
    trained = module.train()(features)
    if probability in (0.0, 1.0):
        assert torch.equal(trained, features * (1 - probability))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_dtype_stays(dtype: torch.dtype) -> None:
    assert Dropout(0.2)(torch.ones(10, dtype=dtype)).dtype == dtype


def test_parts_of_a_batch_make_up_the_whole():
    features, ours, theirs = torch.randn(6, 5), Dropout(0.3), nn.Dropout(0.3)
    for whole, part in ((ours, ours.part), (theirs, partial(drop_part, theirs))):
        torch.manual_seed(1)
        expected = whole(features)
        assert (expected == 0).any()
        for index, rows in enumerate(features.chunk(3)):
            torch.manual_seed(1)
            assert torch.equal(part(rows, 3, index), expected.chunk(3)[index])
