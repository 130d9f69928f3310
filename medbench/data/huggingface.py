"""A dataset of the Hugging Face hub, or one in a folder: as `datasets` reads both."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medbench.core.errors import UserError
from medbench.data.folders import ALIASES, Item, Listing, group_of, one_spelled
from medbench.data.image_files import read_listing
from medbench.data.prepare import Source
from medbench.data.sections import HuggingFaceDataset
from medbench.data.tables import Table, cells_of, columns_of


def load_huggingface(section: HuggingFaceDataset, seed: int) -> Source:
    """Reads every image once, as of a folder; draws the splits that are not there."""
    where = section.path or f"{section.name}@{str(section.revision)[:12]}"
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary, "images")
        splits = _loaded(section, where, temporary)
        items = [
            item for name, rows in splits.items() for item in _written(root, section, f"{where}, {name}", name, rows)
        ]
        listing = one_spelled(Listing(root, sorted(items, key=lambda item: item.name), [], where))
        origin = where if section.name else Path(where).name
        return read_listing(section, listing, seed, f"Hugging Face dataset {origin}")


def _loaded(section: HuggingFaceDataset, where: str, temporary: str) -> dict[str, Any]:
    """Split -> its rows; a dataset without splits is all train, of which the others are drawn."""
    if section.path or os.environ.get("MEDBENCH_OFFLINE"):
        os.environ["HF_HUB_OFFLINE"] = "1"  # read when it is imported
    try:
        import datasets
    except ImportError as error:
        raise UserError("kind huggingface needs the package datasets (pip install 'medbench[hf]')") from error
    datasets.disable_progress_bars()
    datasets.config.HF_DATASETS_TRUST_REMOTE_CODE = False  # of older versions: no code from there is run
    try:
        if section.path is None:
            return dict(datasets.load_dataset(section.name, section.subset, revision=section.revision))
        if any(Path(section.path, file).exists() for file in ("dataset_dict.json", "state.json")):
            dataset = datasets.load_from_disk(section.path)
            return dict(dataset) if isinstance(dataset, datasets.DatasetDict) else {"train": dataset}
        # In a cache of its own: an older one may be stale.
        folder = datasets.load_dataset(section.path, section.subset, cache_dir=temporary)  # nosec B615 # a folder
        return dict(folder)
    except Exception as error:  # of whatever reads or fetches it
        raise UserError(f"{where}: cannot be loaded: {str(error).strip().partition(chr(10))[0]}") from error


def _written(root: Path, section: HuggingFaceDataset, where: str, name: str, rows: Any) -> Iterator[Item]:
    """The images of a split as files, as they are stored, and what is known of each."""
    import datasets

    split, features = ALIASES.get(name.lower()), rows.features
    if split is None:
        raise UserError(f"{where}: the split {name!r} is not known (allowed: train, val, validation, test)")
    image_columns = [column for column, feature in features.items() if isinstance(feature, datasets.Image)]
    chosen = {("path" if what == "image" else what): column for what, column in section.columns.items()}
    if chosen.setdefault("path", next(iter(image_columns), None)) not in image_columns:
        raise UserError(f"{where}: no images in {chosen['path'] or 'any column'} (found {', '.join(features)})")
    table = Table(Path(where), list(features), cells_of(f"{where}, row", rows.remove_columns(image_columns), first=0))
    columns = columns_of(table, {**chosen, "split": None}, ("path", "label"))
    label, group = features[columns["label"]], columns.get("group")
    if not isinstance(label, datasets.ClassLabel | datasets.Value):
        raise UserError(f"{where}: {columns['label']} holds several labels per image; give a column with one")
    pictures = rows.select_columns([columns["path"]]).cast_column(columns["path"], datasets.Image(decode=False))
    (root / split).mkdir(parents=True, exist_ok=True)
    for number, (picture, (place, row)) in enumerate(zip(pictures, table.rows.items(), strict=True)):
        file, stored = root / split / f"{number:07}", picture[columns["path"]] or {}
        file.write_bytes(stored.get("bytes") or (Path(stored["path"]).read_bytes() if stored.get("path") else b""))
        text = row[columns["label"]]
        if text and isinstance(label, datasets.ClassLabel):
            text = "" if int(text) < 0 else label.int2str(int(text))
        if not text:
            raise UserError(f"{place}: has no label; give splits whose images all have one")
        yield Item(f"{split}/{number:07}", text, split, group_of(row[group]) if group else None)
