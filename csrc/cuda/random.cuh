// Random augmentation parameters: a thread a pose. The state advances when all have read it.
#pragma once

#include "core/random.h"
#include "cuda/block_shape.h"

namespace poseda {

constexpr int kRandomThreads = 128;

template <class T>
__global__ void __launch_bounds__(kRandomThreads)
    random_parameters_kernel(const __grid_constant__ RandomArguments<T> arguments) {
    const int64_t n = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (n >= arguments.batch) return;
    const uint64_t pose = uint64_t(arguments.first) + uint64_t(n);
    const ParameterDraw<T> draw(arguments, uint32_t(pose), uint32_t(pose >> 32));
    draw.rotations(0, arguments.bones, {{arguments.bone_rotation + n * arguments.bones * 3, 1}});
    draw.scales(0, arguments.scales, {{arguments.bone_scale + n * arguments.scales, 1}});
    const uint32_t word = draw.body({{arguments.body_rotation + n * 3, 1}});
    if (arguments.table_rows) arguments.placement_index[n] = picked_row(word, arguments.table_rows);
}

// A launch of its own: kernels of a stream run in order, so every pose has read the state by now.
template <class Integer>
__global__ void advance_random_kernel(Integer* state) {
    ++state[1];
}

// `launch`: see launch.h.
template <class T, class Launch>
void launch_random_parameters(const RandomArguments<T>& arguments, int64_t* state, bool advance,
                              const Launch& launch) {
    const BlockShape shape = {kRandomThreads, 0};
    const int64_t blocks = shape.blocks(arguments.batch);
    if (blocks > 0) launch(random_parameters_kernel<T>, blocks, shape, arguments);
    if (advance) launch(advance_random_kernel<int64_t>, int64_t(1), BlockShape{1, 0}, state);
}

}  // namespace poseda
