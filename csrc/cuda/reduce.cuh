// Sums over shared and gathered rows, in fixed blocks: the same bits at every call.
#pragma once

#include "core/reduce.h"
#include "cuda/block_shape.h"

namespace poseda {

constexpr int kReduceThreads = 128;
constexpr BlockShape kReduceShape = {kReduceThreads, 0};

// Partial sums (blocks, columns) of kReduceRows rows each; neighbouring threads take neighbouring columns.
template <class T>
__global__ void __launch_bounds__(kReduceThreads)
    partial_sums_kernel(const T* rows, int64_t count, int64_t columns, double* partial) {
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    const int64_t block = i / columns, column = i - block * columns;
    const int64_t begin = block * kReduceRows;
    if (begin >= count) return;
    const int64_t end = begin + kReduceRows < count ? begin + kReduceRows : count;
    partial[i] = sum_column(rows, columns, column, begin, end);
}

// One block a column: each thread sums every kReduceThreads-th partial sum, then halves meet pairwise.
template <class T>
__global__ void __launch_bounds__(kReduceThreads)
    total_sums_kernel(const double* partial, int64_t blocks, int64_t columns, T* sums) {
    __shared__ double total[kReduceThreads];
    double sum = 0;
    for (int64_t b = threadIdx.x; b < blocks; b += kReduceThreads) sum += partial[b * columns + blockIdx.x];
    total[threadIdx.x] = sum;
    for (int half = kReduceThreads / 2; half > 0; half /= 2) {
        __syncthreads();
        if (int(threadIdx.x) < half) total[threadIdx.x] += total[threadIdx.x + half];
    }
    if (threadIdx.x == 0) sums[blockIdx.x] = T(total[0]);
}

template <class T>
__global__ void __launch_bounds__(kReduceThreads)
    sum_picked_kernel(const T* rows, int64_t columns, const int64_t* sorted, const int64_t* order,
                      int64_t count, int64_t table_rows, T* sums) {
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    const int64_t row = i / columns, column = i - row * columns;
    if (row < table_rows) sums[i] = sum_picked(rows, columns, column, sorted, order, count, row);
}

inline int64_t partial_blocks(int64_t count) { return (count + kReduceRows - 1) / kReduceRows; }

// `partial` has room for partial_blocks(count) * columns numbers. `launch`: see launch.h.
template <class T, class Launch>
void launch_sum_rows(const T* rows, int64_t count, int64_t columns, double* partial, T* sums,
                     const Launch& launch) {
    const int64_t blocks = partial_blocks(count);
    if (columns == 0) return;
    if (blocks > 0)
        launch(partial_sums_kernel<T>, kReduceShape.blocks(blocks * columns), kReduceShape, rows, count,
               columns, partial);
    launch(total_sums_kernel<T>, columns, kReduceShape, static_cast<const double*>(partial), blocks, columns,
           sums);
}

template <class T, class Launch>
void launch_sum_picked(const T* rows, int64_t columns, const int64_t* sorted, const int64_t* order,
                       int64_t count, int64_t table_rows, T* sums, const Launch& launch) {
    const int64_t grid = kReduceShape.blocks(table_rows * columns);
    if (grid > 0)
        launch(sum_picked_kernel<T>, grid, kReduceShape, rows, columns, sorted, order, count, table_rows,
               sums);
}

}  // namespace poseda
