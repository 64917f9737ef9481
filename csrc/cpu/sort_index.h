// Which poses pick which row of a table: the index, sorted stably. On CUDA torch sorts as fast as memory allows; on
// a CPU its sort takes several times as long as the sums that follow.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace poseda {

// Sorts by 11 bits at a time, the lowest first (radix sort). `order` is the pose of each entry. An entry outside of the
// table becomes `table_rows`, and so comes last.
class IndexSort {
   public:
    static void sort(const int64_t* index, int64_t stride, int64_t count, int64_t table_rows, int64_t* sorted,
                     int64_t* order) {
        int passes = 1;
        while (passes < kMostPasses && (table_rows >> (kDigit * passes)) != 0) ++passes;
        const std::unique_ptr<int64_t[]> spare(passes > 1 ? new int64_t[size_t(2 * count)] : nullptr);
        const Entries result = {sorted, order}, other = {spare.get(), spare.get() + (passes > 1 ? count : 0)};
        const auto given = [&](int64_t i) {
            const int64_t row = index[i * stride];
            return Entry{row >= 0 && row < table_rows ? row : table_rows, i};
        };
        for (int pass = 0; pass < passes; ++pass) {
            const bool last_in_result = (passes - pass) % 2 == 1;
            const Entries &from = last_in_result ? other : result, &to = last_in_result ? result : other;
            const auto before = [&](int64_t i) { return Entry{from.row[i], from.pose[i]}; };
            pass == 0 ? distribute(given, count, pass, to) : distribute(before, count, pass, to);
        }
    }

   private:
    static constexpr int kDigit = 11, kMostPasses = 6;  // 66 bits

    struct Entry {
        int64_t row, pose;
    };
    struct Entries {
        int64_t *row, *pose;
    };

    template <class From>
    static void distribute(const From& from, int64_t count, int pass, const Entries& to) {
        const auto digit = [&](int64_t row) { return size_t(row >> (kDigit * pass)) % (1 << kDigit); };
        std::vector<int64_t> place(1 << kDigit);
        for (int64_t i = 0; i < count; ++i) ++place[digit(from(i).row)];
        int64_t sum = 0;
        for (int64_t& p : place) {
            const int64_t here = p;
            p = sum, sum += here;
        }
        for (int64_t i = 0; i < count; ++i) {
            const Entry entry = from(i);
            const int64_t at = place[digit(entry.row)]++;
            to.row[at] = entry.row, to.pose[at] = entry.pose;
        }
    }
};

}  // namespace poseda
