// The augmentation of one sequence (one pose: T = 1), forward and adjoint. An Io moves frames between memory
// and slots. A CPU runs this on vectors of poses, a GPU thread on one pose.
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

#include "core/gradient_rows.h"
#include "core/placement.h"
#include "core/posing.h"

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

template <class S, class Io>
POSEDA_HD void augment_sequence(const Tree& tree, const Options& options, Io& io) {
    const int centre = io.frames() / 2;
    const Camera<S> camera = io.camera();
    const auto stand = [&](Vec3<S> at) {
        return stand_and_project(tree, options, camera, io.aspect(), at, io.joints().local, io.screen());
    };
    io.load(centre);
    Mask<S> valid = motion_valid(tree, io.motion());
    const BodyTurn<S> centre_turn = body_turn(io.motion().body_rotation);
    const Vec3<S> centre_source = pose_body(tree, io.motion(), centre_turn, io.joints());
    Vec3<S> centre_root = centre_source;
    if (options.root == RootFrom::kGiven) centre_root = io.given_root();
    if (options.root == RootFrom::kPlacement) {
        const BodyInView<S> body = {tree.joints, io.joints().local, io.mask(), camera};
        const Placed<S> placed = place<0>(body, options.exact, io.target());
        valid = both<S>(valid, placed.found);
        centre_root = placed.root();
    }
    valid = both<S>(valid, stand(centre_root));
    io.store(centre, valid);
    for (int t = 0; t < io.frames(); ++t) {
        if (t == centre) continue;
        io.load(t);
        valid = both<S>(valid, motion_valid(tree, io.motion()));
        const Vec3<S> source =
            pose_body(tree, io.motion(), body_turn(io.motion().body_rotation), io.joints());
        Vec3<S> at = source;
        if (options.root != RootFrom::kSource) {
            const Vec3<S> displacement = source - centre_source;
            at = centre_root +
                 (io.motion().has_body_rotation ? rotate(centre_turn.matrix, displacement) : displacement);
        }
        valid = both<S>(valid, stand(at));
        io.store(t, valid);
    }
    io.finish(valid);
}

// Adjoint of projecting the joints that stand at `at`. `joints` holds the local joints on entry and their
// gradients on return, from both outputs. Returns the gradient of the root.
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

// Adjoint of augment_sequence. Beside the above its Io provides
//     load(t)             fills also grad_pose() and grad_screen(), as far as there are any
//     has_grad_pose(), has_grad_screen()
//     solved_depth()      the root's depth that the forward pass found, in exact mode
//     out(), areas(), store(...)     see gradient_rows.h; the pose's area is joints().local
template <class S, class Io>
POSEDA_HD void augment_sequence_vjp(const Tree& tree, const Options& options, Io& io) {
    const int centre = io.frames() / 2;
    const Camera<S> camera = io.camera();
    const bool placed_root = options.root != RootFrom::kSource;
    GradientRows<S, Io> rows(io);
    SequenceGradient<S> total = {zero_camera<S>(), {zero2<S>(), zero2<S>()}, zero3<S>()};

    const auto load = [&](int t) {
        io.load(t);
        rows.begin_frame();
    };
    // Gradients of the frame's local joints; returns that of the root.
    const auto stand_back = [&](Vec3<S> at) {
        return stand_and_project_vjp(tree, options, camera, at, io, total.camera);
    };

    // The centre frame's joints decide where all frames stand.
    load(centre);
    const BodyTurn<S> centre_turn = body_turn(io.motion().body_rotation);
    const bool turned = io.motion().has_body_rotation;
    const Vec3<S> centre_source = pose_body(tree, io.motion(), centre_turn, io.joints());
    Vec3<S> centre_root = centre_source;
    if (options.root == RootFrom::kGiven) centre_root = io.given_root();
    const BodyInView<S> body = {tree.joints, io.joints().local, io.mask(), camera};
    const auto place_centre = [&] {
        return options.exact ? placed_at(body, io.target(), io.solved_depth())
                             : place<kKeepIndex>(body, false, io.target());
    };
    // A placement is too large to keep through all frames: a sequence's centre is placed again at the end.
    const bool keeps_placement = io.frames() == 1;
    Placed<S> placed;
    if (options.root == RootFrom::kPlacement) {
        if (keeps_placement) placed = place_centre();
        centre_root = (keeps_placement ? placed : place_centre()).root();
    }
    Vec3<S> grad_centre_source = zero3<S>(), centre_torque = zero3<S>();
    for (int t = 0; t < io.frames(); ++t) {
        if (t == centre) continue;
        load(t);
        const BodyTurn<S> turn = body_turn(io.motion().body_rotation);
        const Vec3<S> source = pose_body(tree, io.motion(), turn, io.joints());
        Vec3<S> at = source;
        if (placed_root) {
            const Vec3<S> displacement = source - centre_source;
            at = centre_root + (turned ? rotate(centre_turn.matrix, displacement) : displacement);
        }
        const Vec3<S> grad_at = stand_back(at);
        pose_body_vjp(tree, io.motion(), turn, io.joints(), rows.motion());
        Vec3<S> grad_source = grad_at;
        if (placed_root) {
            total.root += grad_at;
            centre_torque += cross(at - centre_root, grad_at);
            if (turned) grad_source = rotate_back(centre_turn.matrix, grad_at);
            grad_centre_source -= grad_source;
        }
        io.joints().local.add_vec3(0, grad_source);
        rows.end_frame(t);
    }
    if (io.frames() > 1) {
        load(centre);
        pose_body(tree, io.motion(), centre_turn, io.joints());
        if (options.root == RootFrom::kPlacement) placed = place_centre();
    }
    const Vec3<S> grad_at = stand_back(centre_root);
    total.root += grad_at;
    if (options.root == RootFrom::kPlacement) {
        place_vjp(body, options.exact, io.target(), placed, total.root, total.target, total.camera);
    }
    pose_body_vjp(tree, io.motion(), centre_turn, io.joints(), rows.motion());
    if (turned && rows.motion().want_body_rotation) {
        rows.motion().body_rotation += rotation_vjp(centre_turn.rotation, centre_torque);
    }
    io.joints().local.add_vec3(0, placed_root ? grad_centre_source : grad_at);
    rows.end_frame(centre);
    rows.finish(total);
}

}  // namespace poseda
