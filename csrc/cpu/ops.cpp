// The ops on a CPU: poses split over torch's threads, each part run by the kernels of the instruction set in use.
#include "augment_op.h"
#include "cpu/kernels.h"

namespace poseda {
namespace {

// Poses a thread takes at least: about 20 microseconds of work, well above the cost of waking it.
constexpr int64_t kGrain = 512;

struct Cpu {
    template <class T>
    static void augment(const AugmentArguments<T>& arguments, const AugmentOutputs<T>& outputs, const Tensor&) {
        const auto kernel = chosen_kernels().of(T()).augment;
        over_poses(arguments.batch, arguments.frames,
                   [&](int64_t begin, int64_t end) { kernel(arguments, outputs, begin, end); });
    }

    template <class T>
    static void augment_backward(const AugmentArguments<T>& arguments, const AugmentGradients<T>& gradients,
                                 const Tensor&) {
        const auto kernel = chosen_kernels().of(T()).augment_backward;
        over_poses(arguments.batch, arguments.frames,
                   [&](int64_t begin, int64_t end) { kernel(arguments, gradients, begin, end); });
    }

    template <class F>
    static void over_poses(int64_t batch, int64_t frames, const F& run) {
        const int64_t grain = kGrain / frames > 0 ? kGrain / frames : 1;
        if (batch <= grain) {
            run(0, batch);
        } else {
            torch::stable::parallel_for(0, batch, grain, run);
        }
    }
};

std::string instruction_set() { return chosen_kernels().name; }

}  // namespace
}  // namespace poseda

STABLE_TORCH_LIBRARY_IMPL(poseda, CPU, m) {
    m.impl("augment", TORCH_BOX(&poseda::augment_op<poseda::Cpu>));
    m.impl("augment_backward", TORCH_BOX(&poseda::augment_backward_op<poseda::Cpu>));
}

STABLE_TORCH_LIBRARY_IMPL(poseda, CompositeExplicitAutograd, m) {
    m.impl("instruction_set", TORCH_BOX(&poseda::instruction_set));
}
