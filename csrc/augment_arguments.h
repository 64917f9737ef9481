// The arguments of `augment` and of `augment_backward`, once for C++: from each table below follow the record
// that either device's op takes, how the record is read from torch's stack, and the schema.
// poseda/ops/_arguments.py has the same arguments for Python, with their shapes. A test compares the two.
#pragma once

#include <string>
#include <type_traits>

#include "guards.h"

namespace poseda {

// One line an argument, in the order of the schema. GRADIENT: it has one. PLAIN: it has none.
#define POSEDA_AUGMENT_ARGUMENTS(PLAIN, GRADIENT) \
    GRADIENT(Tensor, pose_3d)                     \
    GRADIENT(Tensor, focal)                       \
    GRADIENT(Tensor, center)                      \
    GRADIENT(OptionalTensor, distortion)          \
    PLAIN(OptionalTensor, aspect)                 \
    GRADIENT(OptionalTensor, bone_rotation)       \
    GRADIENT(OptionalTensor, bone_scale)          \
    GRADIENT(OptionalTensor, body_rotation)       \
    GRADIENT(OptionalTensor, root)                \
    GRADIENT(OptionalTensor, placement)           \
    PLAIN(OptionalTensor, placement_index)        \
    PLAIN(OptionalTensor, joint_mask)             \
    PLAIN(Integers, parents)                      \
    PLAIN(Integers, groups)                       \
    PLAIN(bool, propagate)                        \
    PLAIN(bool, exact)                            \
    PLAIN(double, min_depth)                      \
    PLAIN(bool, require_in_frame)

// What augment_backward takes before these: the gradients of the results; two results of the forward pass
// (`augmented` is its pose_3d, for exact placement only); the wanted gradients, a bit for each above.
#define POSEDA_AUGMENT_RESULTS(PLAIN)   \
    PLAIN(OptionalTensor, grad_pose_3d) \
    PLAIN(OptionalTensor, grad_pose_2d) \
    PLAIN(Tensor, valid)                \
    PLAIN(OptionalTensor, augmented)    \
    PLAIN(int64_t, wanted)

#define POSEDA_IGNORE(type, name)
#define POSEDA_FIELD(type, name) type name;
#define POSEDA_TAKE(type, name) torch::stable::detail::to<type>(*stack++),
#define POSEDA_DECLARE(type, name) add_to_schema<type>(schema, #name);
#define POSEDA_RETURN(type, name) add_to_schema<Tensor>(results, #name);

template <class T>
constexpr const char* schema_type() {
    if constexpr (std::is_same_v<T, Tensor>) return "Tensor";
    if constexpr (std::is_same_v<T, OptionalTensor>) return "Tensor?";
    if constexpr (std::is_same_v<T, Integers>) return "int[]";
    if constexpr (std::is_same_v<T, int64_t>) return "int";
    if constexpr (std::is_same_v<T, bool>) return "bool";
    if constexpr (std::is_same_v<T, double>) return "float";
}

template <class T>
void add_to_schema(std::string& text, const char* name) {
    if (!text.empty()) text += ", ";
    text += schema_type<T>();
    text += ' ';
    text += name;
}

struct AugmentInputs {
    POSEDA_AUGMENT_ARGUMENTS(POSEDA_FIELD, POSEDA_FIELD)

    static AugmentInputs take(StableIValue* stack) {
        return {POSEDA_AUGMENT_ARGUMENTS(POSEDA_TAKE, POSEDA_TAKE)};
    }
    static std::string schema() {
        std::string schema;
        POSEDA_AUGMENT_ARGUMENTS(POSEDA_DECLARE, POSEDA_DECLARE)
        return "augment(" + schema + ") -> (Tensor pose_3d, Tensor pose_2d, Tensor valid)";
    }

    int64_t batch() const { return pose_3d.size(0); }
    bool sequences() const { return pose_3d.dim() == 4; }
    int64_t frames() const { return sequences() ? pose_3d.size(1) : 1; }
};

// All of a backward call but the forward's arguments.
struct AugmentResults {
    POSEDA_AUGMENT_RESULTS(POSEDA_FIELD)
};

struct AugmentBackwardInputs {
    AugmentResults results;
    AugmentInputs forward;

    static AugmentBackwardInputs take(StableIValue* stack) {
        AugmentResults results = {POSEDA_AUGMENT_RESULTS(POSEDA_TAKE)};
        return {std::move(results), AugmentInputs::take(stack)};
    }
    // The gradients have the names of their arguments.
    static std::string schema() {
        std::string schema, results;
        POSEDA_AUGMENT_RESULTS(POSEDA_DECLARE)
        POSEDA_AUGMENT_ARGUMENTS(POSEDA_DECLARE, POSEDA_DECLARE)
        POSEDA_AUGMENT_ARGUMENTS(POSEDA_IGNORE, POSEDA_RETURN)
        return "augment_backward(" + schema + ") -> (" + results + ")";
    }
};

#undef POSEDA_FIELD
#undef POSEDA_TAKE
#undef POSEDA_DECLARE
#undef POSEDA_RETURN

}  // namespace poseda
