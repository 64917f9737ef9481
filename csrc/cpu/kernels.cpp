// Loops over vectors of poses, compiled per instruction set, which POSEDA_ISA and POSEDA_VECTOR_BYTES name.
#include "cpu/kernels.h"

#include "cpu/augment_io.h"
#include "cpu/words.h"

namespace poseda {
namespace {

// The poses of the vector after the one at n. None for sequences, whose frames are work enough to hide the
// wait for memory.
template <class T>
std::pair<int64_t, int64_t> next_vector(const AugmentArguments<T>& arguments, int64_t n, int64_t end) {
    const int64_t next = n + Lanes<T>::width, last = next + Lanes<T>::width;
    if (arguments.frames != 1 || next >= end) return {end, end};
    return {next, last < end ? last : end};
}

template <class T>
void augment(const AugmentArguments<T>& arguments, const AugmentOutputs<T>& outputs, int64_t begin,
             int64_t end) {
    const int64_t joints = arguments.tree.joints;
    for (int64_t n = begin; n < end; n += Lanes<T>::width) {
        const auto [next, last] = next_vector<T>(arguments, n, end);
        VectorOfPoses<T>::prefetch(arguments, next, last);
        prefetch_output(outputs.pose_3d, next, last, 3 * joints);
        prefetch_output(outputs.pose_2d, next, last, 2 * joints);
        ForwardIo<T> io(arguments, outputs, n, end);
        augment_sequence<Lanes<T>>(arguments.tree, arguments.options, io);
    }
}

template <class T>
void augment_backward(const AugmentArguments<T>& arguments, const AugmentGradients<T>& gradients,
                      int64_t begin, int64_t end) {
    const Tree& tree = arguments.tree;
    for (int64_t n = begin; n < end; n += Lanes<T>::width) {
        const auto [next, last] = next_vector<T>(arguments, n, end);
        VectorOfPoses<T>::prefetch(arguments, next, last);
        prefetch_rows(gradients.grad_pose_3d, next, last, 3 * tree.joints);
        prefetch_rows(gradients.grad_pose_2d, next, last, 2 * tree.joints);
        prefetch_output(gradients.pose_3d, next, last, 3 * tree.joints);
        prefetch_output(gradients.bone_rotation, next, last, 3 * tree.bones());
        prefetch_output(gradients.bone_scale, next, last, tree.scales);
        BackwardIo<T> io(arguments, gradients, n, end);
        augment_sequence_vjp<Lanes<T>>(arguments.tree, arguments.options, io);
    }
}

template <class Map, class T>
void row_map(const Map& map, const MapArguments<T>& arguments, int64_t begin, int64_t end) {
    using S = Lanes<T>;
    constexpr int width = S::width;
    S storage[Map::kMostNumbers], *free = storage;
    Slots<S> in[kMapInputs], out[kMapOutputs];
    for (int i = 0; i < kMapInputs; free += map.in_size(i++)) in[i] = {{free}};
    for (int i = 0; i < kMapOutputs; free += map.out_size(i++)) out[i] = {{free}};
    for (int64_t n = begin; n < end; n += width) {
        const int count = int(end - n < width ? end - n : width);
        for (int i = 0; i < kMapInputs; ++i) {
            const int size = map.in_size(i);
            if (size == 0) continue;
            const T* rows[width];
            for (int lane = 0; lane < width; ++lane) {
                const int64_t row = n + (lane < count ? lane : count - 1);
                rows[lane] = arguments.in[i].at(row / arguments.frames, row % arguments.frames);
            }
            load_rows(in[i].data, rows, size);
        }
        map(in, out);
        for (int i = 0; i < kMapOutputs; ++i) {
            const int size = map.out_size(i);
            if (size == 0 || !arguments.out[i]) continue;
            T* rows[width];
            for (int lane = 0; lane < width; ++lane) rows[lane] = arguments.out[i] + (n + lane) * size;
            store_rows(out[i].data, rows, size, count);
        }
    }
}

// Numbers `offset ..` of the rows of a vector of poses, from slots.
template <class T>
POSEDA_HD void store_part(T* data, int64_t n, int count, int64_t row, int64_t offset, const Lanes<T>* slots,
                          int size) {
    T* rows[Lanes<T>::width];
    for (int lane = 0; lane < Lanes<T>::width; ++lane) rows[lane] = data + (n + lane) * row + offset;
    store_rows(slots, rows, size, count);
}

template <class T>
void random_parameters(const RandomArguments<T>& arguments, int64_t begin, int64_t end) {
    using S = Lanes<T>;
    constexpr int width = S::width, part = 16;  // bones or scales that are drawn and stored together
    const int bones = arguments.bones, scales = arguments.scales;
    S storage[3 * part];
    const Slots<S> slots = {{storage}};
    for (int64_t n = begin; n < end; n += width) {
        const int count = int(end - n < width ? end - n : width);
        uint32_t low[width], high[width];
        for (int lane = 0; lane < width; ++lane) {
            const uint64_t pose = uint64_t(arguments.first) + uint64_t(n + lane);
            low[lane] = uint32_t(pose), high[lane] = uint32_t(pose >> 32);
        }
        using Traits = WordTraits<S>;
        const ParameterDraw<S> draw(arguments, Traits::from_lanes(low), Traits::from_lanes(high));
        for (int k = 0; k < bones; k += part) {
            const int last = k + part < bones ? k + part : bones;
            draw.rotations(k, last, slots);
            store_part(arguments.bone_rotation, n, count, 3 * bones, 3 * k, storage, 3 * (last - k));
        }
        for (int i = 0; i < scales; i += part) {
            const int last = i + part < scales ? i + part : scales;
            draw.scales(i, last, slots);
            store_part(arguments.bone_scale, n, count, scales, i, storage, last - i);
        }
        const Words<S> word = draw.body(slots);
        store_part(arguments.body_rotation, n, count, 3, 0, storage, 3);
        if (!arguments.table_rows) continue;
        for (int lane = 0; lane < count; ++lane)
            arguments.placement_index[n + lane] = picked_row(Traits::lane(word, lane), arguments.table_rows);
    }
}

template <class T>
constexpr CpuKernels<T> table() {
    return {augment<T>,
            augment_backward<T>,
            row_map<TreeTransform, T>,
            row_map<Project, T>,
            row_map<ProjectBackward, T>,
            row_map<KinematicChain, T>,
            row_map<KinematicChainBackward, T>,
            row_map<ProcrustesAlign, T>,
            random_parameters<T>};
}

}  // namespace

#define POSEDA_JOIN(a, b) a##b
#define POSEDA_FUNCTION(isa) POSEDA_JOIN(isa, _kernels)
#define POSEDA_TEXT(isa) #isa
#define POSEDA_NAME(isa) POSEDA_TEXT(isa)

const InstructionSet& POSEDA_FUNCTION(POSEDA_ISA)() {
    static const InstructionSet set = {POSEDA_NAME(POSEDA_ISA), table<float>(), table<double>()};
    return set;
}

}  // namespace poseda
