// Random augmentation parameters on either device. Device provides
//     static void random_parameters(const RandomArguments<T>&, int64_t* state, bool advance,
//                                   const Tensor& like)
#pragma once

#include <tuple>

#include "core/random.h"
#include "guards.h"

namespace poseda {

template <class Device>
std::tuple<Tensor, Tensor, Tensor, Tensor> random_parameters_op(Tensor rng_state, Tensor like, int64_t batch,
                                                                int64_t first, bool advance, int64_t bones,
                                                                int64_t scales, int64_t table_rows,
                                                                double bone_angle, double bone_scale,
                                                                double body_yaw, double body_tilt) {
    require(rng_state.scalar_type() == ScalarType::Long && rng_state.dim() == 1 && rng_state.size(0) == 2 &&
                rng_state.is_contiguous(),
            "rng_state: expected two contiguous int64 numbers, seed and offset");
    require(batch >= 0 && bones >= 1 && bones < kMaxRandomBones && scales >= 0 && scales < kMaxRandomBones &&
                table_rows >= 0 && table_rows < (int64_t(1) << 32),
            "random_parameters: a size is out of range");
    return for_type(like, "like", [&](auto zero) {
        using T = decltype(zero);
        const ScalarType type = like.scalar_type();
        const Tensor rotation = allocate(rng_state, type, {batch, bones, 3});
        const Tensor scale = allocate(rng_state, type, {batch, scales});
        const Tensor body_rotation = allocate(rng_state, type, {batch, 3});
        const Tensor index = allocate(rng_state, ScalarType::Long, {table_rows ? batch : 0});
        int64_t* state = numbers<int64_t>(rng_state);
        RandomArguments<T> a = {};
        a.batch = batch, a.first = first, a.table_rows = table_rows;
        a.bones = int(bones), a.scales = int(scales);
        a.ranges = {bone_angle, bone_scale, body_yaw, body_tilt};
        a.state = state;
        a.bone_rotation = numbers<T>(rotation);
        a.bone_scale = numbers<T>(scale);
        a.body_rotation = numbers<T>(body_rotation);
        a.placement_index = numbers<int64_t>(index);
        Device::random_parameters(a, state, advance, rng_state);
        return std::tuple<Tensor, Tensor, Tensor, Tensor>(rotation, scale, body_rotation, index);
    });
}

}  // namespace poseda
