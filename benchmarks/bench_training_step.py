"""A training step of ours and of the classic loop: ``python benchmarks/bench_training_step.py [--quick]``.

See :mod:`poseda.bench_step`.
"""

from __future__ import annotations

import sys

from poseda import bench_step

if __name__ == "__main__":
    sys.exit(bench_step.main())
