// The kernels for any tree up to 64 joints, any option and either type: single poses and the forward pass of
// sequences. A warp takes a pose after another.
//
// A sequence is a block's, its frames split over up to 8 warps. Each warp works out the centre frame first,
// from which the roots of the other frames follow, so no warp waits for another.
#pragma once

#include "cuda/block_shape.h"
#include "cuda/lane_rows.cuh"

namespace poseda {

constexpr int kGeneralWarps = 4;    // of a block of poses
constexpr int kSequenceWarps = 8;   // of a block of one sequence, at most
constexpr int kSequenceChunk = 8;   // frames whose records a warp keeps
constexpr int kFramesTogether = 4;  // that leave together

template <class V>
constexpr bool kIsDouble = sizeof(typename V::Number) == 8;

// Warps that a multiprocessor should hold: more leave too few registers.
template <class V, bool kSequences>
constexpr int kGeneralForwardWarps = kIsDouble<V>               ? 8
                                     : V::kSlots == 2           ? 16
                                     : V::kPlain && !kSequences ? 28 - kGeneralWarps * kOneLess
                                     : V::kPlain || !kSequences ? 24
                                                                : 16;
template <class V>
constexpr int kGeneralAdjointWarps = kIsDouble<V>     ? 8
                                     : V::kSlots == 1 ? (V::kPlain ? 20 : 16)
                                                      : (V::kPlain ? 12 : 8);
template <class V>
constexpr int kSequenceAdjointWarps = V::kPlain && V::kSlots == 1 ? 24 : 8;

template <class T>
struct alignas(2 * sizeof(T)) Pair {
    T x, y;
};

// Of a sequence's run: the one frame in its middle.
POSEDA_DEVICE Run middle_of(const Run& run, int frames) {
    const int64_t middle = frames / 2;
    return {run.sequence, middle, run.row - run.first + middle, run.pose, 1, 0};
}

// Where a frame's root stands before placement. In a sequence, where it `follows` its centre, that is known.
template <class V, class T = typename V::Number>
POSEDA_DEVICE Standing<T> standing_of(const LaneArguments<T>& a, const Run& run, int64_t pose, Vec3<T> source,
                                      bool follows, uint32_t centre_record) {
    const RootFrom from = a.options.root;
    if (from == RootFrom::kSource) return {false, source};
    if (follows) {
        const Vec3<T> centre = load3(middle_of(run, a.frames).start(a.pose_3d, 0));
        const Vec3<T> displacement = rotate(read_turn<V>(centre_record), source - centre);
        return {false, read_root<V>(centre_record) + displacement};
    }
    if (from == RootFrom::kGiven) return {false, load3(a.root.at_row(pose))};
    return {true, zero3<T>()};
}

template <class V, class T = typename V::Number>
POSEDA_DEVICE Vec3<T> body_of(const LaneArguments<T>& a, const Run& run, int row) {
    return load3(ahead<V>(run.start(a.body_rotation, 0), row, a.body_rotation));
}

// The records of frames begin .. begin+count-1 of a run, a lane a frame.
template <class V, bool kAdjoint, class T = typename V::Number>
POSEDA_DEVICE void prepare_frames(const LaneArguments<T>& a, const Run& run, int lane, int begin, int count,
                                  bool follows, uint32_t centre_record, uint32_t records) {
    const int own = lane < count ? lane : count - 1, row = begin + own;
    const int64_t pose = a.frames > 1 ? run.pose : run.pose + row;
    const Vec3<T> source = load3(ahead<V>(run.start(a.pose_3d, 0), row, a.pose_3d));
    prepare<V, kAdjoint>(a, pose, rotation(body_of<V>(a, run, row)),
                         standing_of<V>(a, run, pose, source, follows, centre_record), source, zero3<T>(),
                         lane < count, records + uint32_t(own) * kRecordBytes<V>);
}

// ---- forward

// A warp's shared memory: records and that of the centre; room for two groups of frames that leave together.
template <class V>
struct GeneralLayout {
    uint32_t stage, bytes;

    POSEDA_HD GeneralLayout(int chunk, int joints) {
        constexpr uint32_t size = sizeof(typename V::Number);
        stage = uint32_t(chunk + 1) * kRecordBytes<V>;
        bytes = stage + whole_quads(2 * kFramesTogether * 3 * uint32_t(joints) * size);
    }
};

// The record of a sequence's centre, where its root stands included. All lanes of a warp find the same; a
// depth that is `known` need not be searched.
template <class V, bool kAdjoint, class T = typename V::Number>
POSEDA_DEVICE void prepare_centre(const Team<V>& team, const Mode& mode, const LaneArguments<T>& a,
                                  const Run& run, bool known, T depth, uint32_t record) {
    const Run middle = middle_of(run, a.frames);
    prepare_frames<V, kAdjoint>(a, middle, team.lane, 0, 1, false, record, record);
    if (!mode.placed) return;
    sync_warp();
    Vec3<T> root;
    if (known) {
        root = depth * line_of(read_record<V>(record, mode.distorted));
    } else {
        const MotionReader<V> reader(a, team, middle);
        const Each<V, Bone<T>> bones = pose_bones<V>(team, mode, reader.motion(0), record);
        root = stand<V>(team, mode, mode.distorted, bones, record, a.min_depth).root;
    }
    sync_warp();
    if (team.lane == 0) store_shared(number_at<V>(record, 25), root);
}

template <class T>
POSEDA_DEVICE void clear(T* to, int64_t numbers, int lane) {
    for (int64_t i = lane; i < numbers; i += kWarp) to[i] = T(0);
}

template <class V, bool kSequences, class T = typename V::Number>
__global__ void __launch_bounds__(kWarp*(kSequences ? kSequenceWarps : kGeneralWarps),
                                  kGeneralForwardWarps<V, kSequences> /
                                      (kSequences ? kSequenceWarps : kGeneralWarps))
    augment_general_kernel(const __grid_constant__ LaneArguments<T> a,
                           const __grid_constant__ AugmentOutputs<T> out,
                           const __grid_constant__ WarpPlan plan, const int chunk) {
    constexpr int kRing = 2 * kFramesTogether;
    constexpr uint32_t kSize = sizeof(T);
    const int joints = a.joints, warp = int(threadIdx.x >> 5);
    const Run run = kSequences ? Run::of_frames(a.frames) : Run::of_poses(a.batch, chunk);
    if (run.count == 0) return;
    const Team<V> team(plan, joints);
    const GeneralLayout<V> layout(chunk, joints);
    uint32_t records = shared_base() + uint32_t(warp) * layout.bytes, stage = records + layout.stage;
    keep(records), keep(stage);
    const uint32_t centre_record = records + uint32_t(chunk) * kRecordBytes<V>;
    Mode mode = mode_of<V>(a);
    if (kSequences) {
        prepare_centre<V, false>(team, mode, a, run, false, T(0), centre_record);
        mode.placed = false;
    }
    const MotionReader<V> reader(a, team, run);
    Each<V, JointMotion<T>> in = reader.motion(0);
    bool all_valid = true;
    T* to = out.pose_3d + run.row * (3 * joints);
    T* screen = out.pose_2d + run.row * (2 * joints);
    for (int begin = 0; begin < run.count; begin += chunk) {
        const int left = run.count - begin, count = left < chunk ? left : chunk;
        sync_warp();
        prepare_frames<V, false>(a, run, team.lane, begin, count, kSequences, centre_record, records);
        sync_warp();
        uint32_t bad = 0;  // lane r keeps which lanes found frame r not valid
        for (int i = 0; i < count; ++i) {
            const uint32_t record = records + uint32_t(i) * kRecordBytes<V>;
            if (!V::kFetchesAhead) in = reader.motion(begin + i);
            const Each<V, Bone<T>> bones = pose_bones<V>(team, mode, in, record);
            if (V::kFetchesAhead) in = reader.motion(begin + i + 1);
            Stood<V> stood = stand<V>(team, mode, mode.distorted, bones, record, a.min_depth);
            const uint32_t found = votes(!stood.valid);
            bad = team.lane == i ? found : bad;
            all_valid = all_valid & (found == 0);
            const uint32_t slot = stage + uint32_t(i & (kRing - 1)) * 3 * kSize * uint32_t(joints);
            each<V>([&](int s) {
                if (!team.used(s)) return;
                if (found) stood.joint[s] = zero3<T>(), stood.screen[s] = zero2<T>();
                store_shared(slot + 3 * kSize * uint32_t(team.joint(s)), stood.joint[s]);
                *reinterpret_cast<Pair<T>*>(screen + 2 * team.joint(s)) = {stood.screen[s].x,
                                                                           stood.screen[s].y};
            });
            screen += 2 * joints;
            if (((i + 1) & (kFramesTogether - 1)) == 0 || i + 1 == count) {
                sync_warp();
                const int start = i & -kFramesTogether, frames = i + 1 - start;
                flush<0>(to, stage + uint32_t(start & (kRing - 1)) * 3 * kSize * uint32_t(joints),
                         frames * 3 * joints, team.lane);
                to += frames * 3 * joints;
            }
        }
        if (!kSequences && team.lane < count) out.valid[run.row + begin + team.lane] = bad == 0;
    }
    if (!kSequences) return;
    // One bad frame makes the sequence invalid: each warp clears what it wrote.
    const uint32_t flags = shared_base() + (blockDim.x >> 5) * layout.bytes;
    if (team.lane == 0) store_shared(flags + 4 * uint32_t(warp), uint32_t(!all_valid));
    __syncthreads();
    uint32_t bad = 0;
    for (uint32_t w = 0; w < blockDim.x >> 5; ++w) bad |= from_shared<uint32_t>(flags + 4 * w);
    if (threadIdx.x == 0) out.valid[run.sequence] = bad == 0;
    if (bad == 0) return;
    clear(out.pose_3d + run.row * (3 * joints), int64_t(run.count) * 3 * joints, team.lane);
    clear(out.pose_2d + run.row * (2 * joints), int64_t(run.count) * 2 * joints, team.lane);
}

// ---- adjoint

// The gradients of camera, placement and root: a row a sequence. `camera` is what the lanes have gathered
// from their joints' projections; `ray` that of the placement.
template <class V, class T = typename V::Number>
POSEDA_DEVICE void store_rows(const LaneArguments<T>& a, const AugmentGradients<T>& out, int64_t pose,
                              const Gradient<V>& g, Camera<T> camera, Vec3<T> root, uint32_t record,
                              bool valid, int lane) {
    Placement<T> target = {zero2<T>(), zero2<T>()};
    if (a.options.root == RootFrom::kPlacement) {
        const TableRow table(a, pose);
        const Vec2<T> ray = {from_shared<T>(number_at<V>(record, 9)),
                             from_shared<T>(number_at<V>(record, 10))};
        camera.focal += g.focal;
        target.box = {g.size, g.size};
        target.root = unproject_vjp(load_camera<V>(a, table.row), load_placement(a, table.row).root, ray,
                                    g.ray, camera);
    }
    if (lane > 0) return;
    const auto put = [&](T* rows, int64_t i, T value) { rows[i] = valid ? value : T(0); };
    const auto put2 = [&](T* rows, int64_t i, Vec2<T> v) { put(rows, i, v.x), put(rows, i + 1, v.y); };
    if (out.focal) put2(out.focal, 2 * pose, camera.focal);
    if (out.center) put2(out.center, 2 * pose, camera.center);
    if (out.distortion) {
        put2(out.distortion, 5 * pose, {camera.k1, camera.k2});
        put(out.distortion, 5 * pose + 2, camera.k3);
        put2(out.distortion, 5 * pose + 3, camera.tangential);
    }
    if (out.root) put2(out.root, 3 * pose, {root.x, root.y}), put(out.root, 3 * pose + 2, root.z);
    if (out.placement) {
        put2(out.placement, 4 * pose, target.root);
        put2(out.placement, 4 * pose + 2, target.box);
    }
}

template <class V, class T = typename V::Number>
POSEDA_DEVICE bool wants_rows(const AugmentGradients<T>& out) {
    if (V::kPlain) return false;
    return out.focal || out.center || out.distortion || out.root || out.placement;
}

// The camera's gradient from all lanes, in each.
template <class T>
POSEDA_DEVICE Camera<T> total_of(const Camera<T>& c) {
    const auto total = [](T v) { return Quarters<T, kWarp>::total(v); };
    return {{total(c.focal.x), total(c.focal.y)},
            {total(c.center.x), total(c.center.y)},
            total(c.k1),
            total(c.k2),
            total(c.k3),
            {total(c.tangential.x), total(c.tangential.y)},
            false};
}

// A warp's shared memory: records and that of the centre, body torques, gradients of frames that leave
// together.
template <class V>
struct GeneralAdjointLayout {
    uint32_t torques, turns, source, scales, bytes;

    POSEDA_HD GeneralAdjointLayout(int chunk, int joints, int scale_count, int together) {
        constexpr uint32_t size = sizeof(typename V::Number);
        torques = uint32_t(chunk + 1) * kRecordBytes<V>;
        turns = torques + uint32_t(chunk) * 4 * size;
        source = turns + whole_quads(uint32_t(together * 3 * (joints - 1)) * size);
        scales = source + whole_quads(uint32_t(together * 3 * joints) * size);
        bytes = scales + whole_quads(uint32_t(together * scale_count) * size);
    }
};

// Gradients of frames on their way out.
template <class V>
class GradientStage {
    using T = typename V::Number;
    static constexpr uint32_t kSize = sizeof(T);

   public:
    POSEDA_DEVICE GradientStage(const GeneralAdjointLayout<V>& layout, uint32_t base, int joints, int scales)
        : torques_(base + layout.torques),
          turns_(base + layout.turns),
          source_(base + layout.source),
          scales_(base + layout.scales),
          joints_(joints),
          scale_count_(scales) {
        keep(torques_), keep(turns_), keep(source_), keep(scales_);
    }
    // The body's torque of frame `row` of a chunk.
    POSEDA_DEVICE void put_torque(const Team<V>& team, int row, T torque) const {
        if (!team.heads_quarter()) return;
        store_shared(torques_ + (4 * uint32_t(row) + uint32_t(team.lane) / 8) * kSize, torque);
    }
    POSEDA_DEVICE Vec3<T> torque(int row) const {
        return vec3_from_shared<T>(torques_ + 4 * uint32_t(row) * kSize);
    }
    // All else of a frame, at a place of those that leave together.
    POSEDA_DEVICE void put(const Team<V>& team, int place, const Gradient<V>& g, bool want_pose) const {
        const uint32_t at = uint32_t(place) * kSize;
        each<V>([&](int s) {
            if (team.has_bone(s)) {
                store_shared(turns_ + at * uint32_t(3 * joints_ - 3) + 3 * kSize * uint32_t(team.bone(s)),
                             g.at[s].turn);
            }
            if (team.scale(s) < scale_count_) {
                store_shared(scales_ + at * uint32_t(scale_count_) + kSize * uint32_t(team.scale(s)),
                             g.at[s].scale);
            }
            if (want_pose && team.used(s)) {
                store_shared(source_ + at * uint32_t(3 * joints_) + 3 * kSize * uint32_t(team.joint(s)),
                             g.at[s].source);
            }
        });
    }
    // To rows first .. first+count-1; null: not wanted.
    POSEDA_DEVICE void flush_to(T* turns, T* scales, T* source, int64_t first, int count, int lane) const {
        const int bones = 3 * joints_ - 3;
        if (turns) flush<0>(turns + first * bones, turns_, count * bones, lane);
        if (scales) flush<0>(scales + first * scale_count_, scales_, count * scale_count_, lane);
        if (source) flush<0>(source + first * 3 * joints_, source_, count * 3 * joints_, lane);
    }

   private:
    uint32_t torques_, turns_, source_, scales_;
    int joints_, scale_count_;
};

template <class V, class T = typename V::Number>
__global__ void __launch_bounds__(kWarp* kGeneralWarps, kGeneralAdjointWarps<V> / kGeneralWarps)
    augment_general_adjoint_kernel(const __grid_constant__ LaneArguments<T> a,
                                   const __grid_constant__ LaneGradients<T> gradients,
                                   const __grid_constant__ WarpPlan plan, const int chunk) {
    const AugmentGradients<T>& out = gradients.to;
    const Run run = Run::of_poses(a.batch, chunk);
    if (run.count == 0) return;
    const Team<V> team(plan, a.joints);
    const Mode mode = mode_of<V>(a);
    const bool want_pose = out.pose_3d, want_rows = wants_rows<V>(out);
    const GeneralAdjointLayout<V> layout(chunk, a.joints, a.scales, kFramesTogether);
    uint32_t records = shared_base() + (threadIdx.x >> 5) * layout.bytes;
    keep(records);
    const GradientStage<V> stage(layout, records, a.joints, a.scales);
    prepare_frames<V, true>(a, run, team.lane, 0, run.count, false, records, records);
    const int mine = team.lane < run.last ? team.lane : run.last;
    const bool mine_valid = load(out.valid + run.pose + mine);
    const uint32_t valid = votes(mine_valid);
    sync_warp();
    const MotionReader<V> reader(a, team, run);
    const GradientReader<V> grads(gradients, team, run);
    Each<V, JointMotion<T>> next = reader.motion(0);
    Each<V, Incoming<T>> next_grad = grads.incoming(0);
    for (int i = 0; i < run.count; ++i) {
        const uint32_t record = records + uint32_t(i) * kRecordBytes<V>;
        const Given<T> given = {mode.placed && mode.exact ? grads.solved_depth(i) : T(0), zero3<T>(),
                                want_pose};
        if (!V::kFetchesAhead) next = reader.motion(i), next_grad = grads.incoming(i);
        const Each<V, JointMotion<T>> in = next;
        const Each<V, Incoming<T>> grad = next_grad;
        if (V::kFetchesAhead) next = reader.motion(i + 1), next_grad = grads.incoming(i + 1);
        Camera<T> camera = zero_camera<T>();
        Gradient<V> g = adjoint<V>(team, mode, in, grad, given, record, camera);
        const bool is_valid = valid >> i & 1;
        if (want_rows) {
            store_rows<V>(a, out, run.pose + i, g, total_of(camera), g.root, record, is_valid, team.lane);
        }
        each<V>([&](int s) {
            if (a.options.root == RootFrom::kSource && team.is_root(s)) g.at[s].source += g.root;
            if (!is_valid) g.at[s] = {};
        });
        const int place = i & (kFramesTogether - 1);
        stage.put(team, place, g, want_pose);
        stage.put_torque(team, i, g.body_torque);
        if (place == kFramesTogether - 1 || i == run.last) {
            sync_warp();
            stage.flush_to(out.bone_rotation, out.bone_scale, out.pose_3d, run.row + i - place, place + 1,
                           team.lane);
            sync_warp();
        }
    }
    if (!out.body_rotation || team.lane > run.last) return;
    Vec3<T> grad_body = rotation_vjp_before(rotation(body_of<V>(a, run, mine)), stage.torque(mine));
    if (!mine_valid) grad_body = zero3<T>();
    T* to = out.body_rotation + 3 * (run.row + mine);
    to[0] = grad_body.x, to[1] = grad_body.y, to[2] = grad_body.z;
}

}  // namespace poseda
