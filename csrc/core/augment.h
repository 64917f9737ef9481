// The augmentation of one sequence (T = 1: one pose), forward and adjoint, over an Io that moves frames
// between memory and slots. A CPU runs it on vectors of poses, a GPU thread on one.
//
// Io provides, for a frame t:
//     load(t)               fills motion() and body().source
//     store(t, valid)       writes body().local (by then joints in space) and screen()
//     finish(valid)         writes valid and makes every frame zero where not
// and once a sequence camera(), box(), mask(), given_root(). The adjoint's Io is described beside
// augment_vjp.
#pragma once

#include "core/body.h"
#include "core/placement.h"

namespace poseda {

enum class RootFrom { kSource, kGiven, kPlacement };

struct Options {
    RootFrom root;
    bool exact;
    bool distorted;
    bool has_mask;
    bool require_in_frame;
    double min_depth;
    bool want_camera;  // adjoint only: whether any of the camera's gradients is asked for
};

// Local joints to space and screen. Returns where the frame is valid.
template <class S>
POSEDA_HD Mask<S> stand_and_project(const Tree& tree, const Options& options, const Camera<S>& camera,
                                    S aspect, Vec3<S> at, const Slots<S>& pose, const Slots<S>& screen) {
    Mask<S> valid = literal<S>(0) == literal<S>(0);
    const S min_depth = literal<S>(options.min_depth);
    // A NaN or an infinity survives this sum of zeros. One in x or y reaches the screen, but one in z may
    // not.
    S finite = literal<S>(0), nearest = literal<S>(INFINITY);
    for (int j = 0; j < tree.joints; ++j) {
        const Vec3<S> p = pose.vec3(j) + at;
        const Vec2<S> uv = project(camera, options.distorted, p);
        pose.set_vec3(j, p);
        screen[2 * j] = uv.x;
        screen[2 * j + 1] = uv.y;
        finite = finite + ((p.z - p.z) + ((uv.x - uv.x) + (uv.y - uv.y)));
        nearest = select(p.z < nearest, p.z, nearest);
        if (options.require_in_frame) {
            valid = both<S>(valid, both<S>(absolute(uv.x) <= literal<S>(1), absolute(uv.y) <= aspect));
        }
    }
    valid = both<S>(valid, nearest >= min_depth);
    return both<S>(valid, finite == literal<S>(0));
}

template <class S, class Io>
POSEDA_HD void augment_sequence(const Tree& tree, const Options& options, Io& io) {
    const int centre = io.frames() / 2;
    const Camera<S> camera = io.camera();
    io.load(centre);
    Mask<S> valid = motion_valid(tree, io.motion());
    const BodyTurn<S> centre_body = body_turn(io.motion().body);
    const Vec3<S> centre_source = pose_body(tree, io.motion(), centre_body, io.body());
    Vec3<S> centre_root = centre_source;
    if (options.root == RootFrom::kGiven) centre_root = io.given_root();
    if (options.root == RootFrom::kPlacement) {
        const Placed<S> placed = place<0>(tree.joints, io.body().local, io.mask(), camera, options.distorted,
                                          options.exact, io.box());
        valid = both<S>(valid, placed.found);
        centre_root = root(placed);
    }
    valid = both<S>(valid, stand_and_project(tree, options, camera, io.aspect(), centre_root, io.body().local,
                                             io.screen()));
    io.store(centre, valid);
    for (int t = 0; t < io.frames(); ++t) {
        if (t == centre) continue;
        io.load(t);
        valid = both<S>(valid, motion_valid(tree, io.motion()));
        const Vec3<S> source = pose_body(tree, io.motion(), body_turn(io.motion().body), io.body());
        Vec3<S> at = source;
        if (options.root != RootFrom::kSource) {
            const Vec3<S> displacement = source - centre_source;
            at = centre_root +
                 (io.motion().has_body ? rotate(centre_body.matrix, displacement) : displacement);
        }
        valid = both<S>(
            valid, stand_and_project(tree, options, camera, io.aspect(), at, io.body().local, io.screen()));
        io.store(t, valid);
    }
    io.finish(valid);
}

// Gradients gathered over a sequence.
template <class S>
struct SequenceGradient {
    Camera<S> camera;
    Placement<S> box;
    Vec3<S> root;
};

// Gradients of the joints in space, from both outputs, into `joints` (which holds the local joints on entry).
// Returns the gradient of the root.
template <class S>
POSEDA_HD Vec3<S> project_frame_vjp(const Tree& tree, const Options& options, const Camera<S>& camera,
                                    Vec3<S> at, const Slots<S>& joints, const Slots<S>& grad_pose,
                                    const Slots<S>& grad_screen, bool has_grad_pose, bool has_grad_screen,
                                    Camera<S>& grad_camera) {
    Vec3<S> grad_root = zero3<S>();
    for (int j = 0; j < tree.joints; ++j) {
        Vec3<S> g = has_grad_pose ? grad_pose.vec3(j) : zero3<S>();
        if (has_grad_screen) {
            const Vec2<S> grad = {grad_screen[2 * j], grad_screen[2 * j + 1]};
            g = g + project_vjp(camera, options.distorted, joints.vec3(j) + at, grad, options.want_camera,
                                grad_camera);
        }
        grad_root = grad_root + g;
        joints.set_vec3(j, g);
    }
    return grad_root;
}

// Adjoint of augment_sequence. The Io has the forward's inputs and, for a frame t,
//     load(t)      fills motion(), body().source and the gradients of both outputs
//     store(t)     writes body().local (by then the gradients of the source joints) and motion_gradient()
//     finish(g)    writes the sequence's gradients; every store and this one write zeros where the pose is
//     invalid
// solved_depth() is the root depth found by the forward pass in exact mode.
template <class S, class Io>
POSEDA_HD void augment_sequence_vjp(const Tree& tree, const Options& options, Io& io) {
    const int centre = io.frames() / 2;
    const Camera<S> camera = io.camera();
    SequenceGradient<S> total = {zero_camera<S>(), {}, zero3<S>()};
    total.box = {literal<S>(0), literal<S>(0), literal<S>(0), literal<S>(0)};
    const bool placed_root = options.root != RootFrom::kSource;

    // Gradients of the frame's source joints but for the root's own.
    const auto project_back = [&](Vec3<S> at) {
        return project_frame_vjp(tree, options, camera, at, io.body().local, io.grad_pose(), io.grad_screen(),
                                 io.has_grad_pose(), io.has_grad_screen(), total.camera);
    };

    // The centre frame's joints decide where all frames stand.
    io.load(centre);
    const BodyTurn<S> centre_body = body_turn(io.motion().body);
    const bool turned = io.motion().has_body;
    Vec3<S> centre_source = pose_body(tree, io.motion(), centre_body, io.body()), centre_root = centre_source;
    if (options.root == RootFrom::kGiven) centre_root = io.given_root();
    const auto place_centre = [&] {
        return options.exact ? placed_at(tree.joints, io.body().local, io.mask(), camera, options.distorted,
                                         io.box(), io.solved_depth())
                             : place<kKeepIndex>(tree.joints, io.body().local, io.mask(), camera,
                                                 options.distorted, false, io.box());
    };
    // A sequence's centre is placed again at the end: the placement is too large to keep through the other
    // frames.
    const bool keeps_placement = io.frames() == 1;
    Placed<S> placed;
    if (options.root == RootFrom::kPlacement) {
        if (keeps_placement) placed = place_centre();
        centre_root = root(keeps_placement ? placed : place_centre());
    }
    Vec3<S> grad_centre_source = zero3<S>(), centre_torque = zero3<S>();
    for (int t = 0; t < io.frames(); ++t) {
        if (t == centre) continue;
        io.load(t);
        const BodyTurn<S> body = body_turn(io.motion().body);
        const Vec3<S> source = pose_body(tree, io.motion(), body, io.body());
        Vec3<S> at = source;
        if (placed_root) {
            const Vec3<S> displacement = source - centre_source;
            at = centre_root + (turned ? rotate(centre_body.matrix, displacement) : displacement);
        }
        const Vec3<S> grad_at = project_back(at);
        body_vjp(tree, io.motion(), body, io.body(), io.motion_gradient());
        Vec3<S> grad_source = grad_at;
        if (placed_root) {
            total.root = total.root + grad_at;
            centre_torque = centre_torque + cross(at - centre_root, grad_at);
            if (turned) grad_source = rotate_back(centre_body.matrix, grad_at);
            grad_centre_source = grad_centre_source - grad_source;
        }
        io.body().local.add_vec3(0, grad_source);
        io.store(t);
    }
    if (io.frames() > 1) {
        io.load(centre);
        pose_body(tree, io.motion(), centre_body, io.body());
        if (options.root == RootFrom::kPlacement) placed = place_centre();
    }
    const Vec3<S> grad_at = project_back(centre_root);
    total.root = total.root + grad_at;
    if (options.root == RootFrom::kPlacement) {
        place_vjp(tree.joints, io.body().local, camera, options.distorted, options.exact, io.box(), placed,
                  total.root, total.box, total.camera);
    }
    body_vjp(tree, io.motion(), centre_body, io.body(), io.motion_gradient());
    if (turned && io.motion_gradient().want_body) {
        io.motion_gradient().body =
            io.motion_gradient().body + rotation_vjp(centre_body.rotation, centre_torque);
    }
    io.body().local.add_vec3(0, placed_root ? grad_centre_source : grad_at);
    io.store(centre);
    io.finish(total);
}

}  // namespace poseda
