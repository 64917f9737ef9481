// Rows of numbers on their way between a warp's lanes and memory. Inputs come straight from global memory.
// Outputs that a lane has three numbers of pass through shared memory, to leave in pieces of 16 bytes.
#pragma once

#include "cuda/pose_adjoint.cuh"

namespace poseda {

// The frames that a warp takes: a part of one sequence, or as many poses of a batch.
struct Run {
    int64_t sequence;  // of a sequence; 0 for poses, whose rows lie a step apart
    int64_t first;     // frame or pose
    int64_t row;       // of an output with a row a frame
    int64_t pose;  // whose tables and root the first frame has: pose + i for the frame i, or `pose` for all
    int count, last;

    // Poses: `size` of them for each warp.
    static POSEDA_DEVICE Run of_poses(int64_t batch, int size) {
        const int64_t first = (int64_t(blockIdx.x) * (blockDim.x >> 5) + (threadIdx.x >> 5)) * size;
        const int64_t left = batch - first;
        const int count = left < size ? (left > 0 ? int(left) : 0) : size;
        return {0, first, first, first, count, count - 1};
    }
    // A sequence: the block's, its frames split evenly over the block's warps.
    static POSEDA_DEVICE Run of_frames(int frames) {
        const int warp = int(threadIdx.x >> 5), warps = int(blockDim.x >> 5);
        const int64_t first = int64_t(frames) * warp / warps, end = int64_t(frames) * (warp + 1) / warps;
        const int64_t n = blockIdx.x;
        return {n, first, n * frames + first, n, int(end - first), int(end - first) - 1};
    }
    // Where the first of these rows is, and a number in it.
    template <class T>
    POSEDA_DEVICE const T* start(const Strided<T>& rows, int number) const {
        if (!rows) return absent_numbers<T> + number;
        const char* data = reinterpret_cast<const char*>(rows.data) + sequence * rows.row + first * rows.step;
        return reinterpret_cast<const T*>(data) + number;
    }
};

// The same number of a row further on. One instruction where steps are short.
template <class V, class T>
POSEDA_DEVICE const T* ahead(const T* p, int row, const Strided<T>& rows) {
    const uint64_t bytes =
        V::kGeneral ? uint64_t(row) * uint64_t(rows.step) : uint64_t(uint32_t(row)) * rows.short_step;
    return reinterpret_cast<const T*>(reinterpret_cast<const char*>(p) + bytes);
}

// What a lane reads of a frame. The addresses of the run's first row are kept.
template <class V>
class MotionReader {
    using T = typename V::Number;

   public:
    POSEDA_DEVICE MotionReader(const LaneArguments<T>& a, const Team<V>& team, const Run& run)
        : a_(a), run_(run) {
        each<V>([&](int s) {
            joint_[s] = run.start(a.pose_3d, 3 * team.joint(s));
            turn_[s] = run.start(a.bone_rotation, 3 * team.bone(s));
            stretch_[s] = run.start(a.bone_scale, team.scale_of_bone(s));
            keep(joint_[s]), keep(turn_[s]), keep(stretch_[s]);
            place_[s] = V::kGeneral && a.loose_scales ? team.scale(s) : a.scales;
        });
    }
    // Beyond the last row: the last again.
    POSEDA_DEVICE Each<V, JointMotion<T>> motion(int row) const {
        row = row < run_.last ? row : run_.last;
        Each<V, JointMotion<T>> in;
        each<V>([&](int s) {
            in[s] = {load3(ahead<V>(joint_[s], row, a_.pose_3d)),
                     load3(ahead<V>(turn_[s], row, a_.bone_rotation)),
                     load(ahead<V>(stretch_[s], row, a_.bone_scale)), true};
            if (V::kGeneral && place_[s] < a_.scales) {
                const T* scale = ahead<V>(run_.start(a_.bone_scale, place_[s]), row, a_.bone_scale);
                in[s].sound = load(scale) > T(-1);
            }
        });
        return in;
    }

   private:
    const LaneArguments<T>& a_;
    const Run& run_;
    Each<V, const T*> joint_, turn_, stretch_;
    Each<V, int> place_;
};

// What a lane reads of a frame's incoming gradients.
template <class V>
class GradientReader {
    using T = typename V::Number;

   public:
    POSEDA_DEVICE GradientReader(const LaneGradients<T>& g, const Team<V>& team, const Run& run)
        : g_(g), last_(run.last) {
        each<V>([&](int s) {
            pose_[s] = run.start(g.grad_pose_3d, 3 * team.joint(s));
            screen_[s] = run.start(g.grad_pose_2d, 2 * team.joint(s));
            keep(pose_[s]), keep(screen_[s]);
        });
        if (V::kGeneral || V::kExact) {
            depth_ = run.start(g.augmented, 2);
            keep(depth_);
        }
    }
    POSEDA_DEVICE Each<V, Incoming<T>> incoming(int row) const {
        row = row < last_ ? row : last_;
        Each<V, Incoming<T>> in;
        each<V>([&](int s) {
            in[s] = {load3(ahead<V>(pose_[s], row, g_.grad_pose_3d)),
                     load2(ahead<V>(screen_[s], row, g_.grad_pose_2d))};
        });
        return in;
    }
    POSEDA_DEVICE T solved_depth(int row) const {
        return load(ahead<V>(depth_, row < last_ ? row : last_, g_.augmented));
    }

   private:
    const LaneGradients<T>& g_;
    const int last_;
    Each<V, const T*> pose_, screen_;
    const T* depth_;
};

// Numbers from shared memory to contiguous global memory, by the whole warp. kUsual: a number of them, a
// multiple of four for an address that is a multiple of 16, for which the copy is a few instructions
// without a loop.
template <int kUsual, class T>
POSEDA_DEVICE void flush(T* to, uint32_t from, int numbers, int lane) {
    constexpr uint32_t size = sizeof(T);
    if (kUsual > 0 && numbers == kUsual) {
#pragma unroll
        for (int i = 0; i < kUsual; i += 128) {
            if (i + 128 <= kUsual || i + 4 * lane < kUsual) {
                store_quad(to + i + 4 * lane, from_shared<Quad<T>>(from + size * uint32_t(i + 4 * lane)));
            }
        }
        return;
    }
    int done = 0;
    if ((reinterpret_cast<uintptr_t>(to) & 15) == 0) {
        done = numbers & ~3;
#pragma unroll 1
        for (int i = 4 * lane; i < done; i += 128) {
            store_quad(to + i, from_shared<Quad<T>>(from + size * uint32_t(i)));
        }
    }
#pragma unroll 1
    for (int i = done + lane; i < numbers; i += 32) to[i] = from_shared<T>(from + size * uint32_t(i));
}

POSEDA_HD uint32_t whole_quads(uint32_t bytes) { return (bytes + 15) / 16 * 16; }

}  // namespace poseda
