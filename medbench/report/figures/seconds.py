"""How long it took to make an image, by the logs."""

from collections.abc import Collection

import pandas as pd

from medbench.files import read_own_npz
from medbench.report.results import StudyResults
from medbench.report.run_files import log_of
from medbench.usage import read_usage


def seconds_an_image(results: StudyResults, names: Collection[str]) -> pd.DataFrame:
    """A row a dataset, augmenter and generator seed whose sampling job finished: value, wall-clock seconds an image.

    A job's start and imports count, so few images make each look slow; one that was resumed counts from its last start.
    """
    rows = []
    for dataset, name, seed in results.generators:
        path = f"samples/{dataset}/{name}/seed{seed}.npz"
        log = results.folder / log_of(path)
        usage = read_usage(log.read_text(encoding="utf-8", errors="replace")) if log.exists() else None
        if name in names and usage and results.present(path):
            n_images = len(read_own_npz(results.folder / path)["labels"])
            rows.append((dataset, name, seed, usage.seconds / n_images))
    return pd.DataFrame(rows, columns=["dataset", "augmenter", "generator_seed", "value"])
