// The instruction set whose kernels run, chosen once.
#include <cstdlib>
#include <cstring>

#include "cpu/kernels.h"

namespace poseda {
namespace {

// POSEDA_CPU_ISA can only lower the level, so that every level can be tested on one machine.
const InstructionSet& choose() {
    const char* named = std::getenv("POSEDA_CPU_ISA");
    const auto capped_below = [&](const char* level) { return named && std::strcmp(named, level) == 0; };
    if (capped_below("generic")) return generic_kernels();
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return generic_kernels();
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    return avx512 && !capped_below("avx2") ? avx512_kernels() : avx2_kernels();
#else
    return generic_kernels();
#endif
}

}  // namespace

const InstructionSet& chosen_kernels() {
    static const InstructionSet& set = choose();
    return set;
}

}  // namespace poseda
