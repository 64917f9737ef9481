"""`python -m benchmarks.substitutions`."""

import sys

from benchmarks.substitutions.program import main

if __name__ == "__main__":
    sys.exit(main())
