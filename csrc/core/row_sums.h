// Sums of the gradients of rows that several poses share. The order of the sums depends neither on threads
// nor on the device's timing.
#pragma once

#include "core/scalar.h"

namespace poseda {

// Rows that one thread sums before its partial sum joins the others.
constexpr int64_t kSumRows = 256;

// Sum of one column over rows begin .. end-1. In double for either type, for a batch may be long.
template <class T>
POSEDA_HD double sum_column(const T* rows, int64_t columns, int64_t column, int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t n = begin; n < end; ++n) sum += double(rows[n * columns + column]);
    return sum;
}

// First position in a sorted index that is not below `value`.
POSEDA_HD int64_t lower_bound(const int64_t* sorted, int64_t size, int64_t value) {
    int64_t low = 0, high = size;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (sorted[middle] < value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// Sum of one column over the poses that picked one row of a table, in the order of poses: those from `first`
// on whose entry of the sorted index is `row`. `order` sorts the index of the poses stably.
template <class T>
POSEDA_HD T sum_picked(const T* rows, int64_t columns, int64_t column, const int64_t* sorted,
                       const int64_t* order, int64_t size, int64_t first, int64_t row) {
    double sum = 0;
    for (int64_t i = first; i < size && sorted[i] == row; ++i) {
        const int64_t pose = order[i];
        if (pose >= 0 && pose < size) sum += double(rows[pose * columns + column]);
    }
    return T(sum);
}

}  // namespace poseda
