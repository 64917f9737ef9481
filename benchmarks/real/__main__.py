"""`python -m benchmarks.real`."""

import sys

from benchmarks.real.program import main

if __name__ == "__main__":
    sys.exit(main())
