"""How many threads a verb computes on: as many as its section says, in every library alike."""

import os

from threadpoolctl import threadpool_limits

# torch and MKL read the first two when they are loaded, numpy's and scipy's OpenBLAS the third, macOS the last.
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def use_threads(count: int) -> None:
    """Holds this process, and what it starts, to `count` threads of computation.

    Sums depend on the number of threads, so it overrides what the machine or its user has set; and jobs that each take
    every core only get in each other's way.
    """
    for name in VARIABLES:
        os.environ[name] = str(count)  # for libraries that are not loaded yet, such as torch
    threadpool_limits(count)  # for those that are, such as numpy
