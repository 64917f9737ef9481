// The Io of cpu/augment.h: one vector of poses between memory and slots.
#pragma once

#include "core/arguments.h"
#include "cpu/augment.h"
#include "cpu/lanes.h"

namespace poseda {
namespace {

// Fetch the rows of the poses that come next. One vector's work is too long for the processor to look ahead:
// without this, each vector would first wait for memory and then compute.
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

// What both directions share: the rows of this vector's poses, and the slots of the inputs.
template <class T>
class VectorOfPoses {
   public:
    using S = Lanes<T>;
    static constexpr int width = S::width;

    POSEDA_HD VectorOfPoses(const AugmentArguments<T>& arguments, int64_t begin, int64_t end)
        : in_(arguments), begin_(begin), count_(int(end - begin < width ? end - begin : width)) {
        for (int lane = 0; lane < width; ++lane) {
            // Lanes past the end repeat the last pose. They compute without a branch and are not stored.
            pose_row_[lane] = begin + (lane < count_ ? lane : count_ - 1);
            int64_t row = in_.placement_index ? in_.placement_index[pose_row_[lane] * in_.index_stride]
                                              : pose_row_[lane];
            const bool inside = !in_.placement_index || (row >= 0 && row < in_.table_rows);
            table_row_[lane] = inside ? row : 0;
            inside_.v[lane] = inside ? T(1) : T(0);
        }
        motion_.has_rotation = bool(in_.bone_rotation);
        motion_.has_scale = bool(in_.bone_scale);
        motion_.has_body_rotation = bool(in_.body_rotation);
        motion_.propagate = in_.propagate;
        motion_.rotation = {rotation_};
        motion_.scale = {scale_};
        motion_.chain = {chain_};
        motion_.body_rotation = zero3<S>();
        if (in_.joint_mask) {
            for (int lane = 0; lane < width; ++lane) {
                const bool* mask = in_.joint_mask.at(pose_row_[lane]);
                for (int j = 0; j < in_.tree.joints; ++j) mask_[j].v[lane] = mask[j] ? T(1) : T(0);
            }
        }
    }

    static POSEDA_HD void prefetch(const AugmentArguments<T>& in, int64_t begin, int64_t end) {
        prefetch_rows(in.pose_3d, begin, end, 3 * in.tree.joints);
        prefetch_rows(in.bone_rotation, begin, end, 3 * in.tree.bones());
        prefetch_rows(in.bone_scale, begin, end, in.tree.scales);
        prefetch_rows(in.body_rotation, begin, end, 3);
    }

    POSEDA_HD int frames() const { return in_.frames; }
    POSEDA_HD Motion<S>& motion() { return motion_; }
    POSEDA_HD JointMask<S> mask() { return {bool(in_.joint_mask), {mask_}}; }

    POSEDA_HD Camera<S> camera() const {
        Camera<S> c = zero_camera<S>();
        c.focal = {table(in_.focal, 0), table(in_.focal, 1)};
        c.center = {table(in_.center, 0), table(in_.center, 1)};
        c.distorted = bool(in_.distortion);
        if (c.distorted) {
            c.k1 = table(in_.distortion, 0);
            c.k2 = table(in_.distortion, 1);
            c.k3 = table(in_.distortion, 2);
            c.tangential = {table(in_.distortion, 3), table(in_.distortion, 4)};
        }
        return c;
    }
    POSEDA_HD Placement<S> target() const {
        return {{table(in_.placement, 0), table(in_.placement, 1)},
                {table(in_.placement, 2), table(in_.placement, 3)}};
    }
    POSEDA_HD S aspect() const { return in_.aspect ? table(in_.aspect, 0) : S(T(0)); }
    POSEDA_HD Vec3<S> given_root() const { return own_vec3(in_.root, 0); }

   protected:
    // Number i of each pose's own row, and of the row that each pose picks from a table.
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
    POSEDA_HD Vec3<S> own_vec3(const Rows<const T>& rows, int t) const {
        return {own(rows, t, 0), own(rows, t, 1), own(rows, t, 2)};
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
    // Frame t of this vector's rows in a contiguous output: `frames` frames a row, `size` numbers a frame.
    POSEDA_HD void store_slots(T* data, int frames, int t, const S* slots, int size) const {
        T* at[width];
        for (int lane = 0; lane < width; ++lane) at[lane] = data + (pose_row_[lane] * frames + t) * size;
        store_rows(slots, at, size, count_);
    }
    POSEDA_HD void load_motion(int t) {
        if (motion_.has_rotation) load(in_.bone_rotation, t, rotation_, 3 * in_.tree.bones());
        if (motion_.has_scale) load(in_.bone_scale, t, scale_, in_.tree.scales);
        if (motion_.has_body_rotation) motion_.body_rotation = own_vec3(in_.body_rotation, t);
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

    POSEDA_HD JointSlots<S> joints() { return {{source_}, {local_}, {nullptr}, {nullptr}, false}; }
    POSEDA_HD Slots<S> screen() { return {screen_}; }

    POSEDA_HD void load(int t) {
        Base::load(this->in_.pose_3d, t, source_, 3 * this->in_.tree.joints);
        this->load_motion(t);
    }
    POSEDA_HD void store(int t, Mask<S>) {
        const int joints = this->in_.tree.joints;
        Base::store_slots(out_.pose_3d, this->frames(), t, local_, 3 * joints);
        Base::store_slots(out_.pose_2d, this->frames(), t, screen_, 2 * joints);
    }
    POSEDA_HD void finish(Mask<S> valid) {
        const S one = select(both<S>(valid, this->inside_ > S(T(0.5))), S(T(1)), S(T(0)));
        const int64_t joints = int64_t(this->in_.tree.joints) * this->frames();
        for (int lane = 0; lane < this->count_; ++lane) {
            const int64_t row = this->begin_ + lane;
            const bool good = one.v[lane] > T(0.5);
            out_.valid[row] = good;
            if (good) continue;
            std::memset(out_.pose_3d + row * joints * 3, 0, sizeof(T) * joints * 3);
            std::memset(out_.pose_2d + row * joints * 2, 0, sizeof(T) * joints * 2);
        }
    }

   private:
    const AugmentOutputs<T>& out_;
    S source_[3 * kMaxJoints], local_[3 * kMaxJoints], screen_[2 * kMaxJoints];
};

// Slots in which a gradient gathers.
template <class S>
struct Area {
    S* slots;
    int size;

    POSEDA_HD Slots<S> own() const { return {{slots}}; }
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
    }

    POSEDA_HD JointSlots<S> joints() { return {{source_}, {local_}, {rotated_}, {turns_}, true}; }
    POSEDA_HD Slots<S> grad_pose() { return {grad_pose_}; }
    POSEDA_HD Slots<S> grad_screen() { return {grad_screen_}; }
    POSEDA_HD bool has_grad_pose() const { return bool(out_.grad_pose_3d); }
    POSEDA_HD bool has_grad_screen() const { return bool(out_.grad_pose_2d); }
    POSEDA_HD S solved_depth() const { return this->own(out_.augmented, this->frames() / 2, 2); }
    POSEDA_HD const AugmentGradients<T>& out() const { return out_; }
    POSEDA_HD GradientAreas<Area<S>> areas() {
        const Tree& tree = this->in_.tree;
        return {{local_, 3 * tree.joints},
                {grad_rotation_, 3 * tree.bones()},
                {grad_scale_, tree.scales},
                {rotation_sum_, 3 * tree.bones()}};
    }

    POSEDA_HD void load(int t) {
        const int joints = this->in_.tree.joints;
        Base::load(this->in_.pose_3d, t, source_, 3 * joints);
        this->load_motion(t);
        if (out_.grad_pose_3d) Base::load(out_.grad_pose_3d, t, grad_pose_, 3 * joints);
        if (out_.grad_pose_2d) Base::load(out_.grad_pose_2d, t, grad_screen_, 2 * joints);
    }
    // Zeros where the pose is invalid, by selection: NaN times zero would stay NaN.
    POSEDA_HD void store(T* data, int frames, int t, Area<S> area) const {
        const Mask<S> keep = keep_ > S(T(0.5));
        for (int i = 0; i < area.size; ++i) area.slots[i] = select(keep, area.slots[i], S(T(0)));
        Base::store_slots(data, frames, t, area.slots, area.size);
    }
    template <int size>
    POSEDA_HD void store(T* data, int frames, int t, const S (&values)[size]) const {
        S slots[size];
        for (int i = 0; i < size; ++i) slots[i] = values[i];
        store(data, frames, t, Area<S>{slots, size});
    }

   private:
    const AugmentGradients<T>& out_;
    S keep_;
    S source_[3 * kMaxJoints], local_[3 * kMaxJoints], rotated_[3 * kMaxJoints], turns_[3 * kMaxJoints];
    S grad_pose_[3 * kMaxJoints], grad_screen_[2 * kMaxJoints];
    S grad_rotation_[3 * kMaxJoints], grad_scale_[kMaxJoints], rotation_sum_[3 * kMaxJoints];
};

}  // namespace
}  // namespace poseda
