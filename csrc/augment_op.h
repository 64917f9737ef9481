// The augment ops on either device: guard, allocate, launch. Device provides
//     static void augment(const AugmentArguments<T>&, const AugmentOutputs<T>&, const Tensor& like)
//     static void augment_backward(const AugmentArguments<T>&, const AugmentGradients<T>&, const Tensor&
//     like)
#pragma once

#include <tuple>

#include "guards.h"

namespace poseda {

// Gradients an autograd node may ask for, as bits of augment_backward's `wanted`, in the order of its
// results.
enum Wanted : int64_t {
    kWantPose = 1,
    kWantFocal = 2,
    kWantCenter = 4,
    kWantDistortion = 8,
    kWantRotation = 16,
    kWantScale = 32,
    kWantBody = 64,
    kWantRoot = 128,
    kWantPlacement = 256,
};

struct AugmentInputs {
    Tensor pose_3d, focal, center;
    std::optional<Tensor> distortion, aspect, bone_rotation, bone_scale, body_rotation, root, placement;
    std::optional<Tensor> placement_index, joint_mask;
    std::vector<int64_t> parents, groups;
    bool propagate, exact;
    double min_depth;
    bool require_in_frame;

    int64_t batch() const { return pose_3d.size(0); }
    bool sequences() const { return pose_3d.dim() == 4; }
    int64_t frames() const { return sequences() ? pose_3d.size(1) : 1; }
};

template <class T>
AugmentArguments<T> arguments_of(const AugmentInputs& in, Guard& guard) {
    AugmentArguments<T> a;
    a.tree = tree_of(in.parents, in.groups);
    STD_TORCH_CHECK(in.pose_3d.dim() == 3 || in.pose_3d.dim() == 4, "pose_3d: unexpected shape ",
                    shape_text(in.pose_3d));
    const int64_t joints = a.tree.joints, bones = a.tree.bones(), batch = in.batch();
    const int64_t frames = in.sequences() ? in.frames() : -1;
    STD_TORCH_CHECK(in.frames() >= 1 && in.frames() <= INT32_MAX, "pose_3d: expected 1 to 2^31 - 1 frames");
    a.batch = batch;
    a.frames = int(in.frames());
    a.propagate = in.propagate;
    a.pose = guard.rows<T>(in.pose_3d, "pose_3d", batch, frames, {joints, 3});
    a.bone_rotation = guard.rows<T>(in.bone_rotation, "bone_rotation", batch, frames, {bones, 3});
    a.bone_scale = guard.rows<T>(in.bone_scale, "bone_scale", batch, frames, {a.tree.scales});
    a.body_rotation = guard.rows<T>(in.body_rotation, "body_rotation", batch, frames, {3});
    a.root = guard.rows<T>(in.root, "root", batch, -1, {3});
    a.placement_index = nullptr;
    a.index_stride = 0;
    a.table_rows = batch;
    if (in.placement_index) {
        guard.check(*in.placement_index, "placement_index", ScalarType::Long);
        STD_TORCH_CHECK(in.placement && in.placement->dim() == 2, "placement_index: needs placement");
        STD_TORCH_CHECK(in.placement_index->dim() == 1 && in.placement_index->size(0) == batch,
                        "placement_index: unexpected shape ", shape_text(*in.placement_index));
        a.placement_index = static_cast<const int64_t*>(in.placement_index->data_ptr());
        a.index_stride = in.placement_index->stride(0);
        a.table_rows = in.placement->size(0);
        STD_TORCH_CHECK(a.table_rows > 0 || batch == 0, "placement: expected at least one row");
    }
    a.placement = guard.rows<T>(in.placement, "placement", a.table_rows, -1, {4});
    a.focal = guard.rows<T>(in.focal, "camera.focal", a.table_rows, -1, {2});
    a.center = guard.rows<T>(in.center, "camera.center", a.table_rows, -1, {2});
    a.distortion = guard.rows<T>(in.distortion, "camera.distortion", a.table_rows, -1, {5});
    a.aspect = guard.rows<T>(in.aspect, "camera.aspect", a.table_rows, -1, {});
    if (in.joint_mask) {
        guard.check(*in.joint_mask, "joint_mask", ScalarType::Bool);
        a.joint_mask = guard.layout<bool>(*in.joint_mask, "joint_mask", batch, -1, {joints});
    }
    STD_TORCH_CHECK(!(in.root && in.placement), "root: cannot be given together with placement");
    STD_TORCH_CHECK(!in.require_in_frame || in.aspect, "require_in_frame: needs camera.aspect");
    a.options = {in.placement ? RootFrom::kPlacement
                 : in.root    ? RootFrom::kGiven
                              : RootFrom::kSource,
                 in.exact,
                 in.distortion.has_value(),
                 in.joint_mask.has_value(),
                 in.require_in_frame,
                 in.min_depth,
                 false};
    return a;
}

template <class Device, class T>
std::tuple<Tensor, Tensor, Tensor> augment_typed(const AugmentInputs& in) {
    Guard guard(in.pose_3d, "pose_3d");
    const AugmentArguments<T> arguments = arguments_of<T>(in, guard);
    const ScalarType type = in.pose_3d.scalar_type();
    const int64_t batch = in.batch(), frames = in.frames(), joints = arguments.tree.joints;
    const bool sequences = in.sequences();
    const Tensor pose = sequences ? allocate(in.pose_3d, type, {batch, frames, joints, 3})
                                  : allocate(in.pose_3d, type, {batch, joints, 3});
    const Tensor screen = sequences ? allocate(in.pose_3d, type, {batch, frames, joints, 2})
                                    : allocate(in.pose_3d, type, {batch, joints, 2});
    const Tensor valid = allocate(in.pose_3d, ScalarType::Bool, {batch});
    if (batch > 0) {
        const AugmentOutputs<T> outputs = {static_cast<T*>(pose.data_ptr()),
                                           static_cast<T*>(screen.data_ptr()),
                                           static_cast<bool*>(valid.data_ptr())};
        Device::augment(arguments, outputs, in.pose_3d);
    }
    return {pose, screen, valid};
}

using AugmentGradientTensors =
    std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

template <class Device, class T>
AugmentGradientTensors augment_backward_typed(const std::optional<Tensor>& grad_pose_3d,
                                              const std::optional<Tensor>& grad_pose_2d, const Tensor& valid,
                                              const std::optional<Tensor>& augmented, const AugmentInputs& in,
                                              int64_t wanted) {
    Guard guard(in.pose_3d, "pose_3d");
    AugmentArguments<T> arguments = arguments_of<T>(in, guard);
    arguments.options.want_camera = wanted & (kWantFocal | kWantCenter | kWantDistortion);
    const ScalarType type = in.pose_3d.scalar_type();
    const int64_t batch = in.batch(), frames = in.frames(), joints = arguments.tree.joints;
    const int64_t row_frames = in.sequences() ? frames : -1;
    AugmentGradients<T> g = {};
    g.grad_pose = guard.rows<T>(grad_pose_3d, "grad_pose_3d", batch, row_frames, {joints, 3});
    g.grad_screen = guard.rows<T>(grad_pose_2d, "grad_pose_2d", batch, row_frames, {joints, 2});
    g.augmented = guard.rows<T>(augmented, "augmented", batch, row_frames, {joints, 3});
    STD_TORCH_CHECK(!in.exact || !in.placement || augmented, "augmented: needed for exact placement");
    guard.check(valid, "valid", ScalarType::Bool);
    STD_TORCH_CHECK(valid.dim() == 1 && valid.size(0) == batch && valid.is_contiguous(),
                    "valid: unexpected layout");
    g.valid = static_cast<const bool*>(valid.data_ptr());

    const auto frames_of = [&](const std::optional<Tensor>& t) {
        return in.sequences() && t ? int(t->size(1)) : 1;
    };
    g.rotation_frames = frames_of(in.bone_rotation);
    g.scale_frames = frames_of(in.bone_scale);
    g.body_frames = frames_of(in.body_rotation);
    // In the argument's own shape but for its first dimension, which is the batch's.
    const auto make = [&](int64_t want, const Tensor* like, T*& data) {
        if (!(wanted & want) || !like) return allocate(in.pose_3d, type, {0});
        const Tensor t = allocate_rows(*like, batch);
        data = static_cast<T*>(t.data_ptr());
        return t;
    };
    const auto given = [](const std::optional<Tensor>& t) { return t ? &*t : nullptr; };
    const AugmentGradientTensors result = {make(kWantPose, &in.pose_3d, g.pose),
                                           make(kWantFocal, &in.focal, g.focal),
                                           make(kWantCenter, &in.center, g.center),
                                           make(kWantDistortion, given(in.distortion), g.distortion),
                                           make(kWantRotation, given(in.bone_rotation), g.bone_rotation),
                                           make(kWantScale, given(in.bone_scale), g.bone_scale),
                                           make(kWantBody, given(in.body_rotation), g.body_rotation),
                                           make(kWantRoot, given(in.root), g.root),
                                           make(kWantPlacement, given(in.placement), g.placement)};
    if (batch > 0) Device::augment_backward(arguments, g, in.pose_3d);
    return result;
}

template <class Device>
std::tuple<Tensor, Tensor, Tensor> augment_op(
    Tensor pose_3d, Tensor focal, Tensor center, std::optional<Tensor> distortion,
    std::optional<Tensor> aspect, std::optional<Tensor> bone_rotation, std::optional<Tensor> bone_scale,
    std::optional<Tensor> body_rotation, std::optional<Tensor> root, std::optional<Tensor> placement,
    std::optional<Tensor> placement_index, std::optional<Tensor> joint_mask, std::vector<int64_t> parents,
    std::vector<int64_t> groups, bool propagate, bool exact, double min_depth, bool require_in_frame) {
    const AugmentInputs in = {pose_3d,         focal,      center,          distortion, aspect,
                              bone_rotation,   bone_scale, body_rotation,   root,       placement,
                              placement_index, joint_mask, parents,         groups,     propagate,
                              exact,           min_depth,  require_in_frame};
    return floating_type(pose_3d, "pose_3d") == ScalarType::Float ? augment_typed<Device, float>(in)
                                                                  : augment_typed<Device, double>(in);
}

template <class Device>
AugmentGradientTensors augment_backward_op(
    std::optional<Tensor> grad_pose_3d, std::optional<Tensor> grad_pose_2d, Tensor valid,
    std::optional<Tensor> augmented, int64_t wanted, Tensor pose_3d, Tensor focal, Tensor center,
    std::optional<Tensor> distortion, std::optional<Tensor> aspect, std::optional<Tensor> bone_rotation,
    std::optional<Tensor> bone_scale, std::optional<Tensor> body_rotation, std::optional<Tensor> root,
    std::optional<Tensor> placement, std::optional<Tensor> placement_index, std::optional<Tensor> joint_mask,
    std::vector<int64_t> parents, std::vector<int64_t> groups, bool propagate, bool exact, double min_depth,
    bool require_in_frame) {
    const AugmentInputs in = {pose_3d,         focal,      center,          distortion, aspect,
                              bone_rotation,   bone_scale, body_rotation,   root,       placement,
                              placement_index, joint_mask, parents,         groups,     propagate,
                              exact,           min_depth,  require_in_frame};
    return floating_type(pose_3d, "pose_3d") == ScalarType::Float
               ? augment_backward_typed<Device, float>(grad_pose_3d, grad_pose_2d, valid, augmented, in,
                                                       wanted)
               : augment_backward_typed<Device, double>(grad_pose_3d, grad_pose_2d, valid, augmented, in,
                                                        wanted);
}

}  // namespace poseda
