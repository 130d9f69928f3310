"""`python -m medbench`, the same as `medbench`."""

from medbench.cli import main

main()
