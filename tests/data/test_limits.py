"""What no later stage could use is said while a dataset is prepared, by its name and with a way out."""

import dataclasses
import re

import numpy as np
import pytest

from medbench.audit.audit import audit
from medbench.audit.sections import AuditStage
from medbench.core.errors import UserError
from medbench.data.prepare import prepare
from medbench.data.sections import NpzDataset
from tests.data.test_folder import put, section, two_classes, write_table
from tests.data.test_npz import arrays


def test_too_few_of_each_class_for_the_splits_comes_with_fractions_that_do(tmp_path):
    for cls in range(12):
        for n in range(5):
            put(tmp_path / f"c{cls}" / f"{n}.png", 10 * n)
    said = r"the val split has no image: the smallest class has 5 images .*; val_fraction: 0\.15, test_fraction: 0\.2"
    with pytest.raises(UserError, match=rf"datasets\.mine: {tmp_path}: {said} would do"):
        prepare(section(tmp_path), "mine", seed=0)
    card = prepare(section(tmp_path, val_fraction=0.15, test_fraction=0.2), "mine", seed=0).card
    assert min(map(sum, card.counts.values())) > 0


def test_too_few_patients_for_the_splits_comes_with_fractions_that_do(tmp_path):
    root = two_classes(tmp_path, n=40)
    rows = [f"{cls}/{n:02}.png,{cls},{cls}{n // 8}" for cls in ("ill", "well") for n in range(40)]
    table = write_table(root, "path,label,group\n" + "\n".join(rows))
    with pytest.raises(UserError, match="the smallest class has 5 images or patients") as error:
        prepare(section(root, table=table), "mine", seed=0)
    fractions = {f"{n}_fraction": float(v) for n, v in re.findall(r"(val|test)_fraction: ([\d.]+)", str(error.value))}
    assert prepare(section(root, table=table, **fractions), "mine", seed=0).card.counts["val"][0] > 0


def test_where_no_fraction_would_do_the_line_says_so(tmp_path):
    put(tmp_path / "a" / "0.png")
    put(tmp_path / "b" / "0.png")
    with pytest.raises(UserError, match="add images, or give splits of your own"):
        prepare(section(tmp_path), "mine", seed=0)


@pytest.mark.parametrize("side", [1, 4, 5])
def test_images_that_no_network_takes_are_refused(tmp_path, side):
    small = {
        f"{name}_images": array[:, :side, :side]
        for name in ("train", "val", "test")
        for array in [arrays()[f"{name}_images"]]
    }
    np.savez(tmp_path / "a.npz", **arrays(**small))
    with pytest.raises(UserError, match=rf"images of {side}×{side} pixels are too small .* set image_size, e\.g\. 28"):
        prepare(NpzDataset(kind="npz", path=str(tmp_path / "a.npz")), "mine", seed=0)
    enlarged = NpzDataset(kind="npz", path=str(tmp_path / "a.npz"), image_size=28)
    assert prepare(enlarged, "mine", seed=0).card.image_size == (28, 28)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 201])
def test_a_name_that_nothing_can_show_is_refused(tmp_path, name):
    np.savez(tmp_path / "a.npz", **arrays())
    with pytest.raises(UserError, match="take names of 1 to 200 printable letters") as error:
        prepare(NpzDataset(kind="npz", path=str(tmp_path / "a.npz"), classes=["ill", name]), "mine", seed=0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("others", "refused"), [(0, True), (1, True), (2, False)])
def test_training_images_of_one_patient_stop_before_anything_is_trained(tmp_path, others, refused):
    np.savez(tmp_path / "a.npz", **arrays())
    own = NpzDataset(kind="npz", path=str(tmp_path / "a.npz"))
    raw = prepare(own, "mine", seed=0)
    train = raw.splits["train"]
    groups = np.where(np.arange(len(train)) < others, 1000 + np.arange(len(train)), 999)
    raw.splits["train"] = dataclasses.replace(train, groups=groups)
    raw.save(tmp_path / "raw.npz")
    stage = AuditStage(name="mine", dataset=own, seed=0)
    arguments = tmp_path / "raw.npz", tmp_path / "out.npz", stage, tmp_path / "found.json"
    if refused:
        with pytest.raises(UserError, match=r"^datasets\.mine: \d+ of 12 training images are of one patient"):
            audit(*arguments)
        assert not (tmp_path / "out.npz").exists()
    else:
        audit(*arguments)
        assert (tmp_path / "out.npz").exists()
