"""The page and the json on nearest neighbours."""

import re
from dataclasses import replace

import numpy as np
import pytest

from medbench.audit.neighbours import neighbours
from medbench.core.errors import UserError
from medbench.data.dataset import Dataset
from medbench.report.audit.findings import neighbours_findings
from medbench.report.audit.pages import draw_neighbours, neighbours_page
from medbench.run.files import sha256_of
from medbench.run.formats import read_json
from tests.helpers.parsed_page import Page, assert_self_contained, text_of
from tests.helpers.records import write_json


@pytest.fixture
def data(raw, picture):
    """Test image 1 is training image 2 under another label."""
    train = [(picture(k), k % 2) for k in range(8)]
    return raw(train=train, val=[(picture(20), 0)], test=[(picture(30), 0), (picture(2), 1), (picture(31), 1)])


@pytest.fixture
def made(data):
    """A function that gives the dataset, its card changed, and the report on it."""
    rng = np.random.RandomState(0)
    train, test = rng.randn(8, 768), rng.randn(3, 768)
    test[1] = train[2]

    def make(**changed):
        dataset = Dataset(data.splits, data.card.model_copy(update=changed))
        return dataset, neighbours(dataset, train, test, 768, "inception <weights>")

    return make


def test_nothing_comes_from_outside_and_the_html_is_sound(made):
    assert_self_contained(neighbours_page(*made()))


def test_test_images_stand_left_of_their_neighbours_closest_first(made):
    dataset, report = made()
    pictures = Page(neighbours_page(dataset, report)).all("img")
    assert [image["alt"] for image in pictures[1:3]] == ["test, b: test 1", "train, a: train 2"]
    assert pictures[1]["src"] == pictures[2]["src"] != pictures[3]["src"]
    assert len(pictures) == 1 + 2 * 3  # the histogram and all pairs


def test_sentences_numbers_and_captions_are_there(made):
    dataset, report = made()
    text = text_of(neighbours_page(dataset, report))
    assert all(sentence in text for sentence in neighbours_findings(report))
    assert "similarity 1.0000, suspicious, pixel-identical, two labels" in text
    assert text.count("suspicious,") == 1
    test, train = report.test, report.train
    assert f"test training image 3 {test.median:.4f} {test.percentile_99:.4f} 1.0000" in text
    assert f"train other training image 8 {train.median:.4f} {train.percentile_99:.4f} {train.largest:.4f}" in text
    assert "inception &lt;weights&gt;" in text
    assert "3 of 3 test images with their nearest training images shown" in text


def test_where_the_floor_comes_from_is_said(made):
    dataset, report = made()
    text = text_of(neighbours_page(dataset, report))
    assert "chosen by eye on three public sets at 64 pixels, in features of dimension 768: chest CT" in text
    assert "untested on any set" not in text
    deeper = text_of(neighbours_page(dataset, report.model_copy(update={"dimension": 2048})))
    assert "At dimension 2048, used here, it is untested on any set." in deeper


def test_of_many_pairs_the_closest_are_shown(raw, picture):
    rows = [(picture(seed), seed % 2) for seed in range(30)]
    data = raw(train=rows, val=[(picture(50), 0)], test=rows)
    features = np.random.RandomState(0).randn(30, 768)
    html = neighbours_page(data, neighbours(data, features, features, 768, "inception"))
    assert "24 of 30 test images with their nearest training images shown" in text_of(html)
    assert len(Page(html).all("img")) == 1 + 2 * 24


def test_what_users_write_is_escaped(made):
    html = neighbours_page(*made(title="Tiny <i>set</i>", classes=["<b>a</b>", "b"]))
    assert "Tiny &lt;i&gt;set&lt;/i&gt;" in html and "&lt;b&gt;a&lt;/b&gt;" in html
    assert not re.search(r"<[bi]>", html)


@pytest.fixture
def written(made, tmp_path):
    """Files of a dataset and of what `neighbours` found in it, and the report."""
    dataset, report = made()
    splits = {name: replace(split, origins=None) for name, split in dataset.splits.items()}
    Dataset(splits, dataset.card).save(tmp_path / "d.npz")
    report = report.model_copy(update={"dataset_sha256": sha256_of(tmp_path / "d.npz")})
    write_json(tmp_path / "n.json", report.model_dump(mode="json"))
    return tmp_path / "d.npz", tmp_path / "n.json"


def test_the_same_bytes_come_again(written, tmp_path):
    for name in "ab":
        draw_neighbours(*written, tmp_path / f"{name}.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_neighbours_of_other_images_are_refused(written, tmp_path):
    write_json(written[1], read_json(written[1]) | {"dataset_sha256": "0" * 64})
    with pytest.raises(UserError, match=r"n\.json: is not about .*d\.npz; run `neighbours` again"):
        draw_neighbours(*written, tmp_path / "n.html")


def test_a_place_that_cannot_be_written_is_named(written, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/n\.html: cannot be written"):
        draw_neighbours(*written, tmp_path / "file/n.html")
