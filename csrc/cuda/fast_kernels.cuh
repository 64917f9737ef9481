// The kernels for single poses of 16 and 17 joints in float, placed by GPA: what a training step calls. A
// block is four warps that share nothing. A warp takes a chunk of 2 .. 16 poses (a power of two):
//
//     1. a lane a pose: the records of the chunk's poses (record.cuh)
//     2. a team a pose, two poses at a time: forward or adjoint, the next pair's numbers on their way
//     3. adjoint, a lane a pose: the gradient of the body's rotation
#pragma once

#include "cuda/block_shape.h"
#include "cuda/lane_rows.cuh"

namespace poseda {

constexpr int kChunkWarps = 4;  // of a block
constexpr int kMaxChunk = 16;

// Blocks that a multiprocessor should hold: more leave too few registers.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
constexpr int kExactFoldedBlocks = 3;
#else
constexpr int kExactFoldedBlocks = 4 - kOneLess;
#endif
template <class V>
constexpr int kForwardBlocks = V::kExact    ? 6
                               : V::kFolded ? 7
                                            : 8;
template <class V>
constexpr int kAdjointBlocks = !V::kExact   ? 5 - kOneLess
                               : V::kFolded ? kExactFoldedBlocks
                                            : 4 - kOneLess;

// ---- forward

// Poses that leave together: two of 16 joints are a multiple of 16 bytes, with 17 it takes four.
template <class V>
constexpr int kTogether = V::kJoints == 16 ? 2 : 4;

// A warp's shared memory: room for two such groups, one of which is written while the other leaves; records.
template <class V>
constexpr uint32_t kStageBytes = 2 * kTogether<V> * 12 * V::kJoints;
template <class V>
POSEDA_HD uint32_t fast_forward_bytes(int chunk) {
    return kStageBytes<V> + uint32_t(chunk) * kRecordBytes<V>;
}

template <class V, int kJoints = V::kJoints>
__global__ void __launch_bounds__(kWarp* kChunkWarps, kForwardBlocks<V>)
    augment_fast_kernel(const __grid_constant__ LaneArguments<float> a,
                        const __grid_constant__ AugmentOutputs<float> out,
                        const __grid_constant__ TeamPlan plan, const int chunk) {
    constexpr int kRing = 2 * kTogether<V>;
    constexpr uint32_t kPose = 12 * kJoints;
    const Run run = Run::of_poses(a.batch, chunk);
    if (run.count == 0) return;
    const Team<V> team(plan);
    const Mode mode = mode_of<V>(a);
    uint32_t stage = shared_base() + (threadIdx.x >> 5) * fast_forward_bytes<V>(chunk);
    keep(stage);
    const uint32_t records = stage + kStageBytes<V>;
    const MotionReader<V> reader(a, team, run);
    Each<V, JointMotion<float>> in = reader.motion(team.team);
    {
        const int own = team.lane & (chunk - 1), mine = own < run.last ? own : run.last;
        const float* body = ahead<V>(run.start(a.body_rotation, 0), mine, a.body_rotation);
        const float* source = ahead<V>(run.start(a.pose_3d, 0), mine, a.pose_3d);
        prepare<V, false>(a, run.pose + mine, rotation(load3(body)), {true, zero3<float>()},
                          V::kFolded ? load3(source) : zero3<float>(), zero3<float>(), team.lane < chunk,
                          records + uint32_t(mine) * kRecordBytes<V>);
    }
    sync_warp();
    uint32_t bad = 0;  // lane r keeps which lanes found a pose of the pair of r not valid
    float* to = out.pose_3d + run.row * (3 * kJoints);
    float* screen = out.pose_2d + (run.row + team.team) * (2 * kJoints);
    keep(to), keep(screen);
    for (int i = 0; i < run.count; i += 2) {
        const int r = i + team.team;
        const uint32_t record = records + uint32_t(r < run.last ? r : run.last) * kRecordBytes<V>;
        const Each<V, Bone<float>> bones = pose_bones<V>(team, mode, in, record);
        in = reader.motion(r + 2);
        Stood<V> stood = stand<V>(team, mode, bool(a.distortion), bones, record, a.min_depth);
        const uint32_t found = votes(!stood.valid);
        bad = team.lane / 2 == i / 2 ? found : bad;
        const bool valid = team.mine(found) == 0;
        if (!valid) stood = {};
        const uint32_t slot = stage + uint32_t(r & (kRing - 1)) * kPose;
        store_shared(slot + 12u * uint32_t(team.joint(0)), stood.joint[0]);
        if (r <= run.last) {
            *reinterpret_cast<float2*>(screen + 2 * team.joint(0)) = {stood.screen[0].x, stood.screen[0].y};
        }
        if (V::kFolded && team.seat == 0) {
            store_shared(slot, stood.root);
            const Vec2<float> root = read_root_screen<V>(record);
            if (r <= run.last) {
                *reinterpret_cast<float2*>(screen) = {valid ? root.x : 0.0f, valid ? root.y : 0.0f};
            }
        }
        if (((i + 2) & (kTogether<V> - 1)) == 0 || i + 2 >= run.count) {
            sync_warp();
            const int start = i & -kTogether<V>, left = run.count - start;
            const int poses = left < kTogether<V> ? left : kTogether<V>;
            flush<kTogether<V> * 3 * kJoints>(to, stage + uint32_t(start & (kRing - 1)) * kPose,
                                              poses * 3 * kJoints, team.lane);
            to += kTogether<V> * 3 * kJoints;
        }
        screen += 2 * 2 * kJoints;
    }
    const uint32_t own = team.lane & 1 ? bad >> 16 : bad & 0xffffu;
    if (team.lane < run.count) out.valid[run.row + team.lane] = own == 0;
}

// ---- adjoint

constexpr int kGradTogether = 4;  // poses whose gradients leave together

// A warp's shared memory: the gradients of four poses, then records, body torques and the gradients of the
// chunk's scales. What comes first is a constant away.
template <class V, bool kWantPose>
struct FastAdjointLayout {
    static constexpr uint32_t kSource = kGradTogether * 12 * (V::kJoints - 1);
    static constexpr uint32_t kRecords = kSource + (kWantPose ? kGradTogether * 12 * V::kJoints : 0);
    uint32_t torques, scales, bytes;

    POSEDA_HD FastAdjointLayout(int chunk, int scale_count) {
        torques = kRecords + uint32_t(chunk) * kRecordBytes<V>;
        scales = torques + uint32_t(chunk) * 16;
        bytes = scales + whole_quads(uint32_t(chunk * scale_count) * 4);
    }
};

template <class V, bool kWantPose, int kJoints = V::kJoints>
__global__ void __launch_bounds__(kWarp* kChunkWarps, kAdjointBlocks<V>)
    augment_fast_adjoint_kernel(const __grid_constant__ LaneArguments<float> a,
                                const __grid_constant__ LaneGradients<float> gradients,
                                const __grid_constant__ TeamPlan plan, const int chunk) {
    constexpr uint32_t kPose = 12 * kJoints, kTurns = kPose - 12;
    const AugmentGradients<float>& out = gradients.to;
    const int scales = a.scales;
    const Run run = Run::of_poses(a.batch, chunk);
    if (run.count == 0) return;
    const Team<V> team(plan);
    const Mode mode = mode_of<V>(a);
    using Layout = FastAdjointLayout<V, kWantPose>;
    const Layout layout(chunk, scales);
    uint32_t turns = shared_base() + (threadIdx.x >> 5) * layout.bytes;
    uint32_t torques = turns + layout.torques, stretches = turns + layout.scales;
    keep(turns), keep(torques), keep(stretches);
    const uint32_t source = turns + Layout::kSource, records = turns + Layout::kRecords;
    const MotionReader<V> reader(a, team, run);
    const GradientReader<V> grads(gradients, team, run);
    Each<V, JointMotion<float>> next = reader.motion(team.team);
    Each<V, Incoming<float>> next_grad = grads.incoming(team.team);
    float next_depth = V::kExact ? grads.solved_depth(team.team) : 0.0f;
    const int own = team.lane & (chunk - 1), mine = own < run.last ? own : run.last;
    const uint32_t valid = votes(load(out.valid + run.pose + mine));
    {
        const float* body = ahead<V>(run.start(a.body_rotation, 0), mine, a.body_rotation);
        Vec3<float> root = zero3<float>(), grad_root = zero3<float>();
        if (V::kFolded) {
            root = load3(ahead<V>(run.start(a.pose_3d, 0), mine, a.pose_3d));
            const auto& rows = gradients.grad_pose_3d;
            grad_root = load3(ahead<V>(run.start(rows, 0), mine, rows));
        }
        prepare<V, true>(a, run.pose + mine, rotation(load3(body)), {true, zero3<float>()}, root, grad_root,
                         team.lane < chunk, records + uint32_t(mine) * kRecordBytes<V>);
    }
    sync_warp();
    for (int i = 0; i < run.count; i += 2) {
        const Each<V, JointMotion<float>> in = next;
        const Each<V, Incoming<float>> grad = next_grad;
        const Given<float> given = {next_depth, zero3<float>(), kWantPose};
        const int r = i + team.team, row = r < run.last ? r : run.last;
        next = reader.motion(r + 2);
        next_grad = grads.incoming(r + 2);
        if (V::kExact) next_depth = grads.solved_depth(r + 2);
        Camera<float> no_camera;
        Gradient<V> g =
            adjoint<V>(team, mode, in, grad, given, records + uint32_t(row) * kRecordBytes<V>, no_camera);
        if (valid != kAllLanes && !(valid >> row & 1)) g = {};
        const uint32_t place = uint32_t(r & (kGradTogether - 1));
        if (team.has_bone(0)) {
            store_shared(turns + place * kTurns + 12u * uint32_t(team.bone(0)), g.at[0].turn);
        }
        if (team.seat < scales) {
            store_shared(stretches + uint32_t(row * scales + team.seat) * 4, g.at[0].scale);
        }
        if (kWantPose) store_shared(source + place * kPose + 12u * uint32_t(team.joint(0)), g.at[0].source);
        if (team.heads_quarter()) {
            const uint32_t quarter = uint32_t(team.seat) / (kTeamLanes / 4);
            store_shared(torques + uint32_t(row) * 16 + 4 * quarter, g.body_torque);
            if (kWantPose && V::kFolded && quarter < 3) {
                store_shared(source + place * kPose + 4 * quarter, g.root_source);
            }
        }
        if (((i + 2) & (kGradTogether - 1)) == 0 || i + 2 >= run.count) {
            sync_warp();
            const int start = i & -kGradTogether, left = run.count - start;
            const int poses = left < kGradTogether ? left : kGradTogether;
            const int64_t from = run.row + start;
            if (out.bone_rotation) {
                flush<kGradTogether * 3 * (kJoints - 1)>(out.bone_rotation + from * (3 * kJoints - 3), turns,
                                                         poses * (3 * kJoints - 3), team.lane);
            }
            if (kWantPose) {
                flush<kGradTogether * 3 * kJoints>(out.pose_3d + from * (3 * kJoints), source,
                                                   poses * 3 * kJoints, team.lane);
            }
            sync_warp();
        }
    }
    if (out.bone_scale) flush<0>(out.bone_scale + run.row * scales, stretches, run.count * scales, team.lane);
    if (!out.body_rotation) return;
    // The torque of all bones about the root, to the rotation vector. That is read again: kept, it would
    // take three registers in the loop.
    const float* body = ahead<V>(run.start(a.body_rotation, 0), mine, a.body_rotation);
    Vec3<float> grad_body =
        rotation_vjp_before(rotation(load3(body)), vec3_from_shared<float>(torques + uint32_t(mine) * 16));
    if (!(valid >> mine & 1)) grad_body = zero3<float>();
    if (team.lane < run.count) store_shared(records + 12u * uint32_t(team.lane), grad_body);
    sync_warp();
    flush<0>(out.body_rotation + 3 * run.row, records, 3 * run.count, team.lane);
}

}  // namespace poseda
