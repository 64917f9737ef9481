// The augmentation of one sequence (one pose: T = 1) by a vector of poses, forward and adjoint. An Io moves
// frames between memory and slots. On a GPU the lanes of a warp share a pose: cuda/pose.cuh has the same
// steps for them.
//
// The Io of both directions provides, once a sequence,
//     frames(), camera(), mask(), target(), given_root()
// and, for a frame t,
//     load(t)             fills motion() and joints().source
// The forward's Io also provides
//     aspect()            height / width of the screen, read with require_in_frame
//     store(t, valid)     writes joints().local, by then joints in space, and screen()
//     finish(valid)       writes valid, and makes every frame zero where it is false
// The adjoint's Io is described at augment_sequence_vjp.
#pragma once

#include "core/placement.h"
#include "core/posing.h"
#include "cpu/gradient_rows.h"

namespace poseda {

// Local joints to space and screen. Returns where the frame is valid.
template <class S>
POSEDA_HD Mask<S> stand_and_project(const Tree& tree, const Options& options, const Camera<S>& camera,
                                    S aspect, Vec3<S> at, const Slots<S>& joints, const Slots<S>& screen) {
    Mask<S> valid = all_true<S>();
    // NaN and infinity survive this sum of zeros. In x or y they reach the screen, in z they may not.
    S finite = literal<S>(0), nearest = literal<S>(INFINITY);
    for (int j = 0; j < tree.joints; ++j) {
        const Vec3<S> p = joints.vec3(j) + at;
        const Vec2<S> uv = project(camera, p);
        joints.set_vec3(j, p);
        screen.set_vec2(j, uv);
        finite += (p.z - p.z) + ((uv.x - uv.x) + (uv.y - uv.y));
        nearest = select(p.z < nearest, p.z, nearest);
        if (options.require_in_frame) {
            valid = both<S>(valid, both<S>(absolute(uv.x) <= literal<S>(1), absolute(uv.y) <= aspect));
        }
    }
    valid = both<S>(valid, nearest >= literal<S>(options.min_depth));
    return both<S>(valid, finite == literal<S>(0));
}

// Adjoint of stand_and_project. The Io's local joints turn into their gradients, from those of both outputs.
// Returns the gradient of the root and adds the camera's, if wanted.
template <class S, class Io>
POSEDA_HD Vec3<S> stand_and_project_vjp(const Tree& tree, const Options& options, const Camera<S>& camera,
                                        Vec3<S> at, Io& io, Camera<S>& grad_camera) {
    const Slots<S> joints = io.joints().local;
    Vec3<S> grad_root = zero3<S>();
    for (int j = 0; j < tree.joints; ++j) {
        Vec3<S> g = io.has_grad_pose() ? io.grad_pose().vec3(j) : zero3<S>();
        if (io.has_grad_screen()) {
            g += project_vjp(camera, joints.vec3(j) + at, io.grad_screen().vec2(j), options.want_camera,
                             grad_camera);
        }
        grad_root += g;
        joints.set_vec3(j, g);
    }
    return grad_root;
}

// The centre frame of a sequence, from which the roots of the other frames follow.
template <class S>
struct CentreFrame {
    bool placed;           // its root is given or placed: the other frames keep their displacement from it
    bool turned;           // it has a body rotation, which turns these displacements
    Vec3<S> source, root;  // its root as given, and where that stands
    BodyTurn<S> turn;

    // Where another frame's root stands, from that frame's source root.
    POSEDA_HD Vec3<S> root_of(Vec3<S> frame) const {
        if (!placed) return frame;
        const Vec3<S> displacement = frame - source;
        return root + (turned ? rotate(turn.matrix, displacement) : displacement);
    }

    // Adjoint of root_of, whose result is `at`. Returns the gradient of the frame's source root and adds
    // those of the centre frame: of its two roots, and the torque on its body rotation.
    struct Gradient {
        Vec3<S> source, root, torque;
    };
    POSEDA_HD Vec3<S> root_of_vjp(Vec3<S> at, Vec3<S> grad_at, Gradient& grad) const {
        if (!placed) return grad_at;
        grad.root += grad_at;
        grad.torque += cross(at - root, grad_at);
        const Vec3<S> grad_frame = turned ? rotate_back(turn.matrix, grad_at) : grad_at;
        grad.source -= grad_frame;
        return grad_frame;
    }
};

// Pose the loaded centre frame. Its root stands where its source's does, or where it is given.
template <class S, class Io>
POSEDA_HD CentreFrame<S> centre_frame(const Tree& tree, const Options& options, Io& io) {
    CentreFrame<S> centre;
    centre.placed = options.root != RootFrom::kSource;
    centre.turned = io.motion().has_body_rotation;
    centre.turn = body_turn(io.motion().body_rotation);
    centre.source = pose_body(tree, io.motion(), centre.turn, io.joints());
    centre.root = options.root == RootFrom::kGiven ? io.given_root() : centre.source;
    return centre;
}

template <class S, class Io>
POSEDA_HD void augment_sequence(const Tree& tree, const Options& options, Io& io) {
    const int middle = io.frames() / 2;
    const Camera<S> camera = io.camera();
    const auto stand = [&](Vec3<S> at) {
        return stand_and_project(tree, options, camera, io.aspect(), at, io.joints().local, io.screen());
    };
    io.load(middle);
    Mask<S> valid = motion_valid(tree, io.motion());
    CentreFrame<S> centre = centre_frame<S>(tree, options, io);
    if (options.root == RootFrom::kPlacement) {
        const BodyInView<S> body = {tree.joints, io.joints().local, io.mask(), camera};
        const Placed<S> placed = place<0>(body, options.exact, io.target());
        valid = both<S>(valid, placed.found);
        centre.root = placed.root();
    }
    valid = both<S>(valid, stand(centre.root));
    io.store(middle, valid);
    for (int t = 0; t < io.frames(); ++t) {
        if (t == middle) continue;
        io.load(t);
        valid = both<S>(valid, motion_valid(tree, io.motion()));
        const BodyTurn<S> turn = body_turn(io.motion().body_rotation);
        const Vec3<S> source = pose_body(tree, io.motion(), turn, io.joints());
        valid = both<S>(valid, stand(centre.root_of(source)));
        io.store(t, valid);
    }
    io.finish(valid);
}

// Adjoint of augment_sequence. Beside the above its Io provides
//     load(t)             fills also grad_pose() and grad_screen(), as far as there are any
//     has_grad_pose(), has_grad_screen()
//     solved_depth()      the root's depth that the forward pass found, in exact mode
//     out(), areas(), store(...)     see gradient_rows.h; the pose's area is joints().local
template <class S, class Io>
POSEDA_HD void augment_sequence_vjp(const Tree& tree, const Options& options, Io& io) {
    const int middle = io.frames() / 2;
    const Camera<S> camera = io.camera();
    GradientRows<S, Io> rows(io);
    SequenceGradient<S> total = {zero_camera<S>(), {zero2<S>(), zero2<S>()}, zero3<S>()};
    // Gradients of the frame's local joints; returns that of its root.
    const auto stand_vjp = [&](Vec3<S> at) {
        return stand_and_project_vjp(tree, options, camera, at, io, total.camera);
    };

    io.load(middle);
    rows.begin_frame();
    CentreFrame<S> centre = centre_frame<S>(tree, options, io);
    const BodyInView<S> body = {tree.joints, io.joints().local, io.mask(), camera};
    const auto place_again = [&] {
        return options.exact ? placed_at(body, io.target(), io.solved_depth())
                             : place<kKeepIndex>(body, false, io.target());
    };
    // A placement is too large to keep through all frames: a sequence's centre is placed again at the end.
    const bool keeps_placement = io.frames() == 1;
    Placed<S> placed;
    if (options.root == RootFrom::kPlacement) {
        if (keeps_placement) placed = place_again();
        centre.root = (keeps_placement ? placed : place_again()).root();
    }
    typename CentreFrame<S>::Gradient grad = {zero3<S>(), zero3<S>(), zero3<S>()};
    for (int t = 0; t < io.frames(); ++t) {
        if (t == middle) continue;
        io.load(t);
        rows.begin_frame();
        const BodyTurn<S> turn = body_turn(io.motion().body_rotation);
        const Vec3<S> at = centre.root_of(pose_body(tree, io.motion(), turn, io.joints()));
        const Vec3<S> grad_at = stand_vjp(at);
        pose_body_vjp(tree, io.motion(), turn, io.joints(), rows.motion());
        io.joints().local.add_vec3(0, centre.root_of_vjp(at, grad_at, grad));
        rows.end_frame(t);
    }
    if (io.frames() > 1) {
        io.load(middle);
        rows.begin_frame();
        pose_body(tree, io.motion(), centre.turn, io.joints());
        if (options.root == RootFrom::kPlacement) placed = place_again();
    }
    const Vec3<S> grad_at = stand_vjp(centre.root);
    total.root = grad.root + grad_at;
    if (options.root == RootFrom::kPlacement) {
        place_vjp(body, options.exact, io.target(), placed, total.root, total.target, total.camera);
    }
    pose_body_vjp(tree, io.motion(), centre.turn, io.joints(), rows.motion());
    if (centre.turned && rows.motion().want_body_rotation) {
        rows.motion().body_rotation += rotation_vjp(centre.turn.rotation, grad.torque);
    }
    io.joints().local.add_vec3(0, centre.placed ? grad.source : grad_at);
    rows.end_frame(middle);
    rows.finish(total);
}

}  // namespace poseda
