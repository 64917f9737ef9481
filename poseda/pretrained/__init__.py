"""The lifter that is installed with the package, as the folder of a run; card.json says what it is.

`python -m benchmarks.pretrained` trains it and writes this folder.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
"""The run folder; it is only read."""
