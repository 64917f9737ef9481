// The adjoint of sequences. A block has a sequence, its warps the frames. All frames but the centre come
// first: what they give to the centre's root, turn and source joins in shared memory. Then a warp takes the
// centre. Gradients of what frames share are summed in a slot a warp and, at the end, over the warps in
// order.
#pragma once

#include "cuda/general_kernels.cuh"

namespace poseda {

// Sums of one warp: a number each.
struct SequenceSums {
    static constexpr int kCentre = 0;   // of the centre: its root, the torque about it, its source's root
    static constexpr int kBody = 9;     // of a body rotation that frames share
    static constexpr int kCamera = 12;  // of the camera
    static constexpr int kScales = 21;  // of scales
    static constexpr int kTurns = kScales + kMaxJoints;  // of bone rotations
    static constexpr int kNumbers = kTurns + 3 * kMaxJoints;
};

template <class V>
class SequenceAdjoint {
    using T = typename V::Number;
    using Sums = SequenceSums;
    static constexpr uint32_t kSize = sizeof(T);

   public:
    POSEDA_DEVICE SequenceAdjoint(const LaneArguments<T>& a, const LaneGradients<T>& gradients,
                                  const WarpPlan& plan)
        : a_(a),
          gradients_(gradients),
          out_(gradients.to),
          team_(plan, a.joints),
          mode_(mode_of<V>(a)),
          layout_(kSequenceChunk, a.joints, a.scales, 1),
          warp_(int(threadIdx.x >> 5)),
          warps_(int(blockDim.x >> 5)),
          records_(shared_base() + uint32_t(warp_) * layout_.bytes),
          sums_(shared_base() + uint32_t(warps_) * layout_.bytes),
          centre_record_(records_ + kSequenceChunk * kRecordBytes<V>),
          stage_(layout_, records_, a.joints, a.scales) {
        shares_turns_ = out_.bone_rotation && out_.rotation_frames != a.frames;
        shares_scales_ = out_.bone_scale && out_.scale_frames != a.frames;
        shares_body_ = out_.body_rotation && out_.body_rotation_frames != a.frames;
    }

    POSEDA_DEVICE void run() {
        const Run run = Run::of_frames(a_.frames), middle = middle_of(run, a_.frames);
        valid_ = load(out_.valid + run.sequence);
        for (int i = team_.lane; i < Sums::kNumbers; i += kWarp) store_shared(sum_at(warp_, i), T(0));
        sync_warp();
        const bool known = mode_.placed && mode_.exact;
        const T depth = known ? load(middle.start(gradients_.augmented, 2)) : T(0);
        prepare_centre<V, true>(team_, mode_, a_, run, known, depth, centre_record_);
        frames(run, middle);
        __syncthreads();
        Gradient<V> g = {};
        Vec3<T> root = zero3<T>();
        if (warp_ == 0) root = centre(middle, depth, g);
        __syncthreads();
        if (warp_ == 0 && wants_rows<V>(out_)) {
            store_rows<V>(a_, out_, run.sequence, g, camera_of_all(), root, centre_record_, valid_,
                          team_.lane);
        }
        store_sums(run.sequence);
    }

   private:
    POSEDA_DEVICE uint32_t sum_at(int warp, int number) const {
        return sums_ + uint32_t(warp * Sums::kNumbers + number) * kSize;
    }
    POSEDA_DEVICE void add(int number, T value) const {
        const uint32_t at = sum_at(warp_, number);
        store_shared(at, from_shared<T>(at) + value);
    }
    POSEDA_DEVICE void add3(int number, Vec3<T> v) const {
        add(number, v.x), add(number + 1, v.y), add(number + 2, v.z);
    }
    POSEDA_DEVICE T total(int number) const {
        T sum = T(0);
        for (int w = 0; w < warps_; ++w) sum = sum + from_shared<T>(sum_at(w, number));
        return sum;
    }
    POSEDA_DEVICE Vec3<T> total3(int number) const {
        return {total(number), total(number + 1), total(number + 2)};
    }

    // All frames of this warp but the centre.
    POSEDA_DEVICE void frames(const Run& run, const Run& middle) {
        const MotionReader<V> reader(a_, team_, run);
        const GradientReader<V> grads(gradients_, team_, run);
        Mode mode = mode_;
        mode.placed = false;
        const bool follows = a_.options.root != RootFrom::kSource;
        for (int begin = 0; begin < run.count; begin += kSequenceChunk) {
            const int left = run.count - begin, count = left < kSequenceChunk ? left : kSequenceChunk;
            sync_warp();
            prepare_frames<V, true>(a_, run, team_.lane, begin, count, true, centre_record_, records_);
            sync_warp();
            for (int i = 0; i < count; ++i) {
                if (run.first + begin + i == middle.first) continue;
                const uint32_t record = records_ + uint32_t(i) * kRecordBytes<V>;
                const Given<T> given = {T(0), zero3<T>(), bool(out_.pose_3d)};
                Camera<T> camera = zero_camera<T>();
                Gradient<V> g = adjoint<V>(team_, mode, reader.motion(begin + i), grads.incoming(begin + i),
                                           given, record, camera);
                const Vec3<T> source = follows ? follow_vjp(read_root<V>(record), g.root) : g.root;
                store_frame(run.row + begin + i, i, g, source, camera);
            }
            sync_warp();
            const int own = team_.lane < count ? team_.lane : count - 1;
            const bool has_own = team_.lane < count && run.first + begin + own != middle.first;
            if (out_.body_rotation) {
                const Vec3<T> torque = has_own ? stage_.torque(own) : zero3<T>();
                store_body(run.row + begin + own, body_of<V>(a_, run, begin + own), torque, has_own);
            }
        }
    }

    // Adjoint of a root that follows its centre, at `at`. Adds the centre's and returns the frame's source's.
    POSEDA_DEVICE Vec3<T> follow_vjp(Vec3<T> at, Vec3<T> grad_at) const {
        const Matrix3<T> turn = read_turn<V>(centre_record_);
        const Vec3<T> source = rotate_back(turn, grad_at);
        if (team_.lane == 0) {
            add3(Sums::kCentre, grad_at);
            add3(Sums::kCentre + 3, cross(at - read_root<V>(centre_record_), grad_at));
            add3(Sums::kCentre + 6, source);
        }
        return source;
    }

    // The centre frame, when all others have come. Returns the gradient of its root.
    POSEDA_DEVICE Vec3<T> centre(const Run& middle, T depth, Gradient<V>& g) {
        const MotionReader<V> reader(a_, team_, middle);
        const GradientReader<V> grads(gradients_, team_, middle);
        const Vec3<T> other_root = total3(Sums::kCentre), torque = total3(Sums::kCentre + 3);
        const Vec3<T> others = total3(Sums::kCentre + 6);
        const Given<T> given = {depth, other_root, bool(out_.pose_3d)};
        Camera<T> camera = zero_camera<T>();
        g = adjoint<V>(team_, mode_, reader.motion(0), grads.incoming(0), given, centre_record_, camera);
        const bool follows = a_.options.root != RootFrom::kSource;
        store_frame(middle.row, 0, g, follows ? zero3<T>() - others : g.root, camera);
        sync_warp();
        if (out_.body_rotation) {
            const Matrix3<T> turn = read_turn<V>(centre_record_);
            // The displacements of the other frames' roots turn with the centre's body.
            const Vec3<T> own = stage_.torque(0) + rotate_back(turn, torque);
            store_body(middle.row, body_of<V>(a_, middle, 0), own, team_.lane == 0);
        }
        return g.root + other_root;
    }

    // A frame's gradients to where they go: its rows, or this warp's sums. `row`: of outputs with a row a
    // frame.
    POSEDA_DEVICE void store_frame(int64_t row, int place, Gradient<V>& g, Vec3<T> root_source,
                                   const Camera<T>& camera) {
        if (mode_.want_camera) {
            const Camera<T> all = total_of(camera);
            if (team_.lane == 0) {
                add(Sums::kCamera, all.focal.x), add(Sums::kCamera + 1, all.focal.y);
                add(Sums::kCamera + 2, all.center.x), add(Sums::kCamera + 3, all.center.y);
                add3(Sums::kCamera + 4, {all.k1, all.k2, all.k3});
                add(Sums::kCamera + 7, all.tangential.x), add(Sums::kCamera + 8, all.tangential.y);
            }
        }
        each<V>([&](int s) {
            if (team_.is_root(s)) g.at[s].source += root_source;
            if (!valid_) g.at[s] = {};
            if (shares_turns_ && team_.has_bone(s)) add3(Sums::kTurns + 3 * team_.bone(s), g.at[s].turn);
            if (shares_scales_ && team_.scale(s) < a_.scales) {
                add(Sums::kScales + team_.scale(s), g.at[s].scale);
            }
        });
        stage_.put(team_, 0, g, bool(out_.pose_3d));
        stage_.put_torque(team_, place, g.body_torque);
        sync_warp();
        stage_.flush_to(shares_turns_ ? nullptr : out_.bone_rotation,
                        shares_scales_ ? nullptr : out_.bone_scale, out_.pose_3d, row, 1, team_.lane);
        sync_warp();
    }

    // The gradient of a body rotation from its torque: the lane's own frame, if it has one.
    POSEDA_DEVICE void store_body(int64_t row, Vec3<T> body, Vec3<T> torque, bool has_own) const {
        Vec3<T> grad = rotation_vjp_before(rotation(body), torque);
        if (!has_own || !valid_) grad = zero3<T>();
        if (shares_body_) {
            const auto all = [](T v) { return Quarters<T, kWarp>::total(v); };
            const Vec3<T> sum = {all(grad.x), all(grad.y), all(grad.z)};
            if (team_.lane == 0) add3(Sums::kBody, sum);
        } else if (has_own) {
            T* to = out_.body_rotation + 3 * row;
            to[0] = grad.x, to[1] = grad.y, to[2] = grad.z;
        }
    }

    POSEDA_DEVICE Camera<T> camera_of_all() const {
        constexpr int at = Sums::kCamera;
        return {{total(at), total(at + 1)},
                {total(at + 2), total(at + 3)},
                total(at + 4),
                total(at + 5),
                total(at + 6),
                {total(at + 7), total(at + 8)},
                false};
    }

    // What frames share, by all threads of the block.
    POSEDA_DEVICE void store_sums(int64_t n) const {
        const auto store = [&](T* rows, int number, int size) {
            for (int i = int(threadIdx.x); i < size; i += int(blockDim.x)) {
                rows[n * size + i] = valid_ ? total(number + i) : T(0);
            }
        };
        if (shares_turns_) store(out_.bone_rotation, Sums::kTurns, 3 * (a_.joints - 1));
        if (shares_scales_) store(out_.bone_scale, Sums::kScales, a_.scales);
        if (shares_body_) store(out_.body_rotation, Sums::kBody, 3);
    }

    const LaneArguments<T>& a_;
    const LaneGradients<T>& gradients_;
    const AugmentGradients<T>& out_;
    const Team<V> team_;
    const Mode mode_;
    const GeneralAdjointLayout<V> layout_;
    const int warp_, warps_;
    const uint32_t records_, sums_, centre_record_;
    const GradientStage<V> stage_;
    bool valid_, shares_turns_, shares_scales_, shares_body_;
};

template <class V, class T = typename V::Number>
__global__ void __launch_bounds__(kWarp* kSequenceWarps, kSequenceAdjointWarps<V> / kSequenceWarps)
    augment_sequence_adjoint_kernel(const __grid_constant__ LaneArguments<T> a,
                                    const __grid_constant__ LaneGradients<T> gradients,
                                    const __grid_constant__ WarpPlan plan) {
    SequenceAdjoint<V>(a, gradients, plan).run();
}

}  // namespace poseda
