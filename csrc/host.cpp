// What the build knows about itself, for `poseda info`. Tensors never pass through here.
#include <pybind11/pybind11.h>

#include "build_info.h"

PYBIND11_MODULE(_host, m) {
    m.doc() = "Build information of poseda's native libraries.";
    m.attr("version") = POSEDA_VERSION;
    m.attr("compiler") = POSEDA_COMPILER;
    m.attr("torch_version") = POSEDA_TORCH_VERSION;
    m.attr("cuda_built") = bool(POSEDA_CUDA_BUILT);
    m.attr("cuda_version") = POSEDA_CUDA_VERSION;
    m.attr("cuda_architectures") = POSEDA_CUDA_ARCHITECTURES;
}
