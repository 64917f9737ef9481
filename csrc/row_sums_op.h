// Sums of rows that poses share, on either device. Device provides
//     static void sum_rows(const T* rows, int64_t count, int64_t columns, T* sum, const Tensor& like)
//     static void sum_picked_rows(const T* rows, int64_t columns, const int64_t* sorted,
//                                 const int64_t* order, int64_t count, int64_t table_rows, T* sums,
//                                 const Tensor& like)
#pragma once

#include "guards.h"

namespace poseda {

template <class Device>
Tensor sum_rows_op(Tensor rows) {
    require(rows.dim() == 2 && rows.is_contiguous(), "rows: expected a contiguous matrix");
    return for_type(rows, "rows", [&](auto zero) {
        using T = decltype(zero);
        const int64_t count = rows.size(0), columns = rows.size(1);
        const Tensor sum = allocate(rows, rows.scalar_type(), {1, columns});
        if (columns > 0) Device::sum_rows(numbers<const T>(rows), count, columns, numbers<T>(sum), rows);
        return sum;
    });
}

template <class Device>
Tensor sum_picked_rows_op(Tensor rows, Tensor sorted, Tensor order, int64_t table_rows) {
    Guard guard(rows, "rows");
    require(rows.dim() == 2 && rows.is_contiguous(), "rows: expected a contiguous matrix");
    const auto index = [&](const Tensor& given, const char* name) {
        guard.check(given, name, ScalarType::Long);
        require(given.dim() == 1 && given.size(0) == rows.size(0) && given.is_contiguous(), name,
                ": expected one contiguous entry a row");
        return numbers<const int64_t>(given);
    };
    const int64_t* sorted_index = index(sorted, "sorted_index");
    const int64_t* poses = index(order, "order");
    require(table_rows >= 0, "table_rows: expected at least 0");
    return for_type(rows, "rows", [&](auto zero) {
        using T = decltype(zero);
        const int64_t count = rows.size(0), columns = rows.size(1);
        const Tensor sums = allocate(rows, rows.scalar_type(), {table_rows, columns});
        if (sums.numel() > 0) {
            Device::sum_picked_rows(numbers<const T>(rows), columns, sorted_index, poses, count, table_rows,
                                    numbers<T>(sums), rows);
        }
        return sums;
    });
}

}  // namespace poseda
