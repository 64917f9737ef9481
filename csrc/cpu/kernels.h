// The CPU kernels of one instruction set. Each runs poses begin .. end-1: any split over threads works.
#pragma once

#include "core/kinematics.h"
#include "core/procrustes.h"
#include "core/projection.h"
#include "core/random.h"

namespace poseda {

template <class Map, class T>
using MapKernel = void (*)(const Map&, const MapArguments<T>&, int64_t begin, int64_t end);

template <class T>
struct CpuKernels {
    void (*augment)(const AugmentArguments<T>&, const AugmentOutputs<T>&, int64_t begin, int64_t end);
    void (*augment_backward)(const AugmentArguments<T>&, const AugmentGradients<T>&, int64_t begin,
                             int64_t end);
    MapKernel<TreeTransform, T> tree_transform;
    MapKernel<Project, T> project;
    MapKernel<ProjectBackward, T> project_backward;
    MapKernel<KinematicChain, T> kinematic_chain;
    MapKernel<KinematicChainBackward, T> kinematic_chain_backward;
    MapKernel<ProcrustesAlign, T> procrustes_align;
    void (*random_parameters)(const RandomArguments<T>&, int64_t begin, int64_t end);

    // The kernel of a map, by its type.
    MapKernel<TreeTransform, T> of(const TreeTransform&) const { return tree_transform; }
    MapKernel<Project, T> of(const Project&) const { return project; }
    MapKernel<ProjectBackward, T> of(const ProjectBackward&) const { return project_backward; }
    MapKernel<KinematicChain, T> of(const KinematicChain&) const { return kinematic_chain; }
    MapKernel<KinematicChainBackward, T> of(const KinematicChainBackward&) const {
        return kinematic_chain_backward;
    }
    MapKernel<ProcrustesAlign, T> of(const ProcrustesAlign&) const { return procrustes_align; }
};

struct InstructionSet {
    const char* name;
    CpuKernels<float> for_float;
    CpuKernels<double> for_double;

    const CpuKernels<float>& of(float) const { return for_float; }
    const CpuKernels<double>& of(double) const { return for_double; }
};

const InstructionSet& generic_kernels();
#if defined(__x86_64__)
const InstructionSet& avx2_kernels();
const InstructionSet& avx512_kernels();
#endif

// The best set of this processor, or a lower one that POSEDA_CPU_ISA names (generic, avx2, avx512).
const InstructionSet& chosen_kernels();

}  // namespace poseda
