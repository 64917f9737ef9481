// Any bytes as a call of the CPU kernels: random trees, sizes, options and numbers, NaN, infinities and
// denormals among them, in buffers of exactly the stated size. What must hold for every one of them:
//
//  * no sanitizer complains;
//  * a valid pose is finite, an invalid one is zeros, and so are its gradients;
//  * a pose has the same bits alone as among others, and in every instruction set this machine has: a case
//    compares with one other way of computing it, so that there is time for many cases.
#include <memory>
#include <vector>

#include "cpu/kernels.h"
#include "source.h"

namespace {

using namespace poseda;

// A table whose memory ends where it does; rows may be shared or lie apart.
template <class T>
struct Table {
    std::unique_ptr<T[]> memory;
    Rows<const T> rows;

    Table() = default;
    Table(Source& source, int64_t count, int frames, int size, bool sharing, double middle, double reach,
          int rarity) {
        const bool one_row = sharing && source.below(4) == 0, one_frame = sharing && source.below(4) == 0;
        const int64_t frame = size + (sharing ? source.below(3) : 0);
        const int64_t row = frame * (one_frame ? 1 : frames);
        const int64_t last = (one_row ? 0 : count - 1) * row + (one_frame ? 0 : frames - 1) * frame + size;
        memory.reset(new T[size_t(last)]);
        for (int64_t i = 0; i < last; ++i) memory[size_t(i)] = source.number<T>(middle, reach, rarity);
        rows = {memory.get(), one_row ? 0 : row, one_frame ? 0 : frame};
    }
};

template <class T>
using Buffer = std::vector<T>;

template <class T>
bool same(const Buffer<T>& a, const Buffer<T>& b) {
    for (size_t i = 0; i < a.size(); ++i) {
        if (!(a[i] == b[i] || (a[i] != a[i] && b[i] != b[i]))) return false;
    }
    return a.size() == b.size();
}

template <class T>
bool zeros(const Buffer<T>& numbers, int64_t row, int64_t size) {
    for (int64_t i = row * size; i < (row + 1) * size; ++i) {
        if (numbers[size_t(i)] != T(0)) return false;
    }
    return true;
}

template <class T>
bool finite(const Buffer<T>& numbers, int64_t row, int64_t size) {
    for (int64_t i = row * size; i < (row + 1) * size; ++i) {
        if (!(numbers[size_t(i)] - numbers[size_t(i)] == T(0))) return false;
    }
    return true;
}

// Another way to compute what the generic kernels do in one piece.
struct OtherWay {
    const InstructionSet* set = &generic_kernels();
    bool alone = true;  // pose by pose

    explicit OtherWay(Source& source) {
#if defined(__x86_64__)
        static const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        if (avx2 && source.below(3)) {
            set = &avx2_kernels();
            alone = source.coin();
        }
#endif
    }
};

// Few, now and then more than two vectors hold.
int random_rows(Source& source) { return 1 + source.below(source.below(6) ? 3 : 17); }

// One call of the augmentation, whole, pose by pose and in every instruction set; then its adjoint.
template <class T>
class AugmentCase {
   public:
    explicit AugmentCase(Source& source) : source_(source) {
        rarity_ = source.coin() ? 0 : 2 + source.below(60);
        in_.tree = random_tree(source);
        in_.batch = random_rows(source);
        in_.frames = source.below(3) ? 1 : 1 + source.below(4);
        in_.propagate = source.coin();
        in_.placement_index = nullptr;
        in_.index_stride = 0;
        in_.table_rows = in_.batch;
        const int joints = in_.tree.joints, bones = in_.tree.bones(), frames = in_.frames;
        pose_ = rows(frames, 3 * joints, 0.0, 1.0);
        if (!rarity_ || source.coin()) before_camera(3 * joints);
        in_.pose_3d = pose_.rows;
        if (source.coin()) in_.bone_rotation = (rotation_ = rows(frames, 3 * bones, 0.0, 1.5)).rows;
        if (source.coin()) in_.bone_scale = (scale_ = rows(frames, in_.tree.scales, 0.0, 0.9)).rows;
        if (source.coin()) in_.body_rotation = (body_ = rows(frames, 3, 0.0, 3.0)).rows;
        Options& options = in_.options;
        options = {RootFrom(source.below(3)), source.coin(), source.below(3) == 0, 0.1, source.coin()};
        if (options.root == RootFrom::kPlacement && source.coin()) draw_index();
        if (options.root == RootFrom::kGiven) in_.root = (root_ = rows(1, 3, 4.0, 2.0)).rows;
        if (options.root == RootFrom::kPlacement) in_.placement = (box_ = table(4, 0.3, 0.28)).rows;
        in_.focal = (focal_ = table(2, 2.0, 1.0)).rows;
        in_.center = (center_ = table(2, 0.0, 0.1)).rows;
        if (source.below(3) == 0) in_.distortion = (distortion_ = table(5, 0.0, 0.2)).rows;
        if (options.require_in_frame || source.coin()) in_.aspect = (aspect_ = table(1, 0.8, 0.3)).rows;
        if (source.below(3) == 0) {
            mask_.reset(new bool[size_t(in_.batch * joints)]);
            for (int64_t i = 0; i < in_.batch * joints; ++i) mask_[size_t(i)] = source.below(5) > 0;
            in_.joint_mask = {mask_.get(), joints, 0};
        }
    }

    void run() {
        const Forward first = forward(generic_kernels(), false);
        const int64_t joints = int64_t(in_.tree.joints) * in_.frames;
        for (int64_t n = 0; n < in_.batch; ++n) {
            const bool good = first.valid[size_t(n)];
            const auto sound = [&](const Buffer<T>& numbers, int64_t size) {
                return good ? finite(numbers, n, size) : zeros(numbers, n, size);
            };
            require(sound(first.pose, 3 * joints), "a valid pose is finite, an invalid one zero");
            require(sound(first.screen, 2 * joints), "a valid screen is finite, an invalid one zero");
        }
        const OtherWay way(source_);
        const Forward other = forward(*way.set, way.alone);
        require(same(first.pose, other.pose) && same(first.screen, other.screen) &&
                    same(first.valid, other.valid),
                "the forward pass has one set of bits");
        run_backward(first, way);
    }

   private:
    struct Forward {
        Buffer<T> pose, screen;
        Buffer<uint8_t> valid;
    };
    struct Backward {
        Buffer<T> part[9];
    };

    Table<T> rows(int frames, int size, double middle, double reach) {
        return Table<T>(source_, in_.batch, frames, size, true, middle, reach, rarity_);
    }
    Table<T> table(int size, double middle, double reach) {
        return Table<T>(source_, in_.table_rows, 1, size, true, middle, reach, rarity_);
    }

    // Joints some metres in front of the camera.
    void before_camera(int size) {
        const Rows<const T>& at = pose_.rows;
        const int64_t row_count = at.row ? in_.batch : 1, frame_count = at.frame ? in_.frames : 1;
        for (int64_t n = 0; n < row_count; ++n) {
            for (int64_t t = 0; t < frame_count; ++t) {
                T* frame = pose_.memory.get() + n * at.row + t * at.frame;
                for (int i = 2; i < size; i += 3) frame[i] += T(5);
            }
        }
    }

    void draw_index() {
        in_.table_rows = 1 + source_.below(5);
        in_.index_stride = 1 + source_.below(2);
        index_.reset(new int64_t[size_t((in_.batch - 1) * in_.index_stride + 1)]);
        for (int64_t i = 0; i < (in_.batch - 1) * in_.index_stride + 1; ++i) {
            index_[size_t(i)] = source_.below(12) ? source_.below(int(in_.table_rows))
                                                  : int64_t(int32_t(source_.word())) * 4294967296;
        }
        in_.placement_index = index_.get();
    }

    template <class Run>
    void over_poses(bool alone, const Run& run) const {
        if (!alone) return run(0, in_.batch);
        for (int64_t n = in_.batch - 1; n >= 0; --n) run(n, n + 1);
    }

    Forward forward(const InstructionSet& set, bool alone) const {
        const size_t joints = size_t(in_.batch) * in_.frames * in_.tree.joints;
        Forward out = {Buffer<T>(3 * joints, T(7)), Buffer<T>(2 * joints, T(7)),
                       Buffer<uint8_t>(size_t(in_.batch), 7)};
        const AugmentOutputs<T> outputs = {out.pose.data(), out.screen.data(),
                                           reinterpret_cast<bool*>(out.valid.data())};
        over_poses(alone, [&](int64_t begin, int64_t end) { set.of(T()).augment(in_, outputs, begin, end); });
        return out;
    }

    void run_backward(const Forward& forward_pass, const OtherWay& way) {
        const int joints = in_.tree.joints, frames = in_.frames;
        const Table<T> grad_pose = rows(frames, 3 * joints, 0.0, 1.0);
        const Table<T> grad_screen = rows(frames, 2 * joints, 0.0, 1.0);
        AugmentGradients<T> g = {};
        if (source_.below(4)) g.grad_pose_3d = grad_pose.rows;
        if (source_.below(4)) g.grad_pose_2d = grad_screen.rows;
        g.augmented = {forward_pass.pose.data(), int64_t(3) * joints * frames, int64_t(3) * joints};
        g.valid = reinterpret_cast<const bool*>(forward_pass.valid.data());
        const auto frames_of = [&](const Rows<const T>& rows) { return rows && rows.frame ? frames : 1; };
        g.rotation_frames = frames_of(in_.bone_rotation);
        g.scale_frames = frames_of(in_.bone_scale);
        g.body_rotation_frames = frames_of(in_.body_rotation);
        const RootFrom root = in_.options.root;
        const int64_t sizes[9] = {
            int64_t(3) * joints * frames,
            in_.bone_rotation ? int64_t(3) * in_.tree.bones() * g.rotation_frames : 0,
            in_.bone_scale ? int64_t(in_.tree.scales) * g.scale_frames : 0,
            in_.body_rotation ? int64_t(3) * g.body_rotation_frames : 0,
            root == RootFrom::kGiven ? 3 : 0,
            root == RootFrom::kPlacement ? 4 : 0,
            in_.options.want_camera ? 2 : 0,
            in_.options.want_camera ? 2 : 0,
            in_.options.want_camera && in_.distortion ? 5 : 0,
        };
        bool wanted[9];
        for (int i = 0; i < 9; ++i) wanted[i] = sizes[i] && source_.below(4);
        const auto backward = [&](const InstructionSet& set, bool alone) {
            Backward out;
            T* into[9];
            for (int i = 0; i < 9; ++i) {
                if (wanted[i]) out.part[i].assign(size_t(in_.batch * sizes[i]), T(7));
                into[i] = wanted[i] ? out.part[i].data() : nullptr;
            }
            g.pose_3d = into[0], g.bone_rotation = into[1], g.bone_scale = into[2], g.body_rotation = into[3];
            g.root = into[4], g.placement = into[5], g.focal = into[6], g.center = into[7];
            g.distortion = into[8];
            over_poses(alone,
                       [&](int64_t begin, int64_t end) { set.of(T()).augment_backward(in_, g, begin, end); });
            return out;
        };
        const Backward first = backward(generic_kernels(), false);
        for (int i = 0; i < 9; ++i) {
            for (int64_t n = 0; wanted[i] && n < in_.batch; ++n) {
                if (!forward_pass.valid[size_t(n)]) {
                    require(zeros(first.part[i], n, sizes[i]), "an invalid pose has no gradient");
                }
            }
        }
        const Backward other = backward(*way.set, way.alone);
        for (int i = 0; i < 9; ++i) {
            require(same(first.part[i], other.part[i]), "the adjoint has one set of bits");
        }
    }

    Source& source_;
    int rarity_;
    AugmentArguments<T> in_;
    Table<T> pose_, rotation_, scale_, body_, root_, box_, focal_, center_, distortion_, aspect_;
    std::unique_ptr<bool[]> mask_;
    std::unique_ptr<int64_t[]> index_;
};

// One call of a map, in one piece, row by row and in every instruction set.
template <class T, class Map>
void run_map(Source& source, const Map& map) {
    const int rarity = source.coin() ? 0 : 2 + source.below(60);
    MapArguments<T> in = {};
    in.rows = random_rows(source);
    in.frames = 1;
    Table<T> tables[kMapInputs];
    for (int i = 0; i < kMapInputs; ++i) {
        if (map.in_size(i) == 0) continue;
        tables[i] = Table<T>(source, in.rows, 1, map.in_size(i), true, i == 0 ? 1.0 : 0.5, 2.0, rarity);
        in.in[i] = tables[i].rows;
    }
    const auto run = [&](const InstructionSet& set, bool alone) {
        std::vector<Buffer<T>> out;
        for (int i = 0; i < kMapOutputs; ++i) {
            out.emplace_back(size_t(in.rows) * size_t(map.out_size(i)), T(7));
            in.out[i] = out[size_t(i)].data();
        }
        const auto kernel = set.of(T()).of(map);
        if (alone) {
            for (int64_t n = in.rows - 1; n >= 0; --n) kernel(map, in, n, n + 1);
        } else {
            kernel(map, in, 0, in.rows);
        }
        return out;
    };
    const auto first = run(generic_kernels(), false);
    const OtherWay way(source);
    const auto other = run(*way.set, way.alone);
    for (size_t i = 0; i < kMapOutputs; ++i) require(same(first[i], other[i]), "a map has one set of bits");
}

template <class T>
void run_random(Source& source) {
    RandomArguments<T> a;
    a.batch = random_rows(source);
    a.first = int64_t(source.word()) << source.below(32);
    a.bones = 1 + source.below(63);
    a.scales = 1 + source.below(63);
    a.table_rows = source.coin() ? 0 : 1 + int64_t(source.word());
    a.ranges = {3.0 * source.below(100) / 100, 0.99 * source.below(100) / 100, 3.0, 1.5};
    const int64_t state[2] = {int64_t(source.word()) << 32 | source.word(), int64_t(source.word()) << 31};
    a.state = state;
    Buffer<T> rotation(size_t(a.batch * a.bones * 3)), scale(size_t(a.batch * a.scales));
    Buffer<T> body(size_t(a.batch * 3));
    Buffer<int64_t> index(size_t(a.batch));
    a.bone_rotation = rotation.data(), a.bone_scale = scale.data(), a.body_rotation = body.data();
    a.placement_index = index.data();
    generic_kernels().of(T()).random_parameters(a, 0, a.batch);
    for (size_t i = 0; i < rotation.size(); i += 3) {
        const double angle = std::hypot(rotation[i], rotation[i + 1], rotation[i + 2]);
        require(angle <= a.ranges.bone_angle * (1 + 1e-5), "a drawn turn is within its range");
    }
    for (const T drawn : scale)
        require(std::abs(drawn) <= T(a.ranges.bone_scale), "a drawn ratio is in range");
    for (const int64_t row : index) {
        require(row >= 0 && row < (a.table_rows ? a.table_rows : 1), "a drawn row is in the table");
    }
}

template <class T>
void run(Source& source) {
    switch (source.below(12)) {
        case 0:
            return run_map<T>(source, TreeTransform{random_tree(source), source.coin(), source.coin()});
        case 1:
            return run_map<T>(source, Project{1 + source.below(kMaxJoints), source.coin()});
        case 2:
            return run_map<T>(source, ProjectBackward{1 + source.below(kMaxJoints), source.coin()});
        case 3:
            return run_map<T>(source, KinematicChain{random_chain(source)});
        case 4:
            return run_map<T>(source, KinematicChainBackward{random_chain(source)});
        case 5:
            return run_map<T>(source, ProcrustesAlign{1 + source.below(kMaxJoints)});
        case 6:
            return run_random<T>(source);
        default:
            return AugmentCase<T>(source).run();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Source source(data, size);
    if (source.coin()) {
        run<float>(source);
    } else {
        run<double>(source);
    }
    return 0;
}
