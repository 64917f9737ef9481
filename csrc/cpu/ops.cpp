// The ops on a CPU. Poses are split over torch's threads, each of which runs the chosen kernels on its part.
#include <cstring>

#include "core/row_sums.h"
#include "cpu/kernels.h"
#include "cpu/sort_index.h"
#include "implement.h"

namespace poseda {
namespace {

// Fewest poses for a thread: about 20 microseconds of work, well above the cost of waking it.
constexpr int64_t kGrain = 512;
// Fewest rows of a table for a thread, to sum what poses picked of it.
constexpr int64_t kTableGrain = 4096;

struct Cpu {
    template <class T>
    static void augment(const AugmentArguments<T>& arguments, const AugmentOutputs<T>& outputs,
                        const Tensor&) {
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

    template <class Map, class T>
    static void row_map(const Map& map, const MapArguments<T>& arguments, const Tensor&) {
        const auto kernel = chosen_kernels().of(T()).of(map);
        over_poses(arguments.rows, 1,
                   [&](int64_t begin, int64_t end) { kernel(map, arguments, begin, end); });
    }

    template <class T>
    static void random_parameters(const RandomArguments<T>& arguments, int64_t* state, bool advance,
                                  const Tensor&) {
        const auto kernel = chosen_kernels().of(T()).random_parameters;
        over_poses(arguments.batch, 1, [&](int64_t begin, int64_t end) { kernel(arguments, begin, end); });
        if (advance) state[1] = int64_t(uint64_t(state[1]) + 1);
    }

    template <class T>
    static void sum_rows(const T* rows, int64_t count, int64_t columns, T* sum, const Tensor&) {
        const int64_t blocks = (count + kSumRows - 1) / kSumRows;
        std::vector<double> partial(size_t(blocks * columns));
        torch::stable::parallel_for(0, blocks, 16, [&](int64_t begin, int64_t end) {
            for (int64_t b = begin; b < end; ++b) {
                const int64_t last = (b + 1) * kSumRows < count ? (b + 1) * kSumRows : count;
                for (int64_t c = 0; c < columns; ++c) {
                    partial[size_t(b * columns + c)] = sum_column(rows, columns, c, b * kSumRows, last);
                }
            }
        });
        for (int64_t c = 0; c < columns; ++c) sum[c] = T(sum_column(partial.data(), columns, c, 0, blocks));
    }

    template <class T>
    static void sum_picked_rows(const T* rows, int64_t columns, const int64_t* sorted, const int64_t* order,
                                int64_t count, int64_t table_rows, T* sums, const Tensor&) {
        torch::stable::parallel_for(0, table_rows, kTableGrain, [&](int64_t begin, int64_t end) {
            // Few rows of a large table are picked: clear all, and look at those that are.
            std::memset(sums + begin * columns, 0, sizeof(T) * size_t((end - begin) * columns));
            int64_t next;
            for (int64_t i = lower_bound(sorted, count, begin); i < count && sorted[i] < end; i = next) {
                const int64_t row = sorted[i];
                for (next = i + 1; next < count && sorted[next] == row;) ++next;
                if (row < begin) continue;  // the index is not sorted
                for (int64_t c = 0; c < columns; ++c)
                    sums[row * columns + c] = sum_picked(rows, columns, c, sorted, order, count, i, row);
            }
        });
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

std::tuple<Tensor, Tensor> sort_index(Tensor index, int64_t table_rows) {
    require(index.scalar_type() == ScalarType::Long && index.dim() == 1,
            "index: expected one dimension of int64");
    require(table_rows >= 0, "table_rows: expected at least 0");
    const int64_t count = index.size(0);
    const Tensor sorted = allocate(index, ScalarType::Long, {count}),
                 order = allocate(index, ScalarType::Long, {count});
    IndexSort::sort(numbers<const int64_t>(index), index.stride(0), count, table_rows,
                    numbers<int64_t>(sorted), numbers<int64_t>(order));
    return {sorted, order};
}

std::string instruction_set() { return chosen_kernels().name; }

}  // namespace
}  // namespace poseda

STABLE_TORCH_LIBRARY_IMPL(poseda, CPU, m) {
    poseda::implement_ops<poseda::Cpu>(m);
    m.impl("sort_index", TORCH_BOX(&poseda::sort_index));
}

STABLE_TORCH_LIBRARY_IMPL(poseda, CompositeExplicitAutograd, m) {
    m.impl("instruction_set", TORCH_BOX(&poseda::instruction_set));
}
