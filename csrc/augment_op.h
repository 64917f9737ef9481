// The augment ops on either device: check, allocate, launch. Device provides
//     static void augment(const AugmentArguments<T>&, const AugmentOutputs<T>&, const Tensor& like)
//     static void augment_backward(const AugmentArguments<T>&, const AugmentGradients<T>&,
//                                  const Tensor& like)
// where `like` is on the device of the call.
#pragma once

#include "augment_arguments.h"
#include "core/arguments.h"

namespace poseda {

// The kernel's arguments; here each tensor's shape, dtype and device are checked.
template <class T>
AugmentArguments<T> arguments_of(const AugmentInputs& in, Guard& guard) {
    AugmentArguments<T> a = {};
    a.tree = tree_of(in.parents, in.groups);
    require(in.pose_3d.dim() == 3 || in.pose_3d.dim() == 4, "pose_3d: unexpected shape ", in.pose_3d);
    const int64_t joints = a.tree.joints, bones = a.tree.bones(), batch = in.batch();
    const int64_t frames = in.sequences() ? in.frames() : -1;
    require(in.frames() >= 1 && in.frames() <= INT32_MAX, "pose_3d: expected 1 to 2^31 - 1 frames");
    a.batch = batch;
    a.frames = int(in.frames());
    a.propagate = in.propagate;
    a.table_rows = batch;
    if (in.placement_index) {
        const Tensor& index = *in.placement_index;
        guard.check(index, "placement_index", ScalarType::Long);
        require(in.placement && in.placement->dim() == 2, "placement_index: needs placement");
        require(index.dim() == 1 && index.size(0) == batch, "placement_index: unexpected shape ", index);
        a.placement_index = numbers<const int64_t>(index);
        a.index_stride = index.stride(0);
        a.table_rows = in.placement->size(0);
        require(a.table_rows > 0 || batch == 0, "placement: expected at least one row");
    }
    a.pose_3d = guard.rows<T>(in.pose_3d, "pose_3d", batch, frames, {joints, 3});
    a.bone_rotation = guard.rows<T>(in.bone_rotation, "bone_rotation", batch, frames, {bones, 3});
    a.bone_scale = guard.rows<T>(in.bone_scale, "bone_scale", batch, frames, {a.tree.scales});
    a.body_rotation = guard.rows<T>(in.body_rotation, "body_rotation", batch, frames, {3});
    a.root = guard.rows<T>(in.root, "root", batch, -1, {3});
    a.placement = guard.rows<T>(in.placement, "placement", a.table_rows, -1, {4});
    a.focal = guard.rows<T>(in.focal, "camera.focal", a.table_rows, -1, {2});
    a.center = guard.rows<T>(in.center, "camera.center", a.table_rows, -1, {2});
    a.distortion = guard.rows<T>(in.distortion, "camera.distortion", a.table_rows, -1, {5});
    a.aspect = guard.rows<T>(in.aspect, "camera.aspect", a.table_rows, -1, {});
    if (in.joint_mask) {
        guard.check(*in.joint_mask, "joint_mask", ScalarType::Bool);
        a.joint_mask = guard.layout<bool>(*in.joint_mask, "joint_mask", batch, -1, {joints});
    }
    require(!(in.root && in.placement), "root: cannot be given together with placement");
    require(!in.require_in_frame || in.aspect, "require_in_frame: needs camera.aspect");
    a.options.root = in.placement ? RootFrom::kPlacement : in.root ? RootFrom::kGiven : RootFrom::kSource;
    a.options.exact = in.exact;
    a.options.require_in_frame = in.require_in_frame;
    a.options.min_depth = in.min_depth;
    return a;
}

template <class Device, class T>
void augment_typed(const AugmentInputs& in, StableIValue* results) {
    Guard guard(in.pose_3d, "pose_3d");
    const AugmentArguments<T> arguments = arguments_of<T>(in, guard);
    const int64_t batch = in.batch(), frames = in.frames(), joints = arguments.tree.joints;
    const auto points = [&](int64_t axes) {
        const ScalarType type = in.pose_3d.scalar_type();
        return in.sequences() ? allocate(in.pose_3d, type, {batch, frames, joints, axes})
                              : allocate(in.pose_3d, type, {batch, joints, axes});
    };
    const Tensor pose_3d = points(3), pose_2d = points(2);
    const Tensor valid = allocate(in.pose_3d, ScalarType::Bool, {batch});
    if (batch > 0) {
        const AugmentOutputs<T> outputs = {numbers<T>(pose_3d), numbers<T>(pose_2d), numbers<bool>(valid)};
        Device::augment(arguments, outputs, in.pose_3d);
    }
    for (const Tensor& result : {pose_3d, pose_2d, valid}) *results++ = torch::stable::detail::from(result);
}

template <class Device, class T>
void augment_backward_typed(const AugmentBackwardInputs& call, StableIValue* results) {
    const AugmentInputs& in = call.forward;
    const AugmentResults& done = call.results;
    Guard guard(in.pose_3d, "pose_3d");
    AugmentArguments<T> arguments = arguments_of<T>(in, guard);
    const int64_t batch = in.batch(), joints = arguments.tree.joints;
    const int64_t frames = in.sequences() ? in.frames() : -1;
    AugmentGradients<T> g = {};
    g.grad_pose_3d = guard.rows<T>(done.grad_pose_3d, "grad_pose_3d", batch, frames, {joints, 3});
    g.grad_pose_2d = guard.rows<T>(done.grad_pose_2d, "grad_pose_2d", batch, frames, {joints, 2});
    g.augmented = guard.rows<T>(done.augmented, "augmented", batch, frames, {joints, 3});
    require(!in.exact || !in.placement || done.augmented, "augmented: needed for exact placement");
    guard.check(done.valid, "valid", ScalarType::Bool);
    require(done.valid.dim() == 1 && done.valid.size(0) == batch && done.valid.is_contiguous(),
            "valid: unexpected layout");
    g.valid = numbers<const bool>(done.valid);

    const auto frames_of = [&](const OptionalTensor& t) { return in.sequences() && t ? int(t->size(1)) : 1; };
    g.rotation_frames = frames_of(in.bone_rotation);
    g.scale_frames = frames_of(in.bone_scale);
    g.body_rotation_frames = frames_of(in.body_rotation);
    // A gradient has its argument's shape, but the batch's rows. Where it is not wanted there is none.
    int64_t bit = 1;
    const auto make = [&](const OptionalTensor& argument, T*& data) {
        const bool wanted = (done.wanted & bit) && argument;
        bit *= 2;
        if (!wanted) return no_tensor();
        const Tensor gradient = allocate_rows(*argument, batch);
        data = numbers<T>(gradient);
        return gradient;
    };
#define POSEDA_MAKE(type, name) make(in.name, g.name),
    const std::vector<Tensor> gradients = {POSEDA_AUGMENT_ARGUMENTS(POSEDA_IGNORE, POSEDA_MAKE)};
#undef POSEDA_MAKE
    arguments.options.want_camera = g.focal || g.center || g.distortion;
    if (batch > 0) Device::augment_backward(arguments, g, in.pose_3d);
    for (const Tensor& gradient : gradients) *results++ = torch::stable::detail::from(gradient);
}

// What torch calls: arguments are taken from the stack, and results put there.
template <class Device>
void augment_op(StableIValue* stack, uint64_t, uint64_t) {
    const AugmentInputs in = AugmentInputs::take(stack);
    for_type(in.pose_3d, "pose_3d", [&](auto zero) { augment_typed<Device, decltype(zero)>(in, stack); });
}

template <class Device>
void augment_backward_op(StableIValue* stack, uint64_t, uint64_t) {
    const AugmentBackwardInputs call = AugmentBackwardInputs::take(stack);
    for_type(call.forward.pose_3d, "pose_3d",
             [&](auto zero) { augment_backward_typed<Device, decltype(zero)>(call, stack); });
}

}  // namespace poseda
