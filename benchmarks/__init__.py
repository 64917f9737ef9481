"""Experiments and measurements for the tables of benchmarks/README.md. Not part of the wheel.

Run from the checkout, as ``python -m benchmarks.mocap``. The checkout's own ``poseda`` has no compiled
libraries, unless they were built in place. Without them the checkout goes to the end of the search path, so
that ``import poseda`` finds the installed package.
"""

import sys
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]

if not any(_CHECKOUT.glob("poseda/_host.*")):
    sys.path[:] = [entry for entry in sys.path if entry not in ("", str(_CHECKOUT))] + [str(_CHECKOUT)]
