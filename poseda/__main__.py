"""`python -m poseda`."""

import sys

from poseda.cli import main

sys.exit(main())
