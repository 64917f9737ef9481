// Where the adjoint of augment_sequence puts the gradients, and when.
//
// An argument with a row a frame has its gradient stored at each frame. One whose row all frames share has
// the sum over frames stored at the end. Gradients gather in areas, slots of this pose: an area has a `size`
// and gives its slots by own(). The Io provides
//     frames()
//     out()                           AugmentGradients, the arrays
//     areas()                         GradientAreas, the slots
//     store(data, frames, t, area)    writes this pose's row t of `frames` in the array from an area
//     store(data, frames, t, values)  the same from an array of numbers
// Both stores write zeros where the pose is invalid.
#pragma once

#include "core/arguments.h"
#include "core/placement.h"

namespace poseda {

template <class Area>
struct GradientAreas {
    Area pose, rotation, scale;
    Area rotation_sum;  // where frames share the rotations: `rotation` is overwritten at each frame
};

// Gradients that belong to the sequence as a whole.
template <class S>
struct SequenceGradient {
    Camera<S> camera;
    Placement<S> target;
    Vec3<S> root;
};

template <class S, class Io>
class GradientRows {
   public:
    POSEDA_HD explicit GradientRows(Io& io) : io_(io) {
        motion_.want_pose = out().pose_3d;
        motion_.want_rotation = out().bone_rotation;
        motion_.want_scale = out().bone_scale;
        motion_.want_body_rotation = out().body_rotation;
        motion_.rotation = areas().rotation.own();
        motion_.scale = areas().scale.own();
        motion_.body_rotation = zero3<S>();
        if (motion_.want_scale) areas().scale.own().zero(areas().scale.size);
        if (sums_rotation()) areas().rotation_sum.own().zero(areas().rotation_sum.size);
    }

    POSEDA_HD MotionGradient<S>& motion() { return motion_; }

    // Before each frame: what is added to begins at zero.
    POSEDA_HD void begin_frame() {
        if (motion_.want_scale && !sums_scale()) areas().scale.own().zero(areas().scale.size);
        if (!sums_body_rotation()) motion_.body_rotation = zero3<S>();
    }

    POSEDA_HD void end_frame(int t) {
        if (out().pose_3d) io_.store(out().pose_3d, io_.frames(), t, areas().pose);
        if (sums_rotation()) {
            const Slots<S> sum = areas().rotation_sum.own();
            for (int i = 0; i < areas().rotation_sum.size; ++i) sum[i] += motion_.rotation[i];
        } else if (motion_.want_rotation) {
            io_.store(out().bone_rotation, io_.frames(), t, areas().rotation);
        }
        if (motion_.want_scale && !sums_scale()) io_.store(out().bone_scale, io_.frames(), t, areas().scale);
        if (motion_.want_body_rotation && !sums_body_rotation()) store_body_rotation(t);
    }

    POSEDA_HD void finish(const SequenceGradient<S>& total) {
        if (sums_rotation()) io_.store(out().bone_rotation, 1, 0, areas().rotation_sum);
        if (motion_.want_scale && sums_scale()) io_.store(out().bone_scale, 1, 0, areas().scale);
        if (motion_.want_body_rotation && sums_body_rotation()) store_body_rotation(0);
        const Camera<S>& c = total.camera;
        store(out().root, {total.root.x, total.root.y, total.root.z});
        store(out().placement,
              {total.target.root.x, total.target.root.y, total.target.box.x, total.target.box.y});
        store(out().focal, {c.focal.x, c.focal.y});
        store(out().center, {c.center.x, c.center.y});
        store(out().distortion, {c.k1, c.k2, c.k3, c.tangential.x, c.tangential.y});
    }

   private:
    using T = Value<S>;

    POSEDA_HD const AugmentGradients<T>& out() const { return io_.out(); }
    POSEDA_HD auto areas() const { return io_.areas(); }

    POSEDA_HD bool sums_rotation() const {
        return motion_.want_rotation && out().rotation_frames != io_.frames();
    }
    POSEDA_HD bool sums_scale() const { return out().scale_frames != io_.frames(); }
    POSEDA_HD bool sums_body_rotation() const { return out().body_rotation_frames != io_.frames(); }

    template <int size>
    POSEDA_HD void store(T* data, const S (&values)[size]) const {
        if (data) io_.store(data, 1, 0, values);
    }
    POSEDA_HD void store_body_rotation(int t) const {
        const Vec3<S> g = motion_.body_rotation;
        const S values[3] = {g.x, g.y, g.z};
        io_.store(out().body_rotation, out().body_rotation_frames, t, values);
    }

    Io& io_;
    MotionGradient<S> motion_;
};

}  // namespace poseda
