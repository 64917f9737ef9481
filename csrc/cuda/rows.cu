// Launches of the small kernels: row maps, random parameters, sums over rows.
#include "cuda/launch.h"
#include "cuda/random.cuh"
#include "cuda/row_map.cuh"
#include "cuda/row_sums.cuh"
#include "cuda/stream_launch.cuh"

namespace poseda::cuda {

template <class Map, class T>
void row_map(const Map& map, const MapArguments<T>& arguments, cudaStream_t stream) {
    launch_row_map(map, arguments, StreamLaunch{stream});
}

template <class T>
void random_parameters(const RandomArguments<T>& arguments, int64_t* state, bool advance,
                       cudaStream_t stream) {
    launch_random_parameters(arguments, state, advance, StreamLaunch{stream});
}

int64_t sum_rows_scratch(int64_t count, int64_t columns) { return partial_blocks(count) * columns; }

template <class T>
void sum_rows(const T* rows, int64_t count, int64_t columns, double* scratch, T* sums, cudaStream_t stream) {
    launch_sum_rows(rows, count, columns, scratch, sums, StreamLaunch{stream});
}

template <class T>
void sum_picked_rows(const T* rows, int64_t columns, const int64_t* sorted, const int64_t* order,
                     int64_t count, int64_t table_rows, T* sums, cudaStream_t stream) {
    launch_sum_picked(rows, columns, sorted, order, count, table_rows, sums, StreamLaunch{stream});
}

#define POSEDA_ROW_MAPS(T)                                                                      \
    template void row_map(const TreeTransform&, const MapArguments<T>&, cudaStream_t);          \
    template void row_map(const Project&, const MapArguments<T>&, cudaStream_t);                \
    template void row_map(const ProjectBackward&, const MapArguments<T>&, cudaStream_t);        \
    template void row_map(const KinematicChain&, const MapArguments<T>&, cudaStream_t);         \
    template void row_map(const KinematicChainBackward&, const MapArguments<T>&, cudaStream_t); \
    template void row_map(const ProcrustesAlign&, const MapArguments<T>&, cudaStream_t);
#define POSEDA_ROW_OPS(T)                                                                                  \
    template void random_parameters(const RandomArguments<T>&, int64_t*, bool, cudaStream_t);              \
    template void sum_rows(const T*, int64_t, int64_t, double*, T*, cudaStream_t);                         \
    template void sum_picked_rows(const T*, int64_t, const int64_t*, const int64_t*, int64_t, int64_t, T*, \
                                  cudaStream_t);
POSEDA_ROW_MAPS(float)
POSEDA_ROW_MAPS(double)
POSEDA_ROW_OPS(float)
POSEDA_ROW_OPS(double)
#undef POSEDA_ROW_MAPS
#undef POSEDA_ROW_OPS

}  // namespace poseda::cuda
