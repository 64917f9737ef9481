// Global position alignment: the root at which the posed body fills the target's place and size on screen.
// Closed form as in Chai et al., ICCV 2023; exact form by a bracketed Newton iteration on the projected box.
#pragma once

#include "core/camera.h"

namespace poseda {

constexpr int kPinholeSteps = 8;
constexpr int kDistortedSteps = 24;
constexpr double kDistortedBracket = 4.0;

// A row of the placement table: root u, v and box w, h on screen.
template <class S>
struct Placement {
    S u, v, w, h;
};

// A joint at the edge of the body's extent. `index` is the joint's number as a scalar, so that each lane can
// have its own; the first joint wins a tie.
template <class S>
struct Extreme {
    S value, index, along;
    Vec3<S> local;
};

template <class S>
struct Extremes {
    Extreme<S> edge[4];  // largest x, smallest x, largest y, smallest y

    POSEDA_HD S size() const { return (edge[0].value - edge[1].value) + (edge[2].value - edge[3].value); }
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

// `masked`: whether a joint may be left out; `spans` is not looked at otherwise.
template <int keep, class S>
POSEDA_HD void widen(Extremes<S>& e, bool masked, Mask<S> spans, Vec2<S> p, S index, Vec2<S> along,
                     Vec3<S> local) {
    const auto beyond = [&](Mask<S> further) { return masked ? both<S>(spans, further) : further; };
    widen<keep>(e.edge[0], beyond(p.x > e.edge[0].value), p.x, index, along.x, local);
    widen<keep>(e.edge[1], beyond(p.x < e.edge[1].value), p.x, index, along.x, local);
    widen<keep>(e.edge[2], beyond(p.y > e.edge[2].value), p.y, index, along.y, local);
    widen<keep>(e.edge[3], beyond(p.y < e.edge[3].value), p.y, index, along.y, local);
}

// What the adjoint needs of a placement.
template <class S>
struct Placed {
    Vec2<S> ray;  // (x0, y0) on the plane z = 1
    S depth;
    Extremes<S> extremes;  // of local x, y (closed form) or of the projection (exact)
    Mask<S> found;
};

// Which joints span the box: all of them, or those whose slot in `mask` is 1.
template <class S>
struct JointMask {
    bool given;
    Slots<S> mask;

    POSEDA_HD Mask<S> operator()(int joint) const {
        return given ? mask[joint] > literal<S>(0.5) : literal<S>(0) == literal<S>(0);
    }
};

template <int keep, class S>
POSEDA_HD Extremes<S> local_extremes(int joints, const Slots<S>& local, const JointMask<S>& mask) {
    Extremes<S> e = no_extremes<S>();
    const Vec2<S> still = {literal<S>(0), literal<S>(0)};
    for (int j = 0; j < joints; ++j) {
        const Vec3<S> p = local.vec3(j);
        widen<keep>(e, mask.given, mask(j), Vec2<S>{p.x, p.y}, literal<S>(j), still, p);
    }
    return e;
}

template <int keep, class S>
POSEDA_HD Extremes<S> projected_extremes(int joints, const Slots<S>& local, const JointMask<S>& mask,
                                         const Camera<S>& camera, bool distorted, Vec3<S> ray, S depth) {
    Extremes<S> e = no_extremes<S>();
    for (int j = 0; j < joints; ++j) {
        const Vec3<S> p = local.vec3(j);
        const Projected<S> at = project_along(camera, distorted, p + depth * ray, ray);
        widen<keep>(e, mask.given, mask(j), at.screen, literal<S>(j), at.along, p);
    }
    return e;
}

// The depths between which the exact solution lies.
template <class S>
POSEDA_HD void depth_bracket(int joints, const Slots<S>& local, const JointMask<S>& mask,
                             const Camera<S>& camera, bool distorted, Vec2<S> ray, S target, S closed_form,
                             S& low, S& high) {
    const S zero = literal<S>(0);
    S nearest = literal<S>(INFINITY);
    S max_x = zero, min_x = zero, max_y = zero, min_y = zero;
    for (int j = 0; j < joints; ++j) {
        const Vec3<S> p = local.vec3(j);
        const Mask<S> spans = mask(j);
        // Offset from the ray through the root: bounds the projected size by (its span) / (z + min Z).
        const S x = p.x - p.z * ray.x, y = p.y - p.z * ray.y;
        nearest = select(both<S>(spans, p.z < nearest), p.z, nearest);
        max_x = select(both<S>(spans, x > max_x), x, max_x);
        min_x = select(both<S>(spans, x < min_x), x, min_x);
        max_y = select(both<S>(spans, y > max_y), y, max_y);
        min_y = select(both<S>(spans, y < min_y), y, min_y);
    }
    if (distorted) {
        low = maximum(-nearest, closed_form * literal<S>(1 / kDistortedBracket));
        high = closed_form * literal<S>(kDistortedBracket);
    } else {
        low = -nearest;
        high = (camera.fx * (max_x - min_x) + camera.fy * (max_y - min_y)) / target - nearest;
    }
}

template <class S>
POSEDA_HD S solve_depth(int joints, const Slots<S>& local, const JointMask<S>& mask, const Camera<S>& camera,
                        bool distorted, Vec2<S> ray, S target, S closed_form) {
    const Vec3<S> line = {ray.x, ray.y, literal<S>(1)};
    S low, high;
    depth_bracket(joints, local, mask, camera, distorted, ray, target, closed_form, low, high);
    const S half = literal<S>(0.5);
    S z = select(both<S>(closed_form > low, closed_form < high), closed_form, half * (low + high));
    const int steps = distorted ? kDistortedSteps : kPinholeSteps;
    for (int step = 0; step < steps; ++step) {
        const Extremes<S> e = projected_extremes<kKeepAlong>(joints, local, mask, camera, distorted, line, z);
        const S size = e.size();
        const Mask<S> larger = size > target;
        low = select(larger, z, low);
        high = select(larger, high, z);
        // Newton on 1/size - 1/target, which is all but linear in z: the size falls like 1/z.
        const S next = z + size * (target - size) / (e.slope() * target);
        z = select(both<S>(next >= low, next <= high), next, half * (low + high));
    }
    return z;
}

// `keep`: kKeepIndex where the closed form's adjoint follows, else 0.
template <int keep, class S>
POSEDA_HD Placed<S> place(int joints, const Slots<S>& local, const JointMask<S>& mask,
                          const Camera<S>& camera, bool distorted, bool exact, const Placement<S>& box) {
    Placed<S> placed;
    const S zero = literal<S>(0), target = box.w + box.h;
    placed.ray = unproject(camera, distorted, Vec2<S>{box.u, box.v});
    placed.extremes = local_extremes<keep>(joints, local, mask);
    const Extreme<S>* e = placed.extremes.edge;
    placed.depth = (camera.fx * (e[0].value - e[1].value) + camera.fy * (e[2].value - e[3].value)) / target;
    placed.found = both<S>(both<S>(box.w >= zero, box.h >= zero), target > zero);
    if (distorted) {
        const Mask<S> on_screen = sees(camera, placed.ray, Vec2<S>{box.u, box.v});
        placed.found = both<S>(placed.found, on_screen);
    }
    if (exact) {
        placed.depth = solve_depth(joints, local, mask, camera, distorted, placed.ray, target, placed.depth);
        const Vec3<S> line = {placed.ray.x, placed.ray.y, literal<S>(1)};
        const S size =
            projected_extremes<0>(joints, local, mask, camera, distorted, line, placed.depth).size();
        const S tolerance = literal<S>(sizeof(Value<S>) == 4 ? 1e-4 : 1e-9);
        placed.found = both<S>(placed.found, absolute(size - target) <= tolerance * target);
    }
    return placed;
}

// For the adjoint: the placement whose depth is already known.
template <class S>
POSEDA_HD Placed<S> placed_at(int joints, const Slots<S>& local, const JointMask<S>& mask,
                              const Camera<S>& camera, bool distorted, const Placement<S>& box, S depth) {
    Placed<S> placed;
    placed.ray = unproject(camera, distorted, Vec2<S>{box.u, box.v});
    placed.depth = depth;
    const Vec3<S> line = {placed.ray.x, placed.ray.y, literal<S>(1)};
    placed.extremes = projected_extremes<kKeepIndex | kKeepAlong | kKeepLocal>(joints, local, mask, camera,
                                                                               distorted, line, depth);
    return placed;
}

template <class S>
POSEDA_HD Vec3<S> root(const Placed<S>& placed) {
    return {placed.depth * placed.ray.x, placed.depth * placed.ray.y, placed.depth};
}

// Adjoint of root(place(...)). Adds to the gradients of the local joints (in `grad_local`), the box and the
// camera.
template <class S>
POSEDA_HD void place_vjp(int joints, const Slots<S>& grad_local, const Camera<S>& camera, bool distorted,
                         bool exact, const Placement<S>& box, const Placed<S>& placed, Vec3<S> grad_root,
                         Placement<S>& grad_box, Camera<S>& grad_camera) {
    const S depth = placed.depth, target = box.w + box.h, zero = literal<S>(0);
    const Extreme<S>* e = placed.extremes.edge;
    const S grad_depth = grad_root.x * placed.ray.x + grad_root.y * placed.ray.y + grad_root.z;
    Vec2<S> grad_ray = {depth * grad_root.x, depth * grad_root.y};
    Vec3<S> grad_edge[4];
    S grad_size;
    if (exact) {
        // size(z, parameters) = w + h: dz = -d size / slope, so `weight` falls on the projected extreme
        // joints.
        const Vec3<S> line = {placed.ray.x, placed.ray.y, literal<S>(1)};
        const S weight = -grad_depth / placed.extremes.slope();
        grad_size = -weight;
        for (int i = 0; i < 4; ++i) {
            const S signed_weight = i % 2 == 0 ? weight : -weight;
            const Vec2<S> grad = {i < 2 ? signed_weight : zero, i < 2 ? zero : signed_weight};
            grad_edge[i] = project_vjp(camera, distorted, e[i].local + depth * line, grad, true, grad_camera);
            grad_ray = {grad_ray.x + depth * grad_edge[i].x, grad_ray.y + depth * grad_edge[i].y};
        }
    } else {
        // z = (fx dx + fy dy) / (w + h)
        const S scaled = grad_depth / target;
        grad_size = -depth * scaled;
        grad_edge[0] = {camera.fx * scaled, zero, zero};
        grad_edge[1] = {-camera.fx * scaled, zero, zero};
        grad_edge[2] = {zero, camera.fy * scaled, zero};
        grad_edge[3] = {zero, -camera.fy * scaled, zero};
        grad_camera.fx = grad_camera.fx + scaled * (e[0].value - e[1].value);
        grad_camera.fy = grad_camera.fy + scaled * (e[2].value - e[3].value);
    }
    grad_box.w = grad_box.w + grad_size;
    grad_box.h = grad_box.h + grad_size;
    const Vec2<S> grad_screen =
        unproject_vjp(camera, distorted, Vec2<S>{box.u, box.v}, placed.ray, grad_ray, grad_camera);
    grad_box.u = grad_box.u + grad_screen.x;
    grad_box.v = grad_box.v + grad_screen.y;
    for (int j = 0; j < joints; ++j) {
        Vec3<S> grad = grad_local.vec3(j);
        for (int i = 0; i < 4; ++i) {
            const Mask<S> here = e[i].index == literal<S>(j);
            // In closed form each edge pulls along its own axis only.
            if (exact || i < 2) grad.x = grad.x + select(here, grad_edge[i].x, zero);
            if (exact || i >= 2) grad.y = grad.y + select(here, grad_edge[i].y, zero);
            if (exact) grad.z = grad.z + select(here, grad_edge[i].z, zero);
        }
        grad_local.set_vec3(j, grad);
    }
}

}  // namespace poseda
