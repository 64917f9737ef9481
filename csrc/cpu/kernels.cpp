// Loops over vectors of poses. Compiled once per instruction set, with POSEDA_ISA and POSEDA_VECTOR_BYTES set.
#include "cpu/kernels.h"

#include "cpu/augment_io.h"

namespace poseda {
namespace {

template <class T>
void augment(const AugmentArguments<T>& arguments, const AugmentOutputs<T>& outputs, int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; n += Lanes<T>::width) {
        ForwardIo<T> io(arguments, outputs, n, end);
        augment_sequence<Lanes<T>>(arguments.tree, arguments.options, io);
    }
}

template <class T>
void augment_backward(const AugmentArguments<T>& arguments, const AugmentGradients<T>& gradients, int64_t begin,
                      int64_t end) {
    for (int64_t n = begin; n < end; n += Lanes<T>::width) {
        BackwardIo<T> io(arguments, gradients, n, end);
        augment_sequence_vjp<Lanes<T>>(arguments.tree, arguments.options, io);
    }
}

template <class T>
constexpr CpuKernels<T> table() {
    return {augment<T>, augment_backward<T>};
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
