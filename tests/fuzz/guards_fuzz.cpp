// Any bytes as a call of an op through torch's dispatcher: sound small arguments, up to two of them replaced
// by odd ones of the same kind, as the schema admits. What must hold for every one of them:
//
//  * no sanitizer complains, and every tensor's memory ends where the tensor does;
//  * what is refused is refused by the name of an argument or of the op;
//  * what is computed has the stated shape and dtype;
//  * no argument is written to, but for rng_state.
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <memory>
#include <numeric>
#include <string>

#include "cpu/kernels.h"
#include "source.h"

namespace poseda {

#if defined(__x86_64__)
// AVX-512 kernels under sanitizers take a compiler long, and what they compute is kernels_fuzz's matter.
const InstructionSet& avx512_kernels() { return avx2_kernels(); }
#endif

namespace {

using Sizes = std::vector<int64_t>;

// The shapes of an op's tensors, a letter a dimension: N rows, T frames (left out where a call has none),
// S frames, J joints, K bones, G scales, M rows of a table, P points, F features, C columns, X drawn indices.
struct Shapes {
    const char* op;
    std::vector<std::string> arguments, results;
};
const Shapes kShapes[] = {
    {"instruction_set", {}, {""}},
    {"augment",
     {"NTJ3", "M2", "M2", "M5", "M", "NTK3", "NTG", "NT3", "N3", "M4", "N", "NJ"},
     {"NTJ3", "NTJ2", "N"}},
    {"augment_backward",  // its results are shaped as the arguments they are gradients of
     {"NTJ3", "NTJ2", "N", "NTJ3", "", "NTJ3", "M2", "M2", "M5", "M", "NTK3", "NTG", "NT3", "N3", "M4", "N",
      "NJ"},
     {}},
    {"tree_transform", {"NJ3"}, {"NJ3"}},
    {"project", {"NSP3", "N9"}, {"NSP2"}},
    {"project_backward", {"NSP2", "NSP3", "N9"}, {"NSP3", "NS9"}},
    {"kinematic_chain_space", {"NJ3"}, {"NF"}},
    {"kinematic_chain_space_backward", {"NF", "NJ3"}, {"NJ3"}},
    {"procrustes_align", {"NP3", "NP3"}, {"NP3"}},
    {"random_parameters", {"2", "1"}, {"NK3", "NG", "N3", "X"}},
    {"sum_rows", {"NC"}, {"1C"}},
    {"sum_picked_rows", {"NC", "N", "N"}, {"MC"}},
    {"sort_index", {"N"}, {"N", "N"}},
};

struct Op {
    c10::OperatorHandle handle;
    const Shapes* shapes;
};

std::vector<Op> registered_ops() {
    std::vector<Op> ops;
    for (const c10::OperatorName& name : c10::Dispatcher::singleton().getAllOpNames()) {
        if (name.name.rfind("poseda::", 0) != 0) continue;
        const auto shapes = std::find_if(std::begin(kShapes), std::end(kShapes),
                                         [&](const Shapes& of) { return name.name.substr(8) == of.op; });
        require(shapes != std::end(kShapes), "the fuzzer knows every op");
        ops.push_back({c10::Dispatcher::singleton().findSchemaOrThrow(name.name.c_str(), ""), shapes});
    }
    require(ops.size() == std::size(kShapes), "every op that the fuzzer knows is registered");
    std::sort(ops.begin(), ops.end(), [](const Op& a, const Op& b) { return a.shapes < b.shapes; });
    return ops;
}

class Call {
   public:
    Call(Source& source, const Op& op)
        : source_(source), shapes_(*op.shapes), handle_(op.handle), schema_(op.handle.schema()) {
        if (!std::strstr(shapes_.op, "kinematic")) {
            chain_.tree = random_tree(source, 4);
        } else {
            chain_ =
                source.below(32) ? random_chain(source, 4) : random_chain(source, kMaxJoints - 1, INT32_MAX);
        }
        const Tree& tree = chain_.tree;
        groups_.assign(tree.scale_of, tree.scale_of + (source.coin() ? tree.bones() : 0));
        float_type_ = source.coin() ? at::kFloat : at::kDouble;
        root_ = Root(source.below(4));
        aspect_ = source.coin(), augmented_ = source.coin(), watched_ = source.below(4) == 0;
        const bool table = root_ == kIndexed || !std::strstr(shapes_.op, "augment");
        size_['N'] = source.below(10);
        size_['T'] = source.below(4);
        size_['S'] = source.below(4);
        size_['J'] = tree.joints;
        size_['K'] = tree.bones();
        size_['G'] = groups_.empty() ? tree.bones() : *std::max_element(groups_.begin(), groups_.end()) + 1;
        size_['M'] = table ? source.below(6) : size_['N'];
        size_['P'] = 1 + source.below(source.below(8) ? 5 : kMaxJoints);
        size_['F'] = chain_.features();
        size_['C'] = source.below(6);
        const size_t count = schema_.arguments().size();
        for (int odd = count ? source.below(3) : 0; odd > 0; --odd) odd_ |= 1u << source.below(int(count));
    }

    void run() {
        if (!make_arguments()) return;
        std::vector<c10::IValue> stack = arguments_;
        try {
            at::AutoDispatchBelowADInplaceOrView below_autograd;  // there is nothing of ours
            handle_.callBoxed(stack);
        } catch (const c10::Error& error) {
            return refused(error.what_without_backtrace());
        } catch (const std::exception& error) {
            return refused(error.what());
        }
        check_results(stack);
    }

   private:
    enum Root { kSource, kGiven, kPlaced, kIndexed };

    // Memory of exactly the size that its tensor needs.
    struct Memory {
        std::unique_ptr<char[]> data;
        std::string before;  // if it is watched
    };

    // Whether torch can make them: some odd sizes are more than it counts.
    bool make_arguments() try {
        for (size_t i = 0; i < schema_.arguments().size(); ++i) {
            const c10::Argument& argument = schema_.arguments()[i];
            const std::string& name = argument.name();
            const bool odd = odd_ >> i & 1;
            const c10::TypeKind kind = argument.type()->kind();
            if (kind == c10::TypeKind::TensorType || kind == c10::TypeKind::OptionalType) {
                const bool optional = kind == c10::TypeKind::OptionalType, swap = odd && source_.coin();
                arguments_.push_back(optional && given(name) == swap
                                         ? c10::IValue()
                                         : make_tensor(name, shapes_.arguments[i], odd));
            } else if (kind == c10::TypeKind::ListType) {
                arguments_.push_back(make_list(name, odd));
            } else if (kind == c10::TypeKind::IntType) {
                arguments_.push_back(odd ? odd_int() : sound_int(name));
                excused_ = excused_ || odd;
            } else if (kind == c10::TypeKind::BoolType) {
                const bool allowed = name == "require_in_frame" ? aspect_ : name != "exact" || augmented_;
                arguments_.push_back((allowed || odd) && source_.coin());
            } else {
                arguments_.push_back(source_.number<double>(0.5, 0.5, odd ? 1 : 0));
            }
        }
        return true;
    } catch (const c10::Error&) {
        return false;
    }

    bool given(const std::string& name) {
        if (name == "root") return root_ == kGiven;
        if (name == "placement") return root_ >= kPlaced;
        if (name == "placement_index") return root_ == kIndexed;
        if (name == "aspect") return aspect_;
        if (name == "augmented") return augmented_;
        return source_.below(3);
    }

    at::ScalarType type_of(const std::string& name) const {
        if (name == "valid" || name == "joint_mask") return at::kBool;
        const bool index = name.find("index") != std::string::npos || name == "order" || name == "rng_state";
        return index ? at::kLong : float_type_;
    }

    Sizes sizes_of(const std::string& letters) const {
        Sizes sizes;
        for (const char c : letters) {
            if (c != 'T' || size_[size_t(c)]) sizes.push_back(c <= '9' ? c - '0' : size_[size_t(c)]);
        }
        return sizes;
    }

    at::Tensor make_tensor(const std::string& name, const std::string& letters, bool odd) {
        static const at::Tensor sparse = at::zeros({2, 2, 3}).to_sparse();
        static const at::ScalarType types[] = {at::kFloat, at::kDouble, at::kLong,         at::kBool,
                                               at::kInt,   at::kHalf,   at::kComplexDouble};
        at::ScalarType type = type_of(name);
        Sizes sizes = sizes_of(letters);
        uint32_t layout = source_.below(4) ? 0 : source_.word();  // mostly contiguous
        if (letters.size() > 1 && source_.below(6) == 0) sizes[0] = 1;
        if (letters[1] == 'T' && size_['T'] && source_.below(4) == 0) sizes[1] = 1;
        bool meta = false;
        size_t stretched = SIZE_MAX;
        if (odd) {
            const size_t d = sizes.empty() ? 0 : size_t(source_.below(int(sizes.size())));
            const int how = source_.below(sizes.empty() ? 6 : 11);
            excused_ = excused_ || how == 0 || how == 10;
            if (how == 0) return {};
            if (how == 1) return sparse;
            if (how == 2) meta = true;
            if (how == 3) type = types[source_.below(7)];
            if (how == 4) sizes.insert(sizes.begin() + int64_t(d), 1 + source_.below(2));
            if (how == 5) sizes.resize(size_t(source_.below(13)), 1);
            if (how == 6) sizes.erase(sizes.begin() + int64_t(d));
            if (how == 7) sizes[d] = 0;
            if (how == 8) sizes[d] = source_.below(70);
            if (how == 9) layout = source_.word();
            if (how == 10) sizes[d] = std::max<int64_t>(0, odd_int()), stretched = d;
        }
        // In any order of dimensions, with gaps between rows, some expanded, and behind other numbers.
        const bool reversed = layout & 1, gaps = layout & 2;
        const int64_t offset = layout >> 2 & 3;
        int64_t step = 1, last = 0;
        Sizes strides(sizes.size());
        for (size_t i = 0; i < sizes.size(); ++i) {
            const size_t d = reversed ? i : sizes.size() - 1 - i;
            const bool expanded = d == stretched || (layout >> (4 + 2 * d) & 3) == 3;
            strides[d] = expanded ? 0 : step;
            last += strides[d] * std::max<int64_t>(0, sizes[d] - 1);
            if (!expanded) step *= std::max<int64_t>(1, sizes[d]);
            if (gaps && i == 0) step += 1;
        }
        if (meta) return at::empty_strided(sizes, strides, at::TensorOptions(type).device(at::kMeta));
        const bool empty = std::count(sizes.begin(), sizes.end(), 0);
        return at::from_blob(fill(name, type, offset + (empty ? 0 : last + 1)), sizes, strides, offset,
                             nullptr, at::TensorOptions(type));
    }

    char* fill(const std::string& name, at::ScalarType type, int64_t count) {
        const size_t bytes = size_t(count) * at::elementSize(type);
        memory_.push_back({std::unique_ptr<char[]>(new char[bytes]()), {}});
        char* data = memory_.back().data.get();
        const bool wild = source_.below(8) == 0;
        const int64_t bound = std::max<int64_t>(1, name == "order" ? size_['N'] : size_['M']);
        for (int64_t i = 0; i < count; ++i) {
            if (type == at::kFloat) {
                reinterpret_cast<float*>(data)[i] = source_.number<float>(1.0, 1.0, wild ? 4 : 0);
            } else if (type == at::kDouble) {
                reinterpret_cast<double*>(data)[i] = source_.number<double>(1.0, 1.0, wild ? 4 : 0);
            } else if (type == at::kBool) {
                reinterpret_cast<bool*>(data)[i] = source_.coin();
            } else if (type == at::kLong) {
                const int64_t sound = name == "sorted_index" ? i * bound / count : source_.below(int(bound));
                reinterpret_cast<int64_t*>(data)[i] = wild ? odd_int() : sound;
            }
        }
        if (watched_ && name != "rng_state") memory_.back().before.assign(data, bytes);
        return data;
    }

    c10::List<int64_t> make_list(const std::string& name, bool odd) {
        Sizes list;
        const Tree& tree = chain_.tree;
        const int64_t bones = std::accumulate(chain_.size, chain_.size + chain_.parts, int64_t(0));
        if (name == "parents") list.assign(tree.parent, tree.parent + tree.joints);
        if (name == "groups") list = groups_;
        if (name == "part_bones") list.assign(chain_.bone, chain_.bone + bones);
        if (name == "part_sizes") list.assign(chain_.size, chain_.size + chain_.parts);
        if (odd) {
            const int length = int(list.size()), how = source_.below(length ? 5 : 2);
            if (how == 0) list.resize(size_t(source_.below(300)), 1);
            if (how == 1) list.push_back(odd_int());
            if (how == 2) list.pop_back();
            if (how == 3) list.clear();
            if (how == 4) list[size_t(source_.below(length))] = odd_int();
        }
        return c10::List<int64_t>(c10::ArrayRef<int64_t>(list));
    }

    int64_t sound_int(const std::string& name) {
        return name == "wanted" ? source_.below(512) : size_[letter_of(name)];
    }

    static size_t letter_of(const std::string& name) {
        return name == "batch" ? 'N' : name == "bones" ? 'K' : name == "scales" ? 'G' : 'M';
    }

    // Sizes among them are small or more than there is memory for.
    int64_t odd_int() {
        static const int64_t odd[] = {-1,       0,        1,        2,        3,         17,
                                      63,       64,       255,      256,      511,       1L << 31,
                                      1L << 32, 1L << 33, 1L << 60, 1L << 62, INT64_MAX, INT64_MIN};
        return odd[source_.below(int(std::size(odd)))];
    }

    void refused(const std::string& message) const {
        const std::string op = shapes_.op;
        const auto has = [&](const std::string& text) { return message.find(text) != std::string::npos; };
        bool named = has("poseda::" + op) || has(op + ":");
        for (const c10::Argument& argument : schema_.arguments()) named |= has(argument.name() + ":");
        if (!named && !excused_) std::fprintf(stderr, "%s: %s\n", shapes_.op, message.c_str());
        require(named || (excused_ && !message.empty()), "what is refused is named");
    }

    const c10::IValue& argument(const std::string& name) const {
        return arguments_[size_t(*schema_.argumentIndexWithName(name))];
    }

    // What the arguments, odd ones among them, say about the results.
    void measure() {
        for (size_t i = 0; i < arguments_.size(); ++i) {
            const std::string& name = schema_.arguments()[i].name();
            if (name == "part_sizes") {
                size_['F'] = 0;
                for (const int64_t n : arguments_[i].toIntVector()) size_['F'] += n * (n - 1) / 2;
            }
            if (arguments_[i].isInt() && name != "wanted" && name != "first") {
                size_[letter_of(name)] = arguments_[i].toInt();
            }
            static const char* leads[] = {"pose_3d", "rows", "points", "prediction", "like", "index"};
            if (std::find(std::begin(leads), std::end(leads), name) == std::end(leads)) continue;
            const std::string& letters = shapes_.arguments[i];
            const at::Tensor& leading = arguments_[i].toTensor();
            float_type_ = leading.scalar_type();
            if (letters[1] == 'T') size_['T'] = leading.dim() == 4;
            int64_t d = 0;
            for (const char c : letters) {
                if (c > '9' && (c != 'T' || size_['T'])) size_[size_t(c)] = leading.size(d++);
            }
        }
        size_['X'] = size_['M'] ? size_['N'] : 0;
    }

    // Whether a gradient is asked for of an argument that is there.
    bool wanted(size_t result) const {
        const c10::IValue& of = argument(schema_.returns()[result].name());
        return !of.isNone() && (argument("wanted").toInt() >> result & 1);
    }

    // A gradient has its argument's shape but for the rows.
    Sizes gradient_sizes(size_t result) const {
        Sizes sizes = argument(schema_.returns()[result].name()).toTensor().sizes().vec();
        sizes[0] = size_['N'];
        return sizes;
    }

    void check_results(const std::vector<c10::IValue>& results) {
        measure();
        require(results.size() == schema_.returns().size(), "as many results as stated");
        for (size_t i = 0; i < results.size(); ++i) {
            if (results[i].isString()) continue;
            const at::Tensor& result = results[i].toTensor();
            if (shapes_.results.empty() && !wanted(i)) {
                require(!result.defined(), "what is not wanted is no tensor");
                continue;
            }
            const Sizes expected = shapes_.results.empty() ? gradient_sizes(i) : sizes_of(shapes_.results[i]);
            require(result.sizes() == expected, "a result has the stated shape");
            require(result.scalar_type() == type_of(schema_.returns()[i].name()), "and dtype");
            require(result.is_contiguous() && result.is_cpu(), "and lies contiguous in memory");
        }
        for (const Memory& memory : memory_) {
            require(std::memcmp(memory.data.get(), memory.before.data(), memory.before.size()) == 0,
                    "no argument is written to");
        }
    }

    Source& source_;
    const Shapes& shapes_;
    const c10::OperatorHandle& handle_;
    const c10::FunctionSchema& schema_;
    ChainParts chain_ = {};
    Sizes groups_;
    at::ScalarType float_type_;
    Root root_;
    bool aspect_, augmented_, watched_;
    uint32_t odd_ = 0;  // a bit an argument
    // Torch itself may refuse, and name nothing: undefined tensors, results that no machine has memory for.
    bool excused_ = false;
    int64_t size_[128] = {};
    std::vector<Memory> memory_;
    std::vector<c10::IValue> arguments_;
};

}  // namespace
}  // namespace poseda

// No leaks: torch's own are not ours to judge. Sizes that no machine has are refused, not fatal. Vectors pass
// between torch's code, which knows no sanitizer, and ours. The rest is for speed.
extern "C" const char* __asan_default_options() {
    return "detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=256:"
           "detect_container_overflow=0:detect_stack_use_after_return=0:malloc_context_size=4:"
           "quarantine_size_mb=16";
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const std::vector<poseda::Op> ops = poseda::registered_ops();
    static const bool quiet = (std::cerr.setstate(std::ios::badbit), true);  // torch repeats errors there
    (void)quiet;
    poseda::Source source(data, size);
    poseda::Call(source, ops[size_t(source.below(int(ops.size())))]).run();
    return 0;
}
