// Global position alignment (GPA): the root at which the posed body has the target's place and size on
// screen. The closed form is that of Chai et al., ICCV 2023. The exact form solves for the size of the
// projected box by a bracketed Newton iteration, as poseda/ops/reference.py has it step by step.
#pragma once

#include "core/camera.h"

namespace poseda {

constexpr int kDepthSteps = 24;  // two or three are usual
constexpr double kDistortedBracket = 4.0;
constexpr double kBracketSlack = 512.0;  // in units of the last place: small boxes round off most

// A row of the placement table: where the target's root is on screen, and its box's width and height.
template <class S>
struct Placement {
    Vec2<S> root, box;

    POSEDA_HD S size() const { return box.x + box.y; }
    POSEDA_HD Mask<S> has_size() const {
        const S zero = literal<S>(0);
        return both<S>(both<S>(box.x >= zero, box.y >= zero), size() > zero);
    }
};

// Which joints span the box: all of them, or those whose slot in `mask` is 1.
template <class S>
struct JointMask {
    bool given;
    Slots<S> mask;

    POSEDA_HD Mask<S> operator()(int joint) const {
        return given ? mask[joint] > literal<S>(0.5) : all_true<S>();
    }
};

// The posed body, its root at the origin, and the camera that will see it. In the adjoint, `local` holds the
// gradients of the joints once these are no longer needed.
template <class S>
struct BodyInView {
    int joints;
    Slots<S> local;
    JointMask<S> mask;
    const Camera<S>& camera;
};

// A joint at the edge of the body's extent. `index` is the joint's number as a scalar, so that each lane has
// its own. At a tie the first joint wins.
template <class S>
struct Extreme {
    S value, index, along;
    Vec3<S> local;
};

template <class S>
struct Extremes {
    Extreme<S> edge[4];  // largest x, smallest x, largest y, smallest y

    POSEDA_HD Vec2<S> extent() const {
        return {edge[0].value - edge[1].value, edge[2].value - edge[3].value};
    }
    POSEDA_HD S size() const { return extent().x + extent().y; }
    // The derivative of the size along the direction that `along` was taken in.
    POSEDA_HD S slope() const { return (edge[0].along - edge[1].along) + (edge[2].along - edge[3].along); }
};

template <class S>
POSEDA_HD Extremes<S> no_extremes() {
    Extremes<S> e;
    for (int i = 0; i < 4; ++i) {
        const S start = literal<S>(i % 2 == 0 ? -INFINITY : INFINITY);
        e.edge[i] = {start, literal<S>(-1), literal<S>(0), zero3<S>()};
    }
    return e;
}

// What is kept of an extreme joint beside its coordinate.
enum Keep : int { kKeepIndex = 1, kKeepAlong = 2, kKeepLocal = 4 };

template <int keep, class S>
POSEDA_HD void widen(Extreme<S>& e, Mask<S> beyond, S value, S index, S along, Vec3<S> local) {
    e.value = select(beyond, value, e.value);
    if (keep & kKeepIndex) e.index = select(beyond, index, e.index);
    if (keep & kKeepAlong) e.along = select(beyond, along, e.along);
    if (keep & kKeepLocal) e.local = select<S>(beyond, local, e.local);
}

// `masked`: whether a joint may be left out. Only then is `spans` read.
template <int keep, class S>
POSEDA_HD void widen(Extremes<S>& e, bool masked, Mask<S> spans, Vec2<S> p, S index, Vec2<S> along,
                     Vec3<S> local) {
    const auto beyond = [&](Mask<S> further) { return masked ? both<S>(spans, further) : further; };
    widen<keep>(e.edge[0], beyond(p.x > e.edge[0].value), p.x, index, along.x, local);
    widen<keep>(e.edge[1], beyond(p.x < e.edge[1].value), p.x, index, along.x, local);
    widen<keep>(e.edge[2], beyond(p.y > e.edge[2].value), p.y, index, along.y, local);
    widen<keep>(e.edge[3], beyond(p.y < e.edge[3].value), p.y, index, along.y, local);
}

// Extremes of the local x and y.
template <int keep, class S>
POSEDA_HD Extremes<S> local_extremes(const BodyInView<S>& body) {
    Extremes<S> e = no_extremes<S>();
    for (int j = 0; j < body.joints; ++j) {
        const Vec3<S> p = body.local.vec3(j);
        widen<keep>(e, body.mask.given, body.mask(j), Vec2<S>{p.x, p.y}, literal<S>(j), zero2<S>(), p);
    }
    return e;
}

// Extremes of the projection with the root at that depth of the line, and their derivatives by the depth.
template <int keep, class S>
POSEDA_HD Extremes<S> projected_extremes(const BodyInView<S>& body, Vec3<S> line, S depth) {
    Extremes<S> e = no_extremes<S>();
    for (int j = 0; j < body.joints; ++j) {
        const Vec3<S> p = body.local.vec3(j);
        const Projected<S> at = project_along(body.camera, p + depth * line, line);
        widen<keep>(e, body.mask.given, body.mask(j), at.screen, literal<S>(j), at.along, p);
    }
    return e;
}

template <class S>
struct Bracket {
    S low, high;
};

// The depths between which the exact solution lies. `nearest` is the smallest local z, and `span` that of the
// joints' offsets from the ray through the root: over (z + nearest) it bounds the projected size.
template <class S>
POSEDA_HD Bracket<S> depth_bracket(const Camera<S>& camera, S nearest, Vec2<S> span, S target,
                                   S closed_form) {
    if (camera.distorted) {
        return {maximum(-nearest, closed_form * literal<S>(1 / kDistortedBracket)),
                closed_form * literal<S>(kDistortedBracket)};
    }
    return {-nearest, quotient(dot(camera.focal, span), target) - nearest};
}

template <class S>
POSEDA_HD Bracket<S> depth_bracket(const BodyInView<S>& body, Vec2<S> ray, S target, S closed_form) {
    S nearest = literal<S>(INFINITY);
    Vec2<S> most = zero2<S>(), least = zero2<S>();
    for (int j = 0; j < body.joints; ++j) {
        const Vec3<S> p = body.local.vec3(j);
        const Mask<S> spans = body.mask(j);
        const Vec2<S> offset = Vec2<S>{p.x, p.y} - p.z * ray;
        nearest = select(both<S>(spans, p.z < nearest), p.z, nearest);
        most.x = select(both<S>(spans, offset.x > most.x), offset.x, most.x);
        least.x = select(both<S>(spans, offset.x < least.x), offset.x, least.x);
        most.y = select(both<S>(spans, offset.y > most.y), offset.y, most.y);
        least.y = select(both<S>(spans, offset.y < least.y), offset.y, least.y);
    }
    return depth_bracket(body.camera, nearest, most - least, target, closed_form);
}

// The search for the depth at which the box has the target's size: Newton's method within a bracket. Where
// several depths solve the equation, it finds the one that is reached from the closed form.
template <class S>
struct DepthSearch {
    S low, high, slack, target;
    S depth;
    Mask<S> moving;  // each lane stops by itself, so that its bits do not depend on its neighbours

    POSEDA_HD DepthSearch(const Bracket<S>& bracket, S target, S closed_form, Mask<S> solvable)
        : low(bracket.low), high(bracket.high), target(target), moving(solvable) {
        // A flat body's depth is the bracket's end itself, which rounding may put on either side.
        slack = literal<S>(kBracketSlack * (single ? 0x1p-23 : 0x1p-52)) * absolute(high);
        depth = select(both<S>(closed_form > low, closed_form < high), closed_form,
                       literal<S>(0.5) * (low + high));
    }

    // Go on from the box's size at `depth`, and the slope of that size.
    POSEDA_HD void step(S size, S slope) {
        // Newton's method squares the error at each step. After a step this short, the rest is below
        // rounding.
        const S last = literal<S>(single ? 1e-5 : 1e-8), tolerance = literal<S>(single ? 1e-4 : 1e-9);
        const Mask<S> larger = size > target;
        low = select(larger, depth, low);
        high = select(larger, high, depth);
        // Newton's step for 1/size - 1/target, which is nearly linear in z: the size falls like 1/z.
        const S change = quotient(size * (target - size), slope * target), next = depth + change;
        const Mask<S> inside = both<S>(next >= low - slack, next <= high + slack);
        const Mask<S> close = both<S>(absolute(change) <= last * absolute(depth),
                                      absolute(size - target) <= tolerance * target);
        depth = select(moving, select(inside, next, literal<S>(0.5) * (low + high)), depth);
        moving = both<S>(moving, negated<S>(both<S>(inside, close)));
    }

   private:
    static constexpr bool single = sizeof(Value<S>) == 4;
};

// A depth, and whether it solves the equation. Lanes where `solvable` is false are left alone.
template <class S>
struct SolvedDepth {
    S depth;
    Mask<S> found;
};

template <class S>
POSEDA_HD SolvedDepth<S> solve_depth(const BodyInView<S>& body, Vec2<S> ray, S target, S closed_form,
                                     Mask<S> solvable) {
    const Vec3<S> line = {ray.x, ray.y, literal<S>(1)};
    DepthSearch<S> search(depth_bracket(body, ray, target, closed_form), target, closed_form, solvable);
    for (int step = 0; step < kDepthSteps && any<S>(search.moving); ++step) {
        const Extremes<S> e = projected_extremes<kKeepAlong>(body, line, search.depth);
        search.step(e.size(), e.slope());
    }
    return {search.depth, both<S>(solvable, negated<S>(search.moving))};
}

// Where the root must be, and what the adjoint needs to know of it.
template <class S>
struct Placed {
    Vec2<S> ray;  // (x0, y0) on the plane z = 1
    S depth;
    Extremes<S> extremes;  // of local x and y (closed form) or of the projection (exact)
    Mask<S> found;

    POSEDA_HD Vec3<S> line() const { return {ray.x, ray.y, literal<S>(1)}; }
    POSEDA_HD Vec3<S> root() const { return {depth * ray.x, depth * ray.y, depth}; }
};

// `keep`: kKeepIndex where the closed form's adjoint follows, else 0.
template <int keep, class S>
POSEDA_HD Placed<S> place(const BodyInView<S>& body, bool exact, const Placement<S>& target) {
    Placed<S> placed;
    const S size = target.size();
    placed.ray = unproject(body.camera, target.root);
    placed.extremes = local_extremes<keep>(body);
    placed.depth = quotient(dot(body.camera.focal, placed.extremes.extent()), size);
    placed.found = target.has_size();
    if (body.camera.distorted) {
        placed.found = both<S>(placed.found, sees(body.camera, placed.ray, target.root));
    }
    if (exact) {
        const SolvedDepth<S> solved = solve_depth(body, placed.ray, size, placed.depth, placed.found);
        placed.depth = solved.depth;
        placed.found = solved.found;
    }
    return placed;
}

// For the adjoint: the exact placement again, its depth being known.
template <class S>
POSEDA_HD Placed<S> placed_at(const BodyInView<S>& body, const Placement<S>& target, S depth) {
    Placed<S> placed;
    placed.ray = unproject(body.camera, target.root);
    placed.depth = depth;
    placed.extremes =
        projected_extremes<kKeepIndex | kKeepAlong | kKeepLocal>(body, placed.line(), placed.depth);
    return placed;
}

// Adjoint of place(...).root(). Adds to the gradients of the local joints, which body.local holds by now, of
// the target and of the camera.
template <class S>
POSEDA_HD void place_vjp(const BodyInView<S>& body, bool exact, const Placement<S>& target,
                         const Placed<S>& placed, Vec3<S> grad_root, Placement<S>& grad_target,
                         Camera<S>& grad_camera) {
    const Camera<S>& camera = body.camera;
    const S depth = placed.depth, zero = literal<S>(0);
    const Extreme<S>* e = placed.extremes.edge;
    const S grad_depth = grad_root.x * placed.ray.x + grad_root.y * placed.ray.y + grad_root.z;
    Vec2<S> grad_ray = depth * Vec2<S>{grad_root.x, grad_root.y};
    Vec3<S> grad_edge[4];
    S grad_size;
    if (exact) {
        // size(z, parameters) = w + h, so dz = -d size / slope: `weight` falls on the extreme joints.
        const S weight = quotient(-grad_depth, placed.extremes.slope());
        grad_size = -weight;
        for (int i = 0; i < 4; ++i) {
            const S signed_weight = i % 2 == 0 ? weight : -weight;
            const Vec2<S> grad = {i < 2 ? signed_weight : zero, i < 2 ? zero : signed_weight};
            grad_edge[i] = project_vjp(camera, e[i].local + depth * placed.line(), grad, true, grad_camera);
            grad_ray += depth * Vec2<S>{grad_edge[i].x, grad_edge[i].y};
        }
    } else {
        // z = (fx dx + fy dy) / (w + h)
        const S scaled = quotient(grad_depth, target.size());
        grad_size = -depth * scaled;
        grad_edge[0] = {camera.focal.x * scaled, zero, zero};
        grad_edge[1] = {-camera.focal.x * scaled, zero, zero};
        grad_edge[2] = {zero, camera.focal.y * scaled, zero};
        grad_edge[3] = {zero, -camera.focal.y * scaled, zero};
        grad_camera.focal += scaled * placed.extremes.extent();
    }
    grad_target.box += Vec2<S>{grad_size, grad_size};
    grad_target.root += unproject_vjp(camera, target.root, placed.ray, grad_ray, grad_camera);
    for (int j = 0; j < body.joints; ++j) {
        Vec3<S> grad = body.local.vec3(j);
        for (int i = 0; i < 4; ++i) {
            const Mask<S> here = e[i].index == literal<S>(j);
            // In closed form each edge pulls along its own axis only.
            if (exact || i < 2) grad.x += select(here, grad_edge[i].x, zero);
            if (exact || i >= 2) grad.y += select(here, grad_edge[i].y, zero);
            if (exact) grad.z += select(here, grad_edge[i].z, zero);
        }
        body.local.set_vec3(j, grad);
    }
}

}  // namespace poseda
