// The CPU kernels of one instruction set. Each runs poses begin .. end-1, so that any split over threads is possible.
#pragma once

#include "core/arguments.h"

namespace poseda {

template <class T>
struct CpuKernels {
    void (*augment)(const AugmentArguments<T>&, const AugmentOutputs<T>&, int64_t begin, int64_t end);
    void (*augment_backward)(const AugmentArguments<T>&, const AugmentGradients<T>&, int64_t begin, int64_t end);
};

struct InstructionSet {
    const char* name;
    CpuKernels<float> single;
    CpuKernels<double> twice;

    const CpuKernels<float>& of(float) const { return single; }
    const CpuKernels<double>& of(double) const { return twice; }
};

const InstructionSet& generic_kernels();
#if defined(__x86_64__)
const InstructionSet& avx2_kernels();
const InstructionSet& avx512_kernels();
#endif

// The best set this processor has, or the one named by POSEDA_CPU_ISA (generic, avx2, avx512) if it is lower.
const InstructionSet& chosen_kernels();

}  // namespace poseda
