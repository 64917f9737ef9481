"""`python -m benchmarks.mocap QUEUE`."""

import sys

from benchmarks.mocap.program import main

if __name__ == "__main__":  # also imported by the processes that a queue starts
    sys.exit(main())
