"""Time of our Fréchet distance against torch-fidelity's, on the same features: `python benchmarks/frechet.py`."""

import argparse
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch
from threadpoolctl import threadpool_info, threadpool_limits
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from medbench.fidelity.metrics.frechet import frechet_distance, trace_sqrt_product


def features(n: int, dim: int, scale: float) -> np.ndarray:
    """Like Inception's pooled features: float32, correlated, not negative, a spectrum over three decades."""
    rng = np.random.RandomState(0)
    mixing = rng.standard_normal((dim, dim)) / np.arange(1, dim + 1)[:, None] / np.sqrt(dim)
    sample = np.random.RandomState(int(100 * scale)).standard_normal((n, dim))
    return np.maximum(scale * sample @ mixing + 0.03 * scale, 0).astype(np.float32)


def median_time(function: Callable[[], float], repeats: int) -> tuple[float, float]:
    """Seconds, and the value."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        value = function()
        times.append(time.perf_counter() - start)
    return statistics.median(times), value


def compare(n: int, dim: int, repeats: int) -> None:
    real, fake = features(n, dim, 1.0), features(n, dim, 1.1)
    pair = torch.from_numpy(real), torch.from_numpy(fake)

    def theirs() -> float:
        return solve([fid_features_to_statistics(x) for x in pair])

    def solve(stats: list) -> float:
        return fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"]

    their_time, their_value = median_time(theirs, repeats)
    our_time, our_value = median_time(lambda: frechet_distance(real, fake), repeats)
    row("features to distance", n, dim, our_time, their_time, our_value / their_value - 1)
    if n > dim:
        stats = [fid_features_to_statistics(x) for x in pair]
        their_time, _ = median_time(lambda: solve(stats), repeats)
        our_time, _ = median_time(lambda: trace_sqrt_product(stats[0]["sigma"], stats[1]["sigma"]), repeats)
        row("solver alone", n, dim, our_time, their_time)


def row(what: str, n: int, dim: int, ours: float, theirs: float, difference: float | None = None) -> None:
    agreement = "" if difference is None else f"  values differ by {difference:+.1e}"
    times = f"ours {ours:7.3f} s  torch-fidelity {theirs:7.3f} s  ratio {ours / theirs:.3f}"
    print(f"{what:22} N={n:<5} D={dim:<5} {times}{agreement}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--counts", type=int, nargs="+", default=[500, 5000], help="images in each of the two sets")
    parser.add_argument("--repeats", type=int, default=5, help="the median is printed")
    parser.add_argument("--threads", type=int, default=None, help="of the linear algebra; all cores by default")
    options = parser.parse_args()
    with threadpool_limits(options.threads):
        threads = {pool["num_threads"] for pool in threadpool_info()}
        print(f"numpy {np.__version__}, torch-fidelity {version('torch-fidelity')}, threads {threads}")
        for n in options.counts:
            compare(n, options.dim, options.repeats)


if __name__ == "__main__":
    main()
