"""The page of an audit: one file that needs nothing from outside and escapes what users write."""

import re

import numpy as np
import pytest

from medbench.audit.audit import audit as audit_stage
from medbench.audit.audit import audit_dataset
from medbench.audit.results import AuditResult
from medbench.audit.sections import AuditStage
from medbench.core.errors import UserError
from medbench.data.dataset import Dataset
from medbench.report.audit.pages import draw_audit, page
from medbench.run.formats import read_json
from tests.helpers.parsed_page import Page, assert_self_contained, text_of
from tests.helpers.records import write_json


@pytest.fixture
def shown(leaky):
    """A function that gives the page of the leaky dataset."""

    def show(protocol="clean", data: Dataset = leaky, **changed) -> str:
        data = Dataset(data.splits, data.card.model_copy(update=changed))
        return page(data, audit_dataset(data, protocol, 0).result)

    return show


def test_nothing_comes_from_outside_and_the_html_is_sound(shown):
    assert_self_contained(shown())


def test_findings_counts_and_removals_are_there(shown):
    text = text_of(shown())
    assert "1 of 2 test images of class a is pixel-identical to a training image." in text
    assert "a 4 → 1 2 → 1 2 b 3 → 1 1 2 all 7 → 2 3 → 2 4" in text
    assert "2 of 2 images that stand in several splits shown" in text
    assert "1 of 1 images that carry several labels shown" in text
    assert "train a train 3 two labels none" in text
    assert "train a train 0 repeat test: test 1" in text
    assert "As it came → after the protocol clean." in text
    assert "As it came → after" not in text_of(shown("as_published"))


def test_the_page_begins_with_what_is_not_as_published_and_says_where_it_is_from(shown):
    notes = ["val (0.1) drawn from the training images by seed 0", "<u>a note</u>"]
    html = shown(accepted=["9 images of <b> in test (accepted)"], notes=notes, source="a place", licence="CC0")
    text = text_of(html.partition("<main")[2].join(["</style><main", ""]))
    told = "Not what was published, which was accepted: 9 images of &lt;b&gt; in test."
    assert text.strip().startswith(told) and text.count(told) == 1
    assert "Source a place Licence CC0" in text
    assert "val (0.1) drawn from the training images by seed 0 &lt;u&gt;a note&lt;/u&gt;" in text
    assert "Not what was published" not in shown()


def test_distances_are_shown_class_by_class(raw, shown):
    rng = np.random.RandomState(0)
    rows = [(rng.randint(0, 200, (8, 8)).astype(np.uint8), 0) for _ in range(170)]
    dark = [(image // 4, 0) for image, _ in rows[60:115]]
    text = text_of(shown("as_published", raw(train=rows[:60], val=rows[120:130], test=dark)))
    assert "test train all 1.000 strong test train a 1.000 strong val train all – too few images" in text


def test_duplicates_are_shown_side_by_side(shown):
    pictures = [image["alt"] for image in Page(shown()).all("img")]
    assert pictures[:5] == [
        "train, a: train 0",
        "val, a: val 0",
        "test, a: test 1",
        "train, b: train 2",
        "test, b: test 2",
    ]
    assert pictures[5:7] == ["train, a: train 3", "train, b: train 4"]


def test_of_many_duplicates_some_are_shown(raw, picture, shown):
    rows = [(picture(seed), seed % 2) for seed in range(30)]
    html = shown("as_published", raw(train=rows, val=[(picture(50), 0)], test=rows))
    assert "24 of 30 images that stand in several splits shown" in text_of(html)
    assert len(Page(html).all("img")) == 2 * 24 + 1  # and the histogram


def test_what_users_write_is_escaped(shown):
    html = shown(title="Tiny <i>set</i>", classes=["<b>a</b>", "b"], skipped=["<u>x</u>.png: is empty"])
    assert "Tiny &lt;i&gt;set&lt;/i&gt;" in html
    assert "&lt;b&gt;a&lt;/b&gt;" in html
    assert "&lt;u&gt;x&lt;/u&gt;.png: is empty" in html
    assert not re.search(r"<[biu]>", html)


def test_the_same_images_give_the_same_bytes(shown):
    assert shown() == shown()


def test_colour_images_have_a_page(raw, shown):
    rng = np.random.RandomState(0)
    rows = [(rng.randint(0, 256, (16, 24, 3)).astype(np.uint8), k % 2) for k in range(6)]
    Page(shown("clean", raw(train=rows[:4], val=[rows[4]], test=[rows[0], rows[5]], classes=("a", "b"))))


def test_the_page_is_drawn_from_what_the_stage_wrote(leaky, tmp_path):
    leaky.save(tmp_path / "tiny.raw.npz")
    dataset = {"kind": "npz", "path": "tiny.npz", "protocol": "clean"}
    stage = AuditStage.model_validate({"name": "tiny", "dataset": dataset, "seed": 0})
    audit_stage(tmp_path / "tiny.raw.npz", tmp_path / "tiny.npz", stage, tmp_path / "found.json")
    audited, report = audit_dataset(leaky, "clean", 0), AuditResult.model_validate(read_json(tmp_path / "found.json"))
    assert report.before == {"train": [4, 3], "val": [2, 1], "test": [2, 2]}
    assert report.after == audited.dataset.card.counts
    draw_audit(tmp_path / "tiny.raw.npz", tmp_path / "found.json", tmp_path / "tiny.html")
    assert (tmp_path / "tiny.html").read_text() == page(leaky, report)


def test_an_audit_of_other_images_is_refused(leaky, raw, picture, tmp_path):
    raw(train=[(picture(1), 0)], val=[(picture(2), 0)], test=[(picture(3), 0)]).save(tmp_path / "other.npz")
    write_json(tmp_path / "found.json", audit_dataset(leaky, "clean", 0).result.model_dump(mode="json"))
    with pytest.raises(UserError, match=r"found\.json: is not about .*other\.npz; run `audit` again"):
        draw_audit(tmp_path / "other.npz", tmp_path / "found.json", tmp_path / "tiny.html")
    assert not (tmp_path / "tiny.html").exists()
