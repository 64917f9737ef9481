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


@torch.library.register_fake("poseda::sum_rows")
def _sum_rows_fake(rows: Tensor) -> Tensor:
    return rows.new_empty((1, rows.shape[1]))


@torch.library.register_fake("poseda::sum_picked_rows")
def _sum_picked_rows_fake(rows: Tensor, sorted_index: Tensor, order: Tensor, table_rows: int) -> Tensor:
    return rows.new_empty((table_rows, rows.shape[1]))
