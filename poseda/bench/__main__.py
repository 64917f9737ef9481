"""`python -m poseda.bench`."""

import sys

from poseda.bench.op import main

sys.exit(main())
