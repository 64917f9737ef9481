"""A training step of ours and of the classic loop: ``python -m benchmarks.step [--quick]``.

See :mod:`benchmarks.step.step`.
"""

import sys

from benchmarks.step.program import main

sys.exit(main())
