"""`python -m poseda.bench`, another name of `poseda bench`."""

import sys

from poseda.cli import main

sys.exit(main(["bench", *sys.argv[1:]]))
