// The maps of core/row_map.h: a thread a row, its numbers in the block's shared memory.
#pragma once

#include "core/kinematics.h"
#include "core/procrustes.h"
#include "core/projection.h"
#include "cuda/block_shape.h"
#include "cuda/section.cuh"

namespace poseda {

template <class T>
struct MapSections {
    Section<T> in[kMapInputs], out[kMapOutputs];
    size_t bytes;

    template <class Map>
    POSEDA_HD MapSections(const Map& map, int threads) {
        Carver<T> carver(threads);
        for (int i = 0; i < kMapInputs; ++i) in[i] = carver.take(map.in_size(i) > 0, map.in_size(i));
        for (int i = 0; i < kMapOutputs; ++i) out[i] = carver.take(map.out_size(i) > 0, map.out_size(i));
        bytes = carver.bytes();
    }
};

// Copy rows first .. first+count-1 into the section. Row r is frame r % frames of sequence r / frames.
template <class T>
__device__ __forceinline__ void load_frames(const Section<T>& section, const Rows<const T>& rows, int frames,
                                            int64_t first, int count) {
    if (frames == 1 || rows.row == frames * rows.frame) {
        load_rows(section, {rows.data, frames == 1 ? rows.row : rows.frame, 0}, first, count, 0);
    } else if (int(threadIdx.x) < count) {
        const int64_t row = first + threadIdx.x, sequence = row / frames;
        const T* from = rows.at(sequence, row - sequence * frames);
        const Slots<T> own = section.own();
        for (int i = 0; i < section.size; ++i) own[i] = from[i];
    }
}

template <class Map, class T>
__global__ void __launch_bounds__(kWarp, 1)
    row_map_kernel(const __grid_constant__ Map map, const __grid_constant__ MapArguments<T> arguments) {
    const MapSections<T> sections(map, int(blockDim.x));
    const int64_t first = int64_t(blockIdx.x) * blockDim.x, left = arguments.rows - first;
    const int count = left < int64_t(blockDim.x) ? int(left) : int(blockDim.x);
    Slots<T> in[kMapInputs], out[kMapOutputs];
#pragma unroll
    for (int i = 0; i < kMapInputs; ++i) {
        in[i] = sections.in[i].own();
        if (sections.in[i]) load_frames(sections.in[i], arguments.in[i], arguments.frames, first, count);
    }
#pragma unroll
    for (int i = 0; i < kMapOutputs; ++i) out[i] = sections.out[i].own();
    wait_for_loads();
    __syncthreads();
    map(in, out);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kMapOutputs; ++i) {
        if (arguments.out[i]) store_rows(arguments.out[i], sections.out[i], first, count, 1, 0);
    }
}

// `launch`: see launch.h.
template <class Map, class T, class Launch>
void launch_row_map(const Map& map, const MapArguments<T>& arguments, const Launch& launch) {
    const BlockShape shape = BlockShape::fit([&](int threads) { return MapSections<T>(map, threads).bytes; });
    launch(row_map_kernel<Map, T>, shape.blocks(arguments.rows), shape, map, arguments);
}

}  // namespace poseda
