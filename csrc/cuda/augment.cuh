// How the augment kernels are launched.
#pragma once

#include <type_traits>

#include "cuda/fast_kernels.cuh"
#include "cuda/sequence_kernel.cuh"

namespace poseda {

// The fewest poses a warp, 2 .. 16, with which a batch makes no more than 16 warps a multiprocessor: small
// batches are spread over the device, in large ones many poses share a chunk's preparation. No bit depends
// on it.
inline int chunk_for(int64_t poses, int multiprocessors) {
    int chunk = 2;
    while (chunk < kMaxChunk && (poses + chunk - 1) / chunk > int64_t(16) * multiprocessors) chunk *= 2;
    return chunk;
}
inline int64_t blocks_for(int64_t poses, int chunk) {
    const int64_t a_block = int64_t(chunk) * kChunkWarps;
    return (poses + a_block - 1) / a_block;
}

// Whether the fast kernels for so many joints have all that a call asks for.
template <class V>
bool is_fast(const LaneArguments<float>& a, const TreePlan& plan) {
    const bool short_steps = a.pose_3d.is_short() && a.bone_rotation.is_short() && a.bone_scale.is_short() &&
                             a.body_rotation.is_short();
    return fits<V>(plan, a.joints) && a.frames == 1 && a.options.root == RootFrom::kPlacement &&
           !a.propagate && !a.options.require_in_frame && short_steps;
}
template <class V>
bool is_fast(const LaneArguments<float>& a, const LaneGradients<float>& g, const TreePlan& plan) {
    return is_fast<V>(a, plan) && !g.wants_rare() && g.grad_pose_3d.is_short() && g.grad_pose_2d.is_short() &&
           g.augmented.is_short();
}

template <class V, class Launch>
void launch_fast(const LaneArguments<float>& a, const AugmentOutputs<float>& out, const TreePlan& plan,
                 const Launch& launch) {
    const int chunk = chunk_for(a.batch, launch.multiprocessors());
    const BlockShape shape = {kWarp * kChunkWarps, kChunkWarps * fast_forward_bytes<V>(chunk)};
    launch(augment_fast_kernel<V>, blocks_for(a.batch, chunk), shape, a, out, plan.team, chunk);
}

template <class V, bool kWantPose, class Launch>
void launch_fast_adjoint(const LaneArguments<float>& a, const LaneGradients<float>& g, const TreePlan& plan,
                         const Launch& launch) {
    const int chunk = chunk_for(a.batch, launch.multiprocessors());
    const FastAdjointLayout<V, kWantPose> layout(chunk, a.scales);
    const BlockShape shape = {kWarp * kChunkWarps, kChunkWarps * layout.bytes};
    launch(augment_fast_adjoint_kernel<V, kWantPose>, blocks_for(a.batch, chunk), shape, a, g, plan.team,
           chunk);
}

// Warps of a sequence's block: two frames each, at most kSequenceWarps of them.
inline int warps_for(int frames) {
    const int pairs = frames / 2 + frames % 2;
    return pairs < kSequenceWarps ? pairs : kSequenceWarps;
}

template <class V, class T, class Launch>
void launch_general(const LaneArguments<T>& a, const AugmentOutputs<T>& out, const TreePlan& plan,
                    const Launch& launch) {
    const bool sequences = a.frames > 1;
    const int warps = sequences ? warps_for(a.frames) : kGeneralWarps;
    const int chunk = sequences ? kSequenceChunk : chunk_for(a.batch, launch.multiprocessors());
    // With a flag a warp.
    const BlockShape shape = {kWarp * warps, size_t(warps) * (GeneralLayout<V>(chunk, a.joints).bytes + 4)};
    if (sequences) {
        launch(augment_general_kernel<V, true>, a.batch, shape, a, out, plan.warp, chunk);
    } else {
        launch(augment_general_kernel<V, false>, blocks_for(a.batch, chunk), shape, a, out, plan.warp, chunk);
    }
}

template <class V, class T, class Launch>
void launch_general_adjoint(const LaneArguments<T>& a, const LaneGradients<T>& g, const TreePlan& plan,
                            const Launch& launch) {
    if (a.frames > 1) {
        const int warps = warps_for(a.frames);
        const GeneralAdjointLayout<V> layout(kSequenceChunk, a.joints, a.scales, 1);
        const size_t bytes = layout.bytes + SequenceSums::kNumbers * sizeof(T);
        launch(augment_sequence_adjoint_kernel<V>, a.batch, BlockShape{kWarp * warps, size_t(warps) * bytes},
               a, g, plan.warp);
        return;
    }
    const int chunk = chunk_for(a.batch, launch.multiprocessors());
    const GeneralAdjointLayout<V> layout(chunk, a.joints, a.scales, kFramesTogether);
    const BlockShape shape = {kWarp * kGeneralWarps, size_t(kGeneralWarps) * layout.bytes};
    launch(augment_general_adjoint_kernel<V>, blocks_for(a.batch, chunk), shape, a, g, plan.warp, chunk);
}

// Whether a call has no option, and asks for no gradient, that the plain kernels do not know.
template <class T>
bool is_plain(const LaneArguments<T>& a) {
    return !a.options.exact && !a.propagate && !a.options.require_in_frame;
}
// The forward pass has said which poses left the screen.
template <class T>
bool is_plain(const LaneArguments<T>& a, const LaneGradients<T>& g) {
    return !a.options.exact && !a.propagate && !g.wants_rare();
}

// Calls `body` with the general kernels' variant for a call. Double is for checks, where time is no matter.
template <class T, class Body>
void with_general(int joints, bool plain, const Body& body) {
    if constexpr (std::is_same_v<T, float>) {
        if (plain) return joints <= 32 ? body(General<T, 1, true>()) : body(General<T, 2, true>());
    }
    return joints <= 32 ? body(General<T, 1, false>()) : body(General<T, 2, false>());
}

// Calls `body` with the fast kernels' variant for a call, and returns true; or returns false.
template <class Is, class Body>
bool with_fast(bool exact, const Is& is, const Body& body) {
    const auto attempt = [&](auto variant) {
        if (!is(variant)) return false;
        body(variant);
        return true;
    };
    return exact ? attempt(Fast<16, true>()) || attempt(Fast<17, true>())
                 : attempt(Fast<16, false>()) || attempt(Fast<17, false>());
}

// `launch`: see launch.h.
template <class T, class Launch>
void launch_augment(const AugmentArguments<T>& arguments, const AugmentOutputs<T>& out,
                    const Launch& launch) {
    const LaneArguments<T> a(arguments);
    const TreePlan plan = plan_of(arguments.tree);
    if constexpr (std::is_same_v<T, float>) {
        const auto is = [&](auto v) { return is_fast<decltype(v)>(a, plan); };
        const auto run = [&](auto v) { launch_fast<decltype(v)>(a, out, plan, launch); };
        if (with_fast(a.options.exact, is, run)) return;
    }
    with_general<T>(a.joints, is_plain(a),
                    [&](auto v) { launch_general<decltype(v)>(a, out, plan, launch); });
}

template <class T, class Launch>
void launch_augment_backward(const AugmentArguments<T>& arguments, const AugmentGradients<T>& gradients,
                             const Launch& launch) {
    const LaneArguments<T> a(arguments);
    const LaneGradients<T> g(gradients, a.frames > 1);
    const TreePlan plan = plan_of(arguments.tree);
    if constexpr (std::is_same_v<T, float>) {
        const auto is = [&](auto v) { return is_fast<decltype(v)>(a, g, plan); };
        const auto run = [&](auto v) {
            if (gradients.pose_3d) {
                launch_fast_adjoint<decltype(v), true>(a, g, plan, launch);
            } else {
                launch_fast_adjoint<decltype(v), false>(a, g, plan, launch);
            }
        };
        if (with_fast(a.options.exact, is, run)) return;
    }
    with_general<T>(a.joints, is_plain(a, g),
                    [&](auto v) { launch_general_adjoint<decltype(v)>(a, g, plan, launch); });
}

}  // namespace poseda
