"""Print which joints are made up for which layout, as README.md shows them: ``python -m poseda.datasets``."""

from poseda.datasets.conversion import made_up_table

if __name__ == "__main__":
    print(made_up_table())
