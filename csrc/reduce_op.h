// Sums over shared and gathered rows on either device. Device provides
//     static void sum_rows(const T* rows, int64_t count, int64_t columns, T* sum, const Tensor& like)
//     static void sum_picked_rows(const T* rows, int64_t columns, const int64_t* sorted, const int64_t*
//     order,
//                                 int64_t count, int64_t table_rows, T* sums, const Tensor& like)
#pragma once

#include "guards.h"

namespace poseda {

template <class Device, class T>
Tensor sum_rows_typed(const Tensor& rows) {
    Guard guard(rows, "rows");
    const int64_t count = rows.size(0), columns = rows.size(1);
    const Rows<const T> in = guard.rows<T>(rows, "rows", count, -1, {columns});
    const Tensor sum = allocate(rows, rows.scalar_type(), {1, columns});
    if (columns > 0) Device::sum_rows(in.data, count, columns, static_cast<T*>(sum.data_ptr()), rows);
    return sum;
}

template <class Device>
Tensor sum_rows_op(Tensor rows) {
    STD_TORCH_CHECK(rows.dim() == 2 && rows.is_contiguous(), "rows: expected a contiguous matrix");
    return floating_type(rows, "rows") == ScalarType::Float ? sum_rows_typed<Device, float>(rows)
                                                            : sum_rows_typed<Device, double>(rows);
}

template <class Device, class T>
Tensor sum_picked_rows_typed(const Tensor& rows, const int64_t* sorted, const int64_t* order,
                             int64_t table_rows) {
    const int64_t count = rows.size(0), columns = rows.size(1);
    const Tensor sums = allocate(rows, rows.scalar_type(), {table_rows, columns});
    if (sums.numel() > 0) {
        Device::sum_picked_rows(static_cast<const T*>(rows.data_ptr()), columns, sorted, order, count,
                                table_rows, static_cast<T*>(sums.data_ptr()), rows);
    }
    return sums;
}

template <class Device>
Tensor sum_picked_rows_op(Tensor rows, Tensor sorted, Tensor order, int64_t table_rows) {
    Guard guard(rows, "rows");
    STD_TORCH_CHECK(rows.dim() == 2 && rows.is_contiguous(), "rows: expected a contiguous matrix");
    const auto check_index = [&](const Tensor& index, const char* name) {
        guard.check(index, name, ScalarType::Long);
        STD_TORCH_CHECK(index.dim() == 1 && index.size(0) == rows.size(0) && index.is_contiguous(), name,
                        ": expected one contiguous entry a row");
    };
    check_index(sorted, "sorted_index");
    check_index(order, "order");
    STD_TORCH_CHECK(table_rows >= 0, "table_rows: expected at least 0");
    const auto* sorted_data = static_cast<const int64_t*>(sorted.data_ptr());
    const auto* order_data = static_cast<const int64_t*>(order.data_ptr());
    return floating_type(rows, "rows") == ScalarType::Float
               ? sum_picked_rows_typed<Device, float>(rows, sorted_data, order_data, table_rows)
               : sum_picked_rows_typed<Device, double>(rows, sorted_data, order_data, table_rows);
}

}  // namespace poseda
