"""The study of same_numbers.py: `make` draws its inputs and runs it, `dump` writes each of its numbers under its name.

python benchmarks/small_study.py make CHECKOUT FOLDER
python benchmarks/small_study.py dump FOLDER

A checkout's own copy makes and reads its side, so config and readers here follow the code beside them. Two things stay
for all copies to come: these two calls, and `FOLDER/numbers.npz`, one array for each name. Names say what a number is
about, never which file held it. Left out is what no number depends on: times, hosts, versions, paths, hashes, prose.
"""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file

from medbench.data.dataset import SPLITS, Dataset
from medbench.data.feature_vectors import read_features
from medbench.fidelity.extractor import InceptionExtractor
from medbench.run.formats import read_json, read_npz
from medbench.run.layout import RECORD

CONFIG = Path(__file__).with_name("small_study.yaml")
SHA256 = "${INCEPTION_SHA256}"  # its place in the config
KEYS = ["source", "as_published", "other", "dataset", "protocol", "budget", "arm", "augmenter", "generator_seed"]
KEYS += ["classifier_seed", "metric", "reference", "dimension", "class"]  # columns that say what a row of a table is
NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")

Numbers = Iterator[tuple[str, Any]]


# Made -----------------------------------------------------------------------------------------------------------


def make(checkout: Path, folder: Path) -> None:
    """Runs the study with a checkout's Snakefile, in a folder whose config.yaml stands in place of the checkout's."""
    write_inputs(folder / "inputs")
    weights = folder / "inputs/inception.safetensors"
    text = CONFIG.read_text(encoding="utf-8").replace(SHA256, hashlib.sha256(weights.read_bytes()).hexdigest())
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    call = [sys.executable, "-m", "snakemake", "--snakefile", str(checkout / "Snakefile"), "--cores", "2"]
    log = folder / "snakemake.log"
    with open(log, "w", encoding="utf-8") as file:
        done = subprocess.run(call, cwd=folder, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise SystemExit(f"{log.read_text(encoding='utf-8')[-3000:]}\nthe study failed: {log}")
    weights.unlink()  # 90 MB that nothing reads again


def write_inputs(folder: Path) -> None:
    """Two datasets in MedMNIST's layout, ready images, and a file of Inception weights that were never trained."""
    folder.mkdir(parents=True)
    rng = np.random.RandomState(0)
    gray = drawn_splits(rng, {"train": 36, "val": 18, "test": 18}, 3, (16, 16))
    np.savez(folder / "gray.npz", **gray)
    colour = drawn_splits(rng, {"train": 44, "val": 40, "test": 32}, 2, (20, 18, 3))
    patients = {name: np.arange(offset, offset + 60) // 2 for name, offset in zip(SPLITS, (0, 60, 120), strict=True)}
    groups = {f"{name}_groups": patients[name][: len(colour[f"{name}_labels"])] for name in SPLITS}
    np.savez(folder / "colour.npz", **colour, **groups)
    labels = np.arange(160) % 2
    np.savez(folder / "ready_colour_resplit.npz", images=drawn(rng, labels, (16, 16, 3)), labels=labels)
    torch.set_num_threads(1)
    state = InceptionExtractor([768], None).network.state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "inception.safetensors")


def drawn_splits(
    rng: np.random.RandomState, counts: Mapping[str, int], classes: int, shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Splits in which an image is repeated in train, three of test stand in train, and one of val under two labels."""
    labels = {name: np.arange(count) % classes for name, count in counts.items()}
    images = {name: drawn(rng, labels[name], shape) for name in counts}
    images["train"][10], images["test"][:3] = images["train"][16], images["train"][:3]
    images["val"][3] = images["train"][4 + (labels["train"][4] == labels["val"][3])]
    arrays = {f"{name}_images": images[name] for name in counts}
    return arrays | {f"{name}_labels": labels[name][:, None] for name in counts}


def drawn(rng: np.random.RandomState, labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(N, *shape) uint8: a disc, a square or stripes by label, of another place, size and colour each, in noise."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    images = np.empty((len(labels), *shape), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        (right, down), size = rng.uniform(-0.4, 0.4, 2), rng.uniform(0.3, 0.6)
        square = np.maximum(abs(x - right), abs(y - down)) < size
        mask = (np.hypot(x - right, y - down) < size, square, np.sin(9 * (x + right)) > 0)[label]
        mask = mask.reshape(*mask.shape, *(1 for _ in shape[2:]))
        image[:] = mask * rng.uniform(60, 200, shape[2:]) + rng.uniform(0, 40, shape)
    return images


# Read -----------------------------------------------------------------------------------------------------------


def dump(folder: Path) -> None:
    """Writes numbers.npz, whole or not at all.

    Raises:
        ValueError: two numbers of one name, of which one would be lost.
    """
    numbers: dict[str, np.ndarray] = {}
    for name, value in all_numbers(folder / "results/small"):
        if name in numbers:
            raise ValueError(f"two numbers are called {name}")
        numbers[name] = value if isinstance(value, np.ndarray) else np.float64(value)
    np.savez_compressed(folder / "unfinished.npz", **numbers)
    os.replace(folder / "unfinished.npz", folder / "numbers.npz")


def all_numbers(run: Path) -> Numbers:
    for path in sorted(run.glob("datasets/*.npz")):
        if not path.name.endswith(".raw.npz"):
            yield from of_dataset(f"dataset/{path.stem}", Dataset.load(path))
    for path in results_in(run, "audit/*.json"):
        yield from leaves(f"audit/{path.stem}", read_json(path))
    for path in sorted(run.glob("models/*/*/*/")):
        yield from of_model(path.relative_to(run / "models").as_posix(), path)
    for path in sorted(run.glob("samples/*/*/*.npz")):
        yield from arrays_of("sample", run / "samples", path, read_npz(path))
    for path in sorted(run.glob("features/**/*.safetensors")):
        yield from arrays_of("features", run / "features", path, read_features(path)[0])
    for path in results_in(run, "fidelity/*/*/*.json"):
        yield from of_fidelity(path.relative_to(run).with_suffix("").as_posix(), read_json(path))
    for path in results_in(run, "utility/*/*/*/*.json"):
        yield from arrays_of("utility", run / "utility", path, read_npz(path.with_suffix(".npz")))
        yield from of_utility(path.relative_to(run).with_suffix("").as_posix(), read_json(path))
    for path in sorted(run.glob("tables/*/*.csv")):
        yield from of_table(f"table/{path.parent.name}/{path.stem}", pd.read_csv(path))
    for path in sorted(run.glob("tables/*/*.md")):
        yield from of_printed(f"printed/{path.parent.name}/{path.stem}", path.read_text(encoding="utf-8"))


def results_in(run: Path, pattern: str) -> list[Path]:
    """Without the record beside each."""
    return sorted(path for path in run.glob(pattern) if not path.name.endswith(RECORD))


def arrays_of(group: str, root: Path, path: Path, arrays: Mapping[str, np.ndarray]) -> Numbers:
    name = f"{group}/{path.relative_to(root).with_suffix('').as_posix()}"
    yield from ((f"{name}/{key}", array) for key, array in arrays.items())


def of_dataset(name: str, dataset: Dataset) -> Numbers:
    for split, rows in dataset.splits.items():
        yield from ((f"{name}/{split}/{key}", getattr(rows, key)) for key in ("images", "labels", "groups"))


def leaves(name: str, value: Any) -> Numbers:
    """Every number and truth value in nested dicts and lists."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(f"{name}/{key}", item)
    elif isinstance(value, int | float):
        yield name, value


def of_model(name: str, folder: Path) -> Numbers:
    """Weights by component, images that a kind keeps, how training went, and what the model says of its size."""
    for path in sorted(folder.rglob("*.safetensors")):
        component = path.parent.relative_to(folder).as_posix()
        yield from ((f"model/{name}/{component}/{key}", array) for key, array in load_file(path).items())
    if (folder / "images.npz").exists():
        yield from arrays_of("model", folder.parents[2], folder / "images.npz", read_npz(folder / "images.npz"))
    if (folder / "training.csv").exists():
        log = pd.read_csv(folder / "training.csv").select_dtypes("number")
        yield from ((f"training/{name}/{column}", log[column].to_numpy(float)) for column in log)
    described = read_json(folder / "medbench.json")
    yield from leaves(f"model/{name}", {key: described[key] for key in ("images_seen", "parameters", "train_counts")})


def of_fidelity(name: str, content: Mapping[str, Any]) -> Numbers:
    for row in content["rows"]:
        value = f"{name}/{row['metric']}/{row['reference']}/{row['dimension']}"
        yield value, row["value"]
        yield from ((f"{value}/{key}", row[key]) for key in ("n_real", "n_generated"))


def of_utility(name: str, content: Mapping[str, Any]) -> Numbers:
    for row in content["rows"]:
        yield f"{name}/{row['metric']}/{row['class'] or 'all'}/seed{row['classifier_seed']}", row["value"]
    for column, values in pd.DataFrame(content["history"]).items():
        yield f"{name}/history/{column}", values.to_numpy(float)
    sizes = {key: value for key, value in content["conditions"].items() if key.startswith("n_") or key == "steps"}
    yield from leaves(name, sizes)


def of_table(name: str, table: pd.DataFrame) -> Numbers:
    """Every number of a table in long form; an empty cell has none."""
    numeric = [column for column in table.select_dtypes(["number", "bool"]) if not column.startswith("condition.")]
    for row in table.to_dict("records"):
        there = {column: value for column, value in row.items() if pd.notna(value)}
        named = "/".join(f"{key}={spelled(there[key])}" for key in KEYS if key in there)
        yield from ((f"{name}/{named}/{column}", there[column]) for column in numeric if column in {*there} - {*KEYS})


def spelled(value: Any) -> str:
    """A seed of 0 is 0, also in a column that has gaps and so holds floats."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def of_printed(name: str, page: str) -> Numbers:
    """The numbers in each cell of a page's tables, rounded as readers see them; columns of text say what a row is."""
    heading, header, numeric = "", [], []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            heading, header = (line.strip("# "), []) if line.startswith("#") else (heading, [])
        elif not header:
            header = cells
        elif set(line) <= set("|-: "):
            numeric = [cell.endswith(":") for cell in cells]
        else:
            row = "/".join(cell for cell, right in zip(cells, numeric, strict=True) if not right)
            for column, cell, right in zip(header, cells, numeric, strict=True):
                found = NUMBER.findall(cell.replace("−", "-")) if right else []
                if found:
                    yield f"{name}/{heading}/{row}/{column}", np.array([float(x.replace(",", "")) for x in found])


if __name__ == "__main__":
    verb, *folders = sys.argv[1:]
    {"make": make, "dump": dump}[verb](*(Path(folder).resolve() for folder in folders))
