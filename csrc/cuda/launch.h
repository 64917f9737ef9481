// What ops.cpp (the host compiler, with torch's headers) calls in the .cu files (nvcc, without torch's
// headers). A launch error is left for cudaGetLastError.
//
// Each .cu file gives a launcher to a launch_* function of a .cuh file, which calls it as
//     launch(kernel, blocks, shape, parameters...)
// with the blocks of the grid, the BlockShape of each, and the kernel's parameters.
// launch.multiprocessors() says how many the device has. The tests give a launcher that runs kernels on the
// CPU.
#pragma once

#include <cuda_runtime_api.h>

#include "core/arguments.h"
#include "core/random.h"
#include "core/row_map.h"

namespace poseda::cuda {

template <class T>
void augment(const AugmentArguments<T>& arguments, const AugmentOutputs<T>& outputs, cudaStream_t stream);
template <class T>
void augment_backward(const AugmentArguments<T>& arguments, const AugmentGradients<T>& gradients,
                      cudaStream_t stream);
template <class Map, class T>
void row_map(const Map& map, const MapArguments<T>& arguments, cudaStream_t stream);
template <class T>
void random_parameters(const RandomArguments<T>& arguments, int64_t* state, bool advance,
                       cudaStream_t stream);

// Numbers that sum_rows needs as scratch.
int64_t sum_rows_scratch(int64_t count, int64_t columns);
template <class T>
void sum_rows(const T* rows, int64_t count, int64_t columns, double* scratch, T* sums, cudaStream_t stream);
template <class T>
void sum_picked_rows(const T* rows, int64_t columns, const int64_t* sorted, const int64_t* order,
                     int64_t count, int64_t table_rows, T* sums, cudaStream_t stream);

}  // namespace poseda::cuda
