// Random augmentation parameters on either device. Device provides
//     static void random_parameters(const RandomArguments<T>&, int64_t* state, bool advance, const Tensor&
//     like)
#pragma once

#include <tuple>

#include "core/random.h"
#include "guards.h"

namespace poseda {

template <class Device, class T>
std::tuple<Tensor, Tensor, Tensor, Tensor> random_parameters_typed(const Tensor& rng_state,
                                                                   const Tensor& like, RandomArguments<T> a,
                                                                   bool advance) {
    const ScalarType type = like.scalar_type();
    const Tensor rotation = allocate(rng_state, type, {a.batch, a.bones, 3});
    const Tensor scale = allocate(rng_state, type, {a.batch, a.scales});
    const Tensor body = allocate(rng_state, type, {a.batch, 3});
    const Tensor index = allocate(rng_state, ScalarType::Long, {a.table_rows ? a.batch : 0});
    auto* state = static_cast<int64_t*>(rng_state.data_ptr());
    a.state = state;
    a.bone_rotation = static_cast<T*>(rotation.data_ptr());
    a.bone_scale = static_cast<T*>(scale.data_ptr());
    a.body_rotation = static_cast<T*>(body.data_ptr());
    a.placement_index = static_cast<int64_t*>(index.data_ptr());
    Device::random_parameters(a, state, advance, rng_state);
    return {rotation, scale, body, index};
}

template <class Device>
std::tuple<Tensor, Tensor, Tensor, Tensor> random_parameters_op(Tensor rng_state, Tensor like, int64_t batch,
                                                                int64_t first, bool advance, int64_t bones,
                                                                int64_t scales, int64_t table_rows,
                                                                double bone_angle, double bone_scale,
                                                                double body_yaw, double body_tilt) {
    STD_TORCH_CHECK(rng_state.scalar_type() == ScalarType::Long && rng_state.dim() == 1 &&
                        rng_state.size(0) == 2 && rng_state.is_contiguous(),
                    "rng_state: expected two contiguous int64 numbers, seed and offset");
    STD_TORCH_CHECK(batch >= 0 && bones >= 1 && bones < kMaxRandomBones && scales >= 0 &&
                        scales < kMaxRandomBones && table_rows >= 0 && table_rows < (int64_t(1) << 32),
                    "random_parameters: a size is out of range");
    const RandomRanges ranges = {bone_angle, bone_scale, body_yaw, body_tilt};
    if (floating_type(like, "like") == ScalarType::Float) {
        RandomArguments<float> a = {batch,   first,   int(bones), int(scales), table_rows, ranges,
                                    nullptr, nullptr, nullptr,    nullptr,     nullptr};
        return random_parameters_typed<Device>(rng_state, like, a, advance);
    }
    RandomArguments<double> a = {batch,   first,   int(bones), int(scales), table_rows, ranges,
                                 nullptr, nullptr, nullptr,    nullptr,     nullptr};
    return random_parameters_typed<Device>(rng_state, like, a, advance);
}

}  // namespace poseda
