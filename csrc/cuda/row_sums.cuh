// Sums over shared and gathered rows, in fixed blocks: the same bits at every call.
#pragma once

#include "core/row_sums.h"
#include "cuda/block_shape.h"

namespace poseda {

constexpr int kSumThreads = 128;
constexpr BlockShape kSumShape = {kSumThreads, 0};

// Partial sums (blocks, columns) of kSumRows rows each. Neighbouring threads take neighbouring columns.
template <class T>
__global__ void __launch_bounds__(kSumThreads)
    partial_sums_kernel(const T* rows, int64_t count, int64_t columns, double* partial) {
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    const int64_t block = i / columns, column = i - block * columns;
    const int64_t begin = block * kSumRows;
    if (begin >= count) return;
    const int64_t end = begin + kSumRows < count ? begin + kSumRows : count;
    partial[i] = sum_column(rows, columns, column, begin, end);
}

// One block a column. Each thread adds every kSumThreads-th partial sum; then the threads' sums add in pairs.
template <class T>
__global__ void __launch_bounds__(kSumThreads)
    total_sums_kernel(const double* partial, int64_t blocks, int64_t columns, T* sums) {
    __shared__ double total[kSumThreads];
    double sum = 0;
    for (int64_t b = threadIdx.x; b < blocks; b += kSumThreads) sum += partial[b * columns + blockIdx.x];
    total[threadIdx.x] = sum;
    for (int half = kSumThreads / 2; half > 0; half /= 2) {
        __syncthreads();
        if (int(threadIdx.x) < half) total[threadIdx.x] += total[threadIdx.x + half];
    }
    if (threadIdx.x == 0) sums[blockIdx.x] = T(total[0]);
}

template <class T>
__global__ void __launch_bounds__(kSumThreads)
    sum_picked_kernel(const T* rows, int64_t columns, const int64_t* sorted, const int64_t* order,
                      int64_t count, int64_t table_rows, T* sums) {
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    const int64_t row = i / columns, column = i - row * columns;
    if (row >= table_rows) return;
    const int64_t first = lower_bound(sorted, count, row);
    sums[i] = sum_picked(rows, columns, column, sorted, order, count, first, row);
}

inline int64_t partial_blocks(int64_t count) { return (count + kSumRows - 1) / kSumRows; }

// `partial` has room for partial_blocks(count) * columns numbers. `launch`: see launch.h.
template <class T, class Launch>
void launch_sum_rows(const T* rows, int64_t count, int64_t columns, double* partial, T* sums,
                     const Launch& launch) {
    const int64_t blocks = partial_blocks(count);
    if (columns == 0) return;
    if (blocks > 0)
        launch(partial_sums_kernel<T>, kSumShape.blocks(blocks * columns), kSumShape, rows, count, columns,
               partial);
    launch(total_sums_kernel<T>, columns, kSumShape, static_cast<const double*>(partial), blocks, columns,
           sums);
}

template <class T, class Launch>
void launch_sum_picked(const T* rows, int64_t columns, const int64_t* sorted, const int64_t* order,
                       int64_t count, int64_t table_rows, T* sums, const Launch& launch) {
    const int64_t grid = kSumShape.blocks(table_rows * columns);
    if (grid > 0)
        launch(sum_picked_kernel<T>, grid, kSumShape, rows, columns, sorted, order, count, table_rows, sums);
}

}  // namespace poseda
