// The Io of core/augment.h on a CPU: one vector of poses between memory and slots.
#pragma once

#include "core/arguments.h"
#include "cpu/lanes.h"

namespace poseda {
namespace {

// Ask for the rows of the poses that come next. A vector's work is too long for the processor to look past
// it, so without this each vector would wait for memory first and compute after.
template <class T>
POSEDA_HD void prefetch_rows(const Rows<const T>& rows, int64_t begin, int64_t end, int64_t size) {
    if (!rows || rows.row == 0) return;
    constexpr int64_t line = 64 / sizeof(T);
    if (rows.row == size) {
        for (const T* at = rows.at(begin); at < rows.at(end); at += line) __builtin_prefetch(at);
        return;
    }
    for (int64_t n = begin; n < end; ++n) {
        for (int64_t i = 0; i < size; i += line) __builtin_prefetch(rows.at(n) + i);
    }
}

template <class T>
POSEDA_HD void prefetch_output(T* data, int64_t begin, int64_t end, int64_t size) {
    if (!data) return;
    for (T* at = data + begin * size; at < data + end * size; at += 64 / sizeof(T)) __builtin_prefetch(at, 1);
}

// What forward and adjoint share: the rows of this vector's poses and the inputs' slots.
template <class T>
class VectorOfPoses {
   public:
    using S = Lanes<T>;
    static constexpr int width = S::width;

    POSEDA_HD VectorOfPoses(const AugmentArguments<T>& arguments, int64_t begin, int64_t end)
        : in_(arguments), begin_(begin), count_(int(end - begin < width ? end - begin : width)) {
        for (int lane = 0; lane < width; ++lane) {
            // Lanes past the end repeat the last pose: they compute without branching and are not stored.
            pose_row_[lane] = begin + (lane < count_ ? lane : count_ - 1);
            int64_t row = in_.placement_index ? in_.placement_index[pose_row_[lane] * in_.index_stride]
                                              : pose_row_[lane];
            const bool inside = !in_.placement_index || (row >= 0 && row < in_.table_rows);
            table_row_[lane] = inside ? row : 0;
            inside_.v[lane] = inside ? T(1) : T(0);
        }
        motion_.has_rotation = bool(in_.bone_rotation);
        motion_.has_scale = bool(in_.bone_scale);
        motion_.has_body = bool(in_.body_rotation);
        motion_.propagate = in_.propagate;
        motion_.rotation = {rotation_};
        motion_.scale = {scale_};
        motion_.chain = {chain_};
        motion_.body = zero3<S>();
        if (in_.options.has_mask) {
            for (int lane = 0; lane < width; ++lane) {
                const bool* mask = in_.joint_mask.at(pose_row_[lane]);
                for (int j = 0; j < in_.tree.joints; ++j) mask_[j].v[lane] = mask[j] ? T(1) : T(0);
            }
        }
    }

    static POSEDA_HD void prefetch(const AugmentArguments<T>& in, int64_t begin, int64_t end) {
        prefetch_rows(in.pose, begin, end, 3 * in.tree.joints);
        prefetch_rows(in.bone_rotation, begin, end, 3 * in.tree.bones());
        prefetch_rows(in.bone_scale, begin, end, in.tree.scales);
        prefetch_rows(in.body_rotation, begin, end, 3);
    }

    POSEDA_HD int frames() const { return in_.frames; }
    POSEDA_HD Motion<S>& motion() { return motion_; }
    POSEDA_HD JointMask<S> mask() { return {in_.options.has_mask, {mask_}}; }

    POSEDA_HD Camera<S> camera() const {
        Camera<S> c = zero_camera<S>();
        c.fx = table(in_.focal, 0);
        c.fy = table(in_.focal, 1);
        c.cx = table(in_.center, 0);
        c.cy = table(in_.center, 1);
        if (in_.options.distorted) {
            c.k1 = table(in_.distortion, 0);
            c.k2 = table(in_.distortion, 1);
            c.k3 = table(in_.distortion, 2);
            c.p1 = table(in_.distortion, 3);
            c.p2 = table(in_.distortion, 4);
        }
        return c;
    }
    POSEDA_HD Placement<S> box() const {
        return {table(in_.placement, 0), table(in_.placement, 1), table(in_.placement, 2),
                table(in_.placement, 3)};
    }
    POSEDA_HD S aspect() const { return in_.aspect ? table(in_.aspect, 0) : S(T(0)); }
    POSEDA_HD Vec3<S> given_root() const {
        return {own(in_.root, 0, 0), own(in_.root, 0, 1), own(in_.root, 0, 2)};
    }

   protected:
    // A number of each pose's row, of a per-pose tensor or of a table gathered by placement_index.
    POSEDA_HD S own(const Rows<const T>& rows, int t, int i) const {
        T column[width];
        for (int lane = 0; lane < width; ++lane) column[lane] = rows.at(pose_row_[lane], t)[i];
        return from_column(column);
    }
    POSEDA_HD S table(const Rows<const T>& rows, int i) const {
        if (rows.row == 0) return S(rows.data[i]);
        T column[width];
        for (int lane = 0; lane < width; ++lane) column[lane] = rows.at(table_row_[lane])[i];
        return from_column(column);
    }
    static POSEDA_HD S from_column(const T (&column)[width]) {
        S s;
        std::memcpy(&s.v, column, sizeof(column));
        return s;
    }

    POSEDA_HD void load(const Rows<const T>& rows, int t, S* slots, int size) const {
        if (rows.row == 0 && rows.frame == 0) {
            for (int i = 0; i < size; ++i) slots[i] = S(rows.data[i]);
            return;
        }
        const T* at[width];
        for (int lane = 0; lane < width; ++lane) at[lane] = rows.at(pose_row_[lane], t);
        load_rows(slots, at, size);
    }
    // Frame t of this vector's rows in a contiguous output with `frames` frames of `size` numbers a row.
    POSEDA_HD void store(T* data, int frames, int t, const S* slots, int size) const {
        T* at[width];
        for (int lane = 0; lane < width; ++lane) at[lane] = data + (pose_row_[lane] * frames + t) * size;
        store_rows(slots, at, size, count_);
    }
    POSEDA_HD void load_motion(int t) {
        if (motion_.has_rotation) load(in_.bone_rotation, t, rotation_, 3 * in_.tree.bones());
        if (motion_.has_scale) load(in_.bone_scale, t, scale_, in_.tree.scales);
        if (motion_.has_body) {
            motion_.body = {own(in_.body_rotation, t, 0), own(in_.body_rotation, t, 1),
                            own(in_.body_rotation, t, 2)};
        }
    }

    const AugmentArguments<T>& in_;
    int64_t begin_;
    int count_;
    int64_t pose_row_[width], table_row_[width];
    S inside_;
    Motion<S> motion_;
    S rotation_[3 * kMaxJoints], scale_[kMaxJoints], chain_[4 * kMaxJoints], mask_[kMaxJoints];
};

template <class T>
class ForwardIo : public VectorOfPoses<T> {
    using Base = VectorOfPoses<T>;
    using typename Base::S;

   public:
    POSEDA_HD ForwardIo(const AugmentArguments<T>& arguments, const AugmentOutputs<T>& outputs, int64_t begin,
                        int64_t end)
        : Base(arguments, begin, end), out_(outputs) {}

    POSEDA_HD Body<S> body() { return {{source_}, {pose_}, {nullptr}, false, false}; }
    POSEDA_HD Slots<S> screen() { return {screen_}; }

    POSEDA_HD void load(int t) {
        Base::load(this->in_.pose, t, source_, 3 * this->in_.tree.joints);
        this->load_motion(t);
    }
    POSEDA_HD void store(int t, Mask<S>) {
        const int joints = this->in_.tree.joints;
        Base::store(out_.pose, this->frames(), t, pose_, 3 * joints);
        Base::store(out_.screen, this->frames(), t, screen_, 2 * joints);
    }
    POSEDA_HD void finish(Mask<S> valid) {
        const S one = select(both<S>(valid, this->inside_ > S(T(0.5))), S(T(1)), S(T(0)));
        const int64_t joints = int64_t(this->in_.tree.joints) * this->frames();
        for (int lane = 0; lane < this->count_; ++lane) {
            const int64_t row = this->begin_ + lane;
            const bool good = one.v[lane] > T(0.5);
            out_.valid[row] = good;
            if (good) continue;
            std::memset(out_.pose + row * joints * 3, 0, sizeof(T) * joints * 3);
            std::memset(out_.screen + row * joints * 2, 0, sizeof(T) * joints * 2);
        }
    }

   private:
    const AugmentOutputs<T>& out_;
    S source_[3 * kMaxJoints], pose_[3 * kMaxJoints], screen_[2 * kMaxJoints];
};

template <class T>
class BackwardIo : public VectorOfPoses<T> {
    using Base = VectorOfPoses<T>;
    using typename Base::S;

   public:
    POSEDA_HD BackwardIo(const AugmentArguments<T>& arguments, const AugmentGradients<T>& gradients,
                         int64_t begin, int64_t end)
        : Base(arguments, begin, end), out_(gradients) {
        for (int lane = 0; lane < Base::width; ++lane)
            keep_.v[lane] = out_.valid[this->pose_row_[lane]] ? T(1) : T(0);
        gradient_.want_pose = out_.pose;
        gradient_.want_rotation = out_.bone_rotation;
        gradient_.want_scale = out_.bone_scale;
        gradient_.want_body = out_.body_rotation;
        gradient_.rotation = {grad_rotation_};
        gradient_.scale = {grad_scale_};
        clear_shared(true);
    }

    POSEDA_HD Body<S> body() { return {{source_}, {joints_}, {rotated_}, false, true, {turns_}, true}; }
    POSEDA_HD Slots<S> grad_pose() { return {grad_pose_}; }
    POSEDA_HD Slots<S> grad_screen() { return {grad_screen_}; }
    POSEDA_HD bool has_grad_pose() const { return bool(out_.grad_pose); }
    POSEDA_HD bool has_grad_screen() const { return bool(out_.grad_screen); }
    POSEDA_HD MotionGradient<S>& motion_gradient() { return gradient_; }
    POSEDA_HD S solved_depth() const { return this->own(out_.augmented, this->frames() / 2, 2); }

    POSEDA_HD void load(int t) {
        const int joints = this->in_.tree.joints;
        Base::load(this->in_.pose, t, source_, 3 * joints);
        this->load_motion(t);
        if (out_.grad_pose) Base::load(out_.grad_pose, t, grad_pose_, 3 * joints);
        if (out_.grad_screen) Base::load(out_.grad_screen, t, grad_screen_, 2 * joints);
        clear_shared(false);
    }

    POSEDA_HD void store(int t) {
        const Tree& tree = this->in_.tree;
        if (out_.pose) keep_and_store(out_.pose, this->frames(), t, joints_, 3 * tree.joints);
        if (gradient_.want_rotation) {
            if (out_.rotation_frames == this->frames()) {
                keep_and_store(out_.bone_rotation, this->frames(), t, grad_rotation_, 3 * tree.bones());
            } else {
                for (int i = 0; i < 3 * tree.bones(); ++i)
                    shared_rotation_[i] = shared_rotation_[i] + grad_rotation_[i];
            }
        }
        if (gradient_.want_scale && out_.scale_frames == this->frames()) {
            keep_and_store(out_.bone_scale, this->frames(), t, grad_scale_, tree.scales);
        }
        if (gradient_.want_body && out_.body_frames == this->frames()) store_body(t);
    }

    POSEDA_HD void finish(const SequenceGradient<S>& total) {
        const Tree& tree = this->in_.tree;
        if (gradient_.want_rotation && out_.rotation_frames != this->frames()) {
            keep_and_store(out_.bone_rotation, 1, 0, shared_rotation_, 3 * tree.bones());
        }
        if (gradient_.want_scale && out_.scale_frames != this->frames()) {
            keep_and_store(out_.bone_scale, 1, 0, grad_scale_, tree.scales);
        }
        if (gradient_.want_body && out_.body_frames != this->frames()) store_body(0);
        const Camera<S>& c = total.camera;
        put(out_.root, {total.root.x, total.root.y, total.root.z});
        put(out_.placement, {total.box.u, total.box.v, total.box.w, total.box.h});
        put(out_.focal, {c.fx, c.fy});
        put(out_.center, {c.cx, c.cy});
        put(out_.distortion, {c.k1, c.k2, c.k3, c.p1, c.p2});
    }

   private:
    template <int size>
    POSEDA_HD void put(T* data, const S (&values)[size]) {
        if (!data) return;
        S slots[size];
        for (int i = 0; i < size; ++i) slots[i] = values[i];
        keep_and_store(data, 1, 0, slots, size);
    }
    POSEDA_HD void store_body(int t) {
        S slots[3] = {gradient_.body.x, gradient_.body.y, gradient_.body.z};
        keep_and_store(out_.body_rotation, out_.body_frames, t, slots, 3);
    }
    // Zeros where the pose is invalid, by selection: a NaN times zero would stay.
    POSEDA_HD void keep_and_store(T* data, int frames, int t, S* slots, int size) const {
        const Mask<S> keep = keep_ > S(T(0.5));
        for (int i = 0; i < size; ++i) slots[i] = select(keep, slots[i], S(T(0)));
        Base::store(data, frames, t, slots, size);
    }
    // Gradients that are added to start at zero: each frame's own at every frame, those shared by frames
    // once.
    POSEDA_HD void clear_shared(bool first) {
        if (gradient_.want_scale && (first || out_.scale_frames == this->frames())) {
            for (int i = 0; i < this->in_.tree.scales; ++i) grad_scale_[i] = S(T(0));
        }
        if (first || out_.body_frames == this->frames()) gradient_.body = zero3<S>();
        if (first && gradient_.want_rotation && out_.rotation_frames != this->frames()) {
            for (int i = 0; i < 3 * this->in_.tree.bones(); ++i) shared_rotation_[i] = S(T(0));
        }
    }

    const AugmentGradients<T>& out_;
    S keep_;
    MotionGradient<S> gradient_;
    S source_[3 * kMaxJoints], joints_[3 * kMaxJoints], rotated_[3 * kMaxJoints], grad_pose_[3 * kMaxJoints],
        grad_screen_[2 * kMaxJoints];
    S turns_[3 * kMaxJoints];
    S grad_rotation_[3 * kMaxJoints], grad_scale_[kMaxJoints], shared_rotation_[3 * kMaxJoints];
};

}  // namespace
}  // namespace poseda
