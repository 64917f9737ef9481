"""Sums of rows that poses share: values, opcheck, and what points outside."""

from __future__ import annotations

import pytest
import torch

from poseda.ops._row_sums import sort_index


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


@pytest.mark.parametrize("table_rows", [1, 7, 2047, 2048, 100_000, 2**22, 2**40])
@pytest.mark.parametrize("count", [0, 1, 3000])
def test_an_index_is_sorted_as_torch_sorts_it(count: int, table_rows: int, device: torch.device) -> None:
    """From one digit to four, which end in either of two buffers; ties keep the order of the poses."""
    index = torch.randint(table_rows, (count,), device=device)
    index[::3] //= 1000
    expected = torch.sort(index, stable=True)
    for actual, wanted in zip(sort_index(index, table_rows), expected, strict=True):
        assert torch.equal(actual, wanted)
    torch.library.opcheck(torch.ops.poseda.sort_index.default, (index.cpu(), table_rows))


def test_an_index_need_not_lie_in_one_piece() -> None:
    index = torch.randint(5000, (300, 2))[:, 0]
    for actual, wanted in zip(sort_index(index, 5000), torch.sort(index, stable=True), strict=True):
        assert torch.equal(actual, wanted)


def test_poses_that_point_outside_of_the_table_come_last_and_add_nothing() -> None:
    index = torch.tensor([3, -1, 0, 4, 2**62, 3, -(2**63)])
    sorted_index, order = sort_index(index, 4)
    assert sorted_index.tolist() == [0, 3, 3, 4, 4, 4, 4] and order.tolist() == [2, 0, 5, 1, 3, 4, 6]
    sums = torch.ops.poseda.sum_picked_rows(torch.ones(7, 2), sorted_index, order, 4)
    assert sums.tolist() == [[1, 1], [0, 0], [0, 0], [2, 2]]


def test_sums_of_a_large_table_are_the_same_for_any_number_of_threads() -> None:
    rows, index = torch.randn(20_000, 4), torch.randint(50_000, (20_000,)) // 3
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(torch.ops.poseda.sum_picked_rows(rows, *sort_index(index, 50_000), 50_000))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
    torch.testing.assert_close(found[0], torch.zeros(50_000, 4).index_add_(0, index, rows))


def test_an_index_that_is_not_sorted_does_no_harm() -> None:
    unsorted = torch.tensor([3, -7, 10**9, 1, 0])
    sums = torch.ops.poseda.sum_picked_rows(torch.ones(5, 3), unsorted, torch.arange(5), 4)
    assert sums.shape == (4, 3) and sums.isfinite().all()


def test_a_wrong_index_is_refused_by_name() -> None:
    with pytest.raises(RuntimeError, match="index: expected one dimension of int64"):
        torch.ops.poseda.sort_index(torch.zeros(3, 2, dtype=torch.int64), 4)
    with pytest.raises(RuntimeError, match="table_rows: expected at least 0"):
        torch.ops.poseda.sort_index(torch.zeros(3, dtype=torch.int64), -1)
