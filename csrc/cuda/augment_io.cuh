// The Io of core/augment.h on a GPU: a thread a pose, its numbers in the block's shared memory.
#pragma once

#include "core/augment.h"
#include "cuda/section.cuh"

namespace poseda {

#define POSEDA_DEVICE __device__ __forceinline__

// The sizes of a skeleton's rows. kJoints is 0 where they are known at run time only.
template <int kJoints>
struct Sizes {
    int joints, bones;

    POSEDA_HD explicit Sizes(const Tree& tree)
        : joints(kJoints ? kJoints : tree.joints), bones(kJoints ? kJoints - 1 : tree.bones()) {}
};

// Shared memory of the forward pass. The screen takes the place of the rotations, which are used up by then.
template <class T, int kJoints>
struct ForwardSections {
    Section<T> joints, rotation, screen, scale, chain, mask;
    size_t bytes;

    POSEDA_HD ForwardSections(const AugmentArguments<T>& in, int threads) {
        const Sizes<kJoints> sizes(in.tree);
        Carver<T> carver(threads);
        const bool rotates = bool(in.bone_rotation);
        joints = carver.take(true, 3 * sizes.joints);
        rotation = carver.take(rotates, 3 * sizes.bones);
        const bool fits = rotates && 2 * sizes.joints <= 3 * sizes.bones;
        screen = fits ? rotation.reused(2 * sizes.joints) : carver.take(true, 2 * sizes.joints);
        scale = carver.take(bool(in.bone_scale), in.tree.scales);
        chain = carver.take(rotates && in.propagate, 4 * sizes.bones);
        mask = carver.take(bool(in.joint_mask), sizes.joints);
        bytes = carver.bytes();
    }
};

// Shared memory of the adjoint. A rotation's gradient takes the rotation's place as soon as it is known. When
// propagating it has its own, as other bones still need the rotation.
template <class T, int kJoints>
struct BackwardSections {
    Section<T> joints, rotated, grad_pose, grad_screen, rotation, scale, chain, mask;
    Section<T> grad_rotation, grad_scale, rotation_sum;
    size_t bytes;

    POSEDA_HD BackwardSections(const AugmentArguments<T>& in, const AugmentGradients<T>& out, int threads) {
        const Sizes<kJoints> sizes(in.tree);
        Carver<T> carver(threads);
        const bool rotates = bool(in.bone_rotation), chained = rotates && in.propagate;
        joints = carver.take(true, 3 * sizes.joints);
        rotated = carver.take(true, 3 * sizes.joints);
        grad_pose = carver.take(bool(out.grad_pose_3d), 3 * sizes.joints);
        grad_screen = carver.take(bool(out.grad_pose_2d), 2 * sizes.joints);
        rotation = carver.take(rotates, 3 * sizes.bones);
        grad_rotation = chained ? carver.take(out.bone_rotation, 3 * sizes.bones) : rotation;
        rotation_sum = carver.take(out.bone_rotation && out.rotation_frames != in.frames, 3 * sizes.bones);
        scale = carver.take(bool(in.bone_scale), in.tree.scales);
        grad_scale = carver.take(out.bone_scale, in.tree.scales);
        chain = carver.take(chained, 4 * sizes.bones);
        mask = carver.take(bool(in.joint_mask), sizes.joints);
        bytes = carver.bytes();
    }
};

// What both directions share: which pose is this thread's, and the inputs that are read directly from global
// memory. Threads past the end of the batch compute on whatever is in their slots, and store nothing. Without
// kSequence there is one frame, known at compile time.
template <class T, bool kSequence>
class PoseOfThread {
   public:
    POSEDA_DEVICE explicit PoseOfThread(const AugmentArguments<T>& arguments) : in_(arguments) {
        table_row_ = in_.placement_index ? in_.placement_index[pose_row() * in_.index_stride] : pose_row();
        inside_ = !in_.placement_index || (table_row_ >= 0 && table_row_ < in_.table_rows);
        if (!inside_) table_row_ = 0;
    }

    POSEDA_DEVICE int frames() const {
        if (!kSequence) return 1;
        __builtin_assume(in_.frames > 1);
        return in_.frames;
    }
    POSEDA_DEVICE Motion<T>& motion() { return motion_; }
    POSEDA_DEVICE const JointMask<T>& mask() const { return mask_; }

    POSEDA_DEVICE Camera<T> camera() const {
        Camera<T> c = zero_camera<T>();
        c.focal = vec2(in_.focal.at(table_row_));
        c.center = vec2(in_.center.at(table_row_));
        c.distorted = bool(in_.distortion);
        if (c.distorted) {
            const T* lens = in_.distortion.at(table_row_);
            c.k1 = lens[0], c.k2 = lens[1], c.k3 = lens[2];
            c.tangential = vec2(lens + 3);
        }
        return c;
    }
    POSEDA_DEVICE Placement<T> target() const {
        const T* row = in_.placement.at(table_row_);
        return {vec2(row), vec2(row + 2)};
    }
    POSEDA_DEVICE T aspect() const { return in_.aspect ? *in_.aspect.at(table_row_) : T(0); }
    POSEDA_DEVICE Vec3<T> given_root() const { return vec3(in_.root.at(pose_row())); }

   protected:
    // The block's first pose, the number of its poses, and this thread's pose: its own, or the block's last.
    POSEDA_DEVICE int64_t first() const { return int64_t(blockIdx.x) * blockDim.x; }
    POSEDA_DEVICE int count() const {
        const int64_t left = in_.batch - first();
        return left < int64_t(blockDim.x) ? int(left) : int(blockDim.x);
    }
    POSEDA_DEVICE bool has_own() const { return int(threadIdx.x) < count(); }
    POSEDA_DEVICE int64_t pose_row() const { return first() + (has_own() ? int(threadIdx.x) : count() - 1); }

    static POSEDA_DEVICE Vec2<T> vec2(const T* row) { return {row[0], row[1]}; }
    static POSEDA_DEVICE Vec3<T> vec3(const T* row) { return {row[0], row[1], row[2]}; }

    template <class Sections>
    POSEDA_DEVICE void set_up(const Sections& shared) {
        motion_.has_rotation = bool(in_.bone_rotation);
        motion_.has_scale = bool(in_.bone_scale);
        motion_.has_body_rotation = bool(in_.body_rotation);
        motion_.propagate = in_.propagate;
        motion_.rotation = shared.rotation.own();
        motion_.scale = shared.scale.own();
        motion_.chain = shared.chain.own();
        motion_.body_rotation = zero3<T>();
        mask_ = {bool(in_.joint_mask), shared.mask.own()};
        if (mask_.given) {
            const bool* row = in_.joint_mask.at(pose_row());
            for (int j = 0; j < shared.mask.size; ++j) mask_.mask[j] = row[j] ? T(1) : T(0);
        }
    }

    template <class Sections>
    POSEDA_DEVICE void load_motion(const Sections& shared, int t) {
        if (motion_.has_rotation) load_rows(shared.rotation, in_.bone_rotation, first(), count(), t);
        if (motion_.has_scale) load_rows(shared.scale, in_.bone_scale, first(), count(), t);
        if (motion_.has_body_rotation) motion_.body_rotation = vec3(in_.body_rotation.at(pose_row(), t));
    }

    const AugmentArguments<T>& in_;
    int64_t table_row_;
    bool inside_;
    Motion<T> motion_;
    JointMask<T> mask_;
};

template <class T, int kJoints, bool kSequence>
class ForwardIo : public PoseOfThread<T, kSequence> {
   public:
    POSEDA_DEVICE ForwardIo(const AugmentArguments<T>& arguments, const AugmentOutputs<T>& outputs)
        : PoseOfThread<T, kSequence>(arguments), out_(outputs), shared_(arguments, int(blockDim.x)) {
        this->set_up(shared_);
    }

    POSEDA_DEVICE JointSlots<T> joints() const {
        const Slots<T> slots = shared_.joints.own();
        return {slots, slots, {{nullptr, 1}}, true, false};
    }
    POSEDA_DEVICE Slots<T> screen() const { return shared_.screen.own(); }

    POSEDA_DEVICE void load(int t) {
        __syncthreads();  // the frame before has been stored
        load_rows(shared_.joints, this->in_.pose_3d, this->first(), this->count(), t);
        this->load_motion(shared_, t);
        wait_for_loads();
        __syncthreads();
    }
    POSEDA_DEVICE void store(int t, bool valid) {
        if (this->frames() == 1 && !(valid && this->inside_)) {
            shared_.joints.zero_own();
            shared_.screen.zero_own();
        }
        __syncthreads();
        store_rows(out_.pose_3d, shared_.joints, this->first(), this->count(), this->frames(), t);
        store_rows(out_.pose_2d, shared_.screen, this->first(), this->count(), this->frames(), t);
    }
    POSEDA_DEVICE void finish(bool valid) {
        valid = valid && this->inside_;
        __syncthreads();  // all threads have written their parts of the frames
        if (!this->has_own()) return;
        out_.valid[this->pose_row()] = valid;
        if (valid || this->frames() == 1) return;
        zero_sequence(out_.pose_3d, shared_.joints.size);
        zero_sequence(out_.pose_2d, shared_.screen.size);
    }

   private:
    POSEDA_DEVICE void zero_sequence(T* data, int size) const {
        const int64_t numbers = int64_t(this->frames()) * size;
        for (int64_t i = 0; i < numbers; ++i) data[this->pose_row() * numbers + i] = T(0);
    }

    const AugmentOutputs<T>& out_;
    ForwardSections<T, kJoints> shared_;
};

template <class T, int kJoints, bool kSequence>
class BackwardIo : public PoseOfThread<T, kSequence> {
   public:
    POSEDA_DEVICE BackwardIo(const AugmentArguments<T>& arguments, const AugmentGradients<T>& gradients)
        : PoseOfThread<T, kSequence>(arguments),
          out_(gradients),
          shared_(arguments, gradients, int(blockDim.x)) {
        this->set_up(shared_);
        keep_ = out_.valid[this->pose_row()];
    }

    POSEDA_DEVICE JointSlots<T> joints() const {
        const Slots<T> slots = shared_.joints.own();
        return {slots, slots, shared_.rotated.own(), true, true};
    }
    POSEDA_DEVICE Slots<T> grad_pose() const { return shared_.grad_pose.own(); }
    POSEDA_DEVICE Slots<T> grad_screen() const { return shared_.grad_screen.own(); }
    POSEDA_DEVICE bool has_grad_pose() const { return bool(out_.grad_pose_3d); }
    POSEDA_DEVICE bool has_grad_screen() const { return bool(out_.grad_pose_2d); }
    POSEDA_DEVICE T solved_depth() const {
        return out_.augmented.at(this->pose_row(), this->frames() / 2)[2];
    }
    POSEDA_DEVICE const AugmentGradients<T>& out() const { return out_; }
    POSEDA_DEVICE GradientAreas<Section<T>> areas() const {
        return {shared_.joints, shared_.grad_rotation, shared_.grad_scale, shared_.rotation_sum};
    }

    POSEDA_DEVICE void load(int t) {
        __syncthreads();  // the frame before has been stored
        load_rows(shared_.joints, this->in_.pose_3d, this->first(), this->count(), t);
        this->load_motion(shared_, t);
        if (out_.grad_pose_3d) {
            load_rows(shared_.grad_pose, out_.grad_pose_3d, this->first(), this->count(), t);
        }
        if (out_.grad_pose_2d) {
            load_rows(shared_.grad_screen, out_.grad_pose_2d, this->first(), this->count(), t);
        }
        wait_for_loads();
        __syncthreads();
    }
    POSEDA_DEVICE void store(T* data, int frames, int t, const Section<T>& section) const {
        if (!keep_) section.zero_own();
        __syncthreads();
        store_rows(data, section, this->first(), this->count(), frames, t);
    }
    template <int size>
    POSEDA_DEVICE void store(T* data, int frames, int t, const T (&values)[size]) const {
        if (!this->has_own()) return;
        T* row = data + (this->pose_row() * frames + t) * size;
        for (int i = 0; i < size; ++i) row[i] = keep_ ? values[i] : T(0);
    }

   private:
    const AugmentGradients<T>& out_;
    BackwardSections<T, kJoints> shared_;
    bool keep_;
};

}  // namespace poseda
