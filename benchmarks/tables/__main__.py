"""Print the tables of the READMEs, or redraw them.

python -m benchmarks.tables            # print every table under its name
python -m benchmarks.tables --write    # put them where the READMEs have <!-- table: NAME -->
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.tables import READMES, TABLES, draw, refreshed
from benchmarks.tables.records import ROOT


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="put the tables into the READMEs")
    if parser.parse_args(arguments).write:
        for name in READMES:
            path = ROOT / name
            path.write_text(refreshed(path.read_text()))
        return 0
    for name in TABLES:
        print(f"<!-- table: {name} -->\n\n{draw(name)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
