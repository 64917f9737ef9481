"""Sums of rows that poses share: values, opcheck, and what points outside."""

from __future__ import annotations

import torch


def test_the_sums_are_those_of_torch(device: torch.device) -> None:
    rows = torch.randn(300, 4, dtype=torch.float64, device=device)
    torch.library.opcheck(torch.ops.poseda.sum_rows.default, (rows,))
    index = torch.randint(0, 7, (300,), device=device)
    sorted_index, order = torch.sort(index, stable=True)
    torch.library.opcheck(torch.ops.poseda.sum_picked_rows.default, (rows, sorted_index, order, 7))
    sums = torch.ops.poseda.sum_picked_rows(rows, sorted_index, order, 7)
    torch.testing.assert_close(sums, torch.zeros(7, 4).to(rows).index_add_(0, index, rows))
    torch.testing.assert_close(torch.ops.poseda.sum_rows(rows), rows.sum(0, keepdim=True))
    # An order that points outside adds nothing and reads nothing.
    wild = torch.full_like(order, 10**9)
    assert not torch.ops.poseda.sum_picked_rows(rows, sorted_index, wild, 7).any()


def test_no_columns_take_no_memory() -> None:
    assert torch.ops.poseda.sum_rows(torch.empty(2**40, 0)).shape == (1, 0)
