// Checks that keep memory safe, whatever reaches an op, on either device. They refuse in few words.
// poseda/ops/ says the same at length: for `augment` once the op has refused, for other ops before the call.
#pragma once

#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/arguments.h"

namespace poseda {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using OptionalTensor = std::optional<Tensor>;
using Integers = std::vector<int64_t>;

// ---- Refusing. Messages are put together only when they are needed, and without a stream.

inline void append(std::string& text, const char* part) { text += part; }
inline void append(std::string& text, int64_t number) { text += std::to_string(number); }
inline void append(std::string& text, const Tensor& tensor) {  // its shape
    text += '(';
    for (int64_t i = 0; i < tensor.dim(); ++i) text += (i ? ", " : "") + std::to_string(tensor.size(i));
    text += ')';
}

template <class... Parts>
[[noreturn, gnu::cold, gnu::noinline]] void refuse(const Parts&... parts) {
    std::string text;
    (append(text, parts), ...);
    throw std::runtime_error(text);
}

template <class... Parts>
void require(bool holds, const Parts&... parts) {
    if (!holds) refuse(parts...);
}

[[noreturn]] inline void refuse_memory(int64_t poses) { refuse("not enough memory for ", poses, " poses"); }

// ---- Results

// Ask for huge pages behind a large new tensor on a CPU. The system hands out and clears its memory page by
// page at the first touch, which in pages of 4 KiB takes as long as the whole augmentation.
inline void prefer_huge_pages(void* data, int64_t bytes) {
#if defined(__linux__)
    constexpr uintptr_t page = uintptr_t(2) << 20;
    const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + page - 1) / page * page;
    const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + uintptr_t(bytes)) / page * page;
    // It is advice: where the system does not take it, nothing changes.
    if (begin < end) (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
    (void)data, (void)bytes;
#endif
}

// An uninitialised contiguous tensor on the device of `like`, a row a pose.
inline Tensor allocate(const Tensor& like, ScalarType type, const int64_t* sizes, int64_t dimensions) {
    int64_t strides[8], step = 1;
    bool countable = true;
    for (int64_t i = dimensions - 1; i >= 0; --i) {
        strides[i] = step;
        countable = countable && !__builtin_mul_overflow(step, sizes[i] > 1 ? sizes[i] : 1, &step);
    }
    const int32_t dtype = type == ScalarType::Bool     ? aoti_torch_dtype_bool()
                          : type == ScalarType::Long   ? aoti_torch_dtype_int64()
                          : type == ScalarType::Double ? aoti_torch_dtype_float64()
                                                       : aoti_torch_dtype_float32();
    int32_t device_type, device_index;
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_type(like.get(), &device_type));
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_index(like.get(), &device_index));
    AtenTensorHandle handle;
    if (!countable || aoti_torch_empty_strided(dimensions, sizes, strides, dtype, device_type, device_index,
                                               &handle) != TORCH_SUCCESS) {
        refuse_memory(sizes[0]);
    }
    Tensor tensor(handle);
    if (device_type == aoti_torch_device_type_cpu()) {
        prefer_huge_pages(tensor.data_ptr(), tensor.numel() * int64_t(tensor.element_size()));
    }
    return tensor;
}

inline Tensor allocate(const Tensor& like, ScalarType type, std::initializer_list<int64_t> sizes) {
    return allocate(like, type, sizes.begin(), int64_t(sizes.size()));
}

// The shape, dtype and device of `like`, with another number of rows.
inline Tensor allocate_rows(const Tensor& like, int64_t rows) {
    int64_t sizes[8] = {rows};
    for (int64_t i = 1; i < like.dim(); ++i) sizes[i] = like.size(i);
    return allocate(like, like.scalar_type(), sizes, like.dim());
}

// What Python sees as None.
inline Tensor no_tensor() {
    AtenTensorHandle handle;
    TORCH_ERROR_CODE_CHECK(aoti_torch_new_uninitialized_tensor(&handle));
    return Tensor(handle);
}

template <class T>
T* numbers(const Tensor& tensor) {
    return static_cast<T*>(tensor.data_ptr());
}

// ---- Arguments

inline ScalarType floating_type(const Tensor& tensor, const char* name) {
    const ScalarType type = tensor.scalar_type();
    require(type == ScalarType::Float || type == ScalarType::Double, name, ": expected float32 or float64");
    return type;
}

// Runs `body` with a zero of the tensor's type.
template <class F>
auto for_type(const Tensor& tensor, const char* name, const F& body) {
    return floating_type(tensor, name) == ScalarType::Float ? body(float()) : body(double());
}

inline int64_t row_count(const Tensor& tensor, const char* name) {
    require(tensor.dim() > 0, name, ": unexpected shape ()");
    return tensor.size(0);
}

// The tensors of one call share dtype and device. The guard keeps the copies that it makes.
class Guard {
   public:
    Guard(const Tensor& first, const char* name) : type_(floating_type(first, name)) {
        TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_type(first.get(), &device_type_));
        TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_index(first.get(), &device_index_));
    }

    // Rows of `inner` numbers: shape (rows or 1, [frames or 1,] inner...). With frames < 0 there is no
    // dimension of frames.
    template <class T>
    Rows<const T> rows(const Tensor& given, const char* name, int64_t rows, int64_t frames,
                       std::initializer_list<int64_t> inner) {
        check(given, name, type_);
        return layout<T>(given, name, rows, frames, inner);
    }

    template <class T>
    Rows<const T> rows(const OptionalTensor& given, const char* name, int64_t rows, int64_t frames,
                       std::initializer_list<int64_t> inner) {
        return given ? this->rows<T>(*given, name, rows, frames, inner) : Rows<const T>{};
    }

    void check(const Tensor& tensor, const char* name, ScalarType type) const {
        int32_t device_type, device_index;
        TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_type(tensor.get(), &device_type));
        TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_index(tensor.get(), &device_index));
        require(tensor.scalar_type() == type, name, ": has another dtype than the call expects");
        require(device_type == device_type_ && device_index == device_index_, name,
                ": lies on another device than the first argument");
    }

    template <class T>
    Rows<const T> layout(const Tensor& given, const char* name, int64_t rows, int64_t frames,
                         std::initializer_list<int64_t> inner) {
        const int lead = frames < 0 ? 1 : 2;
        bool fits =
            given.dim() == int64_t(lead + inner.size()) && (given.size(0) == rows || given.size(0) == 1);
        fits = fits && (lead == 1 || given.size(1) == frames || given.size(1) == 1);
        for (size_t i = 0; fits && i < inner.size(); ++i) fits = given.size(lead + i) == inner.begin()[i];
        require(fits, name, ": unexpected shape ", given);
        const Tensor tensor = inner_contiguous(given, lead) ? given : kept_.emplace_back(copy_of(given));
        return {numbers<const T>(tensor), tensor.size(0) == 1 ? 0 : tensor.stride(0),
                lead == 2 && tensor.size(1) != 1 ? tensor.stride(1) : 0};
    }

   private:
    static bool inner_contiguous(const Tensor& tensor, int64_t lead) {
        int64_t step = 1;
        for (int64_t i = tensor.dim() - 1; i >= lead; --i) {
            if (tensor.size(i) != 1 && tensor.stride(i) != step) return false;
            step *= tensor.size(i);
        }
        return true;
    }

    static Tensor copy_of(const Tensor& tensor) {
        try {
            return torch::stable::contiguous(tensor);
        } catch (const std::runtime_error&) {
            refuse_memory(tensor.size(0));
        }
    }

    ScalarType type_;
    int32_t device_type_, device_index_;
    std::vector<Tensor> kept_;
};

// A tree from a skeleton's parents and, where the bones of a group share their scale, each bone's group.
inline Tree tree_of(const Integers& parents, const Integers& groups) {
    Tree tree;
    tree.joints = int(parents.size());
    require(parents.size() >= 2 && parents.size() <= size_t(kMaxJoints), "parents: expected 2 to ",
            kMaxJoints, " joints, got ", int64_t(parents.size()));
    require(groups.empty() || groups.size() == parents.size() - 1, "groups: expected one group a bone");
    tree.scales = groups.empty() ? tree.bones() : 0;
    for (int j = 0; j < tree.joints; ++j) {
        const int64_t parent = parents[j];
        require(j == 0 ? parent == -1 : (parent >= 0 && parent < j), "parents: expected topological order");
        tree.parent[j] = int8_t(parent);
    }
    for (int k = 0; k < tree.bones(); ++k) {
        const int64_t group = groups.empty() ? k : groups[k];
        require(group >= 0 && group < tree.bones(), "groups: out of range");
        tree.scale_of[k] = int8_t(group);
        if (group >= tree.scales) tree.scales = int(group) + 1;
    }
    return tree;
}

}  // namespace poseda
