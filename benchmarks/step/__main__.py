"""A training step of ours and of the classic loop: ``python -m benchmarks.step [--quick]``.

See :mod:`benchmarks.step.step`.
"""

import sys

from benchmarks.step.step import main

sys.exit(main())
