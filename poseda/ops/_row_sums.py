"""Sums of the gradients of rows that poses share: fixed blocks, the same bits for any number of threads."""

from __future__ import annotations

import torch
from torch import Tensor

from poseda.ops import _autograd as autograd
from poseda.ops import _native as native

native.load()

sum_rows = autograd.refuse_second_derivative(torch.ops.poseda.sum_rows.default)
"""Rows (N, C) to their sum (1, C)."""

sum_picked_rows = autograd.refuse_second_derivative(torch.ops.poseda.sum_picked_rows.default)
"""Rows (N, C), a sorted index (N,), the order that sorts it stably, and M: to (M, C), a sum a table row."""


def sort_index(index: Tensor, table_rows: int) -> tuple[Tensor, Tensor]:
    """An index (N,) of the rows of a table: sorted stably, and the order that sorts it.

    On a CPU entries outside of the table come last; torch's sort would take longer than all that follows.
    """
    if index.device.type == "cpu":
        return torch.ops.poseda.sort_index(index, table_rows)
    sorted_index, order = torch.sort(index, stable=True)
    return sorted_index, order


@torch.library.register_fake("poseda::sort_index")
def _sort_index_fake(index: Tensor, table_rows: int) -> tuple[Tensor, Tensor]:
    return index.new_empty(index.shape), index.new_empty(index.shape)


@torch.library.register_fake("poseda::sum_rows")
def _sum_rows_fake(rows: Tensor) -> Tensor:
    return rows.new_empty((1, rows.shape[1]))


@torch.library.register_fake("poseda::sum_picked_rows")
def _sum_picked_rows_fake(rows: Tensor, sorted_index: Tensor, order: Tensor, table_rows: int) -> Tensor:
    return rows.new_empty((table_rows, rows.shape[1]))
