// Random augmentation parameters from counter-based random numbers (Philox 4x32-10, Salmon et al. 2011). A
// draw depends on seed, offset, pose and draw alone, not on threads nor on how a batch is cut.
#pragma once

#include "core/rotation.h"

namespace poseda {

// Most bones and scales of a pose, so that their blocks of draws do not overlap.
constexpr int kMaxRandomBones = 1 << 16;

struct Philox {
    uint32_t word[4];
};

POSEDA_HD uint32_t high_product(uint32_t a, uint32_t b) { return uint32_t((uint64_t(a) * b) >> 32); }

POSEDA_HD Philox philox(Philox counter, uint32_t key0, uint32_t key1) {
#if defined(__CUDACC__)
#pragma unroll
#endif
    for (int round = 0; round < 10; ++round) {
        const uint32_t high0 = high_product(0xD2511F53u, counter.word[0]),
                       low0 = 0xD2511F53u * counter.word[0];
        const uint32_t high1 = high_product(0xCD9E8D57u, counter.word[2]),
                       low1 = 0xCD9E8D57u * counter.word[2];
        counter = {{high1 ^ counter.word[1] ^ key0, low1, high0 ^ counter.word[3] ^ key1, low0}};
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return counter;
}

// The numbers of one pose, four at a time.
class PoseRandom {
   public:
    POSEDA_HD PoseRandom(int64_t seed, int64_t offset, int64_t pose)
        : seed_(seed), offset_(offset), pose_(pose) {}

    // Block `block` of this pose's draws. The offset's upper half is in the key, so no two calls share one.
    POSEDA_HD Philox block(uint32_t block) const {
        const Philox counter = {{block, uint32_t(pose_), uint32_t(uint64_t(pose_) >> 32), uint32_t(offset_)}};
        return philox(counter, uint32_t(seed_),
                      uint32_t(uint64_t(seed_) >> 32) ^ uint32_t(uint64_t(offset_) >> 32));
    }

   private:
    int64_t seed_, offset_, pose_;
};

// Uniform on (0, 1]: the upper 24 bits, at the centre of their interval. Above 1/2 a float rounds the centre
// to an edge of the interval, in the last one to 1.
template <class T>
POSEDA_HD T uniform(uint32_t word) {
    return (T(word >> 8) + T(0.5)) * T(1.0 / 16777216.0);
}

// The ranges of the drawn parameters.
struct RandomRanges {
    double bone_angle;  // radians: largest turn of a bone, about an axis uniform on the sphere
    double bone_scale;  // largest relative change of length
    double body_yaw;    // radians: largest turn about the vertical axis (y), either way
    double body_tilt;   // radians: largest lean, in a uniform direction
};

// A rotation vector with an axis uniform on the sphere and an angle uniform up to `largest`.
template <class T>
POSEDA_HD Vec3<T> random_rotation(const Philox& r, T largest) {
    const T height = T(2) * uniform<T>(r.word[0]) - T(1);
    const T half_turn = T(3.14159265358979323846) * (uniform<T>(r.word[1]) - T(0.5));
    T cos_h, sinc_h;
    half_angle_series(half_turn * half_turn, cos_h, sinc_h);
    const T sin_h = half_turn * sinc_h;
    const T flat = square_root(T(1) - height * height), angle = largest * uniform<T>(r.word[2]);
    return {angle * flat * (T(1) - T(2) * sin_h * sin_h), angle * flat * T(2) * sin_h * cos_h,
            angle * height};
}

template <class T>
struct RandomArguments {
    int64_t batch;
    int64_t first;  // index of the first pose: a batch may be drawn in parts
    int bones, scales;
    int64_t table_rows;  // 0: no placement index
    RandomRanges ranges;
    const int64_t* state;  // seed, offset
    T* bone_rotation;
    T* bone_scale;
    T* body_rotation;
    int64_t* placement_index;
};

// Blocks of a pose: one for each bone, one for the body rotation and the index, one for every four scales.
template <class T>
POSEDA_HD void draw_parameters(const RandomArguments<T>& a, int64_t pose) {
    const PoseRandom random(a.state[0], a.state[1], int64_t(uint64_t(a.first) + uint64_t(pose)));
    for (int k = 0; k < a.bones; ++k) {
        const Vec3<T> w = random_rotation<T>(random.block(uint32_t(k)), T(a.ranges.bone_angle));
        T* at = a.bone_rotation + (pose * a.bones + k) * 3;
        at[0] = w.x, at[1] = w.y, at[2] = w.z;
    }
    const Philox body = random.block(uint32_t(a.bones));
    const T half_turn = T(3.14159265358979323846) * (uniform<T>(body.word[0]) - T(0.5));
    T cos_h, sinc_h;
    half_angle_series(half_turn * half_turn, cos_h, sinc_h);
    const T sin_h = half_turn * sinc_h, tilt = T(a.ranges.body_tilt) * uniform<T>(body.word[1]);
    const Vec2<T> lean = {tilt * (T(1) - T(2) * sin_h * sin_h), tilt * T(2) * sin_h * cos_h};
    const T yaw = T(a.ranges.body_yaw) * (T(2) * uniform<T>(body.word[2]) - T(1));
    const Vec3<T> w = turn_then_lean(yaw, lean);
    T* at = a.body_rotation + pose * 3;
    at[0] = w.x, at[1] = w.y, at[2] = w.z;
    // The upper part of a 32-bit word times the table's size: all rows are equally likely to one part in
    // 2^32 / rows.
    if (a.table_rows)
        a.placement_index[pose] = int64_t((uint64_t(body.word[3]) * uint64_t(a.table_rows)) >> 32);
    for (int i = 0; i < a.scales; i += 4) {
        const Philox r = random.block(uint32_t(a.bones + 1 + i / 4));
        for (int k = i; k < a.scales && k < i + 4; ++k) {
            a.bone_scale[pose * a.scales + k] =
                T(a.ranges.bone_scale) * (T(2) * uniform<T>(r.word[k - i]) - T(1));
        }
    }
}

}  // namespace poseda
