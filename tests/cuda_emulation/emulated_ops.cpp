// The CUDA ops with their kernels run by the emulation: the CPU implementations of poseda_emulated::*, ops of
// the same schemas as poseda::*. Everything of csrc/cuda is in here except the <<<>>> and the stream.
#include <torch/csrc/stable/library.h>

#include "cuda/augment.cuh"
#include "cuda/random.cuh"
#include "cuda/row_map.cuh"
#include "cuda/row_sums.cuh"
#include "implement.h"

namespace poseda {

thread_local float4 block_memory[emulation::kSharedBytes / sizeof(float4)];

namespace {

emulation::Order order = emulation::Order::kForward;
int multiprocessors = 1;

struct EmulatedLaunch {
    int multiprocessors() const { return poseda::multiprocessors; }
    template <class... Parameters, class... Given>
    void operator()(void (*kernel)(Parameters...), int64_t blocks, BlockShape shape,
                    const Given&... given) const {
        emulation::launch(unsigned(blocks), unsigned(shape.threads), block_memory, shape.bytes, order,
                          [&] { kernel(given...); });
    }
};

struct Emulated {
    template <class T>
    static void augment(const AugmentArguments<T>& arguments, const AugmentOutputs<T>& outputs,
                        const Tensor&) {
        launch_augment(arguments, outputs, EmulatedLaunch());
    }
    template <class T>
    static void augment_backward(const AugmentArguments<T>& arguments, const AugmentGradients<T>& gradients,
                                 const Tensor&) {
        launch_augment_backward(arguments, gradients, EmulatedLaunch());
    }
    template <class Map, class T>
    static void row_map(const Map& map, const MapArguments<T>& arguments, const Tensor&) {
        launch_row_map(map, arguments, EmulatedLaunch());
    }
    template <class T>
    static void random_parameters(const RandomArguments<T>& arguments, int64_t* state, bool advance,
                                  const Tensor&) {
        launch_random_parameters(arguments, state, advance, EmulatedLaunch());
    }
    template <class T>
    static void sum_rows(const T* rows, int64_t count, int64_t columns, T* sums, const Tensor&) {
        std::vector<double> scratch(size_t(partial_blocks(count) * columns));
        launch_sum_rows(rows, count, columns, scratch.data(), sums, EmulatedLaunch());
    }
    template <class T>
    static void sum_picked_rows(const T* rows, int64_t columns, const int64_t* sorted, const int64_t* by,
                                int64_t count, int64_t table_rows, T* sums, const Tensor&) {
        launch_sum_picked(rows, columns, sorted, by, count, table_rows, sums, EmulatedLaunch());
    }
};

void set_reversed(bool reversed) {
    order = reversed ? emulation::Order::kReversed : emulation::Order::kForward;
}

void set_barriers(bool barriers) { emulation::barriers = barriers; }

// How many multiprocessors the device has: few make a warp take many poses.
void set_multiprocessors(int64_t count) { multiprocessors = int(count); }

}  // namespace
}  // namespace poseda

STABLE_TORCH_LIBRARY_FRAGMENT(poseda_emulated, m) {
    m.def("set_reversed(bool reversed) -> ()");
    m.def("set_barriers(bool barriers) -> ()");
    m.def("set_multiprocessors(int count) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(poseda_emulated, CompositeExplicitAutograd, m) {
    m.impl("set_reversed", TORCH_BOX(&poseda::set_reversed));
    m.impl("set_barriers", TORCH_BOX(&poseda::set_barriers));
    m.impl("set_multiprocessors", TORCH_BOX(&poseda::set_multiprocessors));
}

STABLE_TORCH_LIBRARY_IMPL(poseda_emulated, CPU, m) { poseda::implement_ops<poseda::Emulated>(m); }
