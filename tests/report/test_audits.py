"""The audit as the report reads it: what the audit stage writes, or nothing."""

import pytest

from medbench.audit.results import Crossing, GroupCrossing
from medbench.core.errors import UserError
from medbench.report.audits import PROTOCOLS, audit_of, leaks_text, removed_text, stays_text
from medbench.run.files import write_text
from tests.helpers.files import remove
from tests.helpers.records import record, write_json


@pytest.fixture
def results(protocol_run, tmp_path):
    return protocol_run(tmp_path, arms=("real",))


def test_what_the_audit_found_and_the_protocol_removed_is_told(results):
    published, clean = (audit_of(results, name) for name in ("ct_aspub", "ct"))
    assert leaks_text(published) == "3 of 12 test images stand in train too"
    assert removed_text(published) == "0 of 60 images removed"
    # Test keeps its copy of each image that train holds too; of the image with two labels none is kept.
    assert removed_text(clean) == "5 of 60 images removed, 3 that repeat another and 2 with two labels: 5 of train"
    assert {published.protocol, clean.protocol} < set(PROTOCOLS)


def test_near_duplicates_and_groups_that_cross_are_told_and_stay_under_clean(results):
    found = audit_of(results, "ct")
    assert stays_text(found) == ""
    share = {"split": "test", "other": "train", "images": 4, "of": 12, "distinct": 4, "classes": {}}
    near = found.near.model_copy(update={"crossings": [Crossing(**share)], "across_after": 7})
    group = GroupCrossing(split="val", other="train", groups=2, images=5)
    found = found.model_copy(update={"near": near, "groups": [group], "groups_after": 2})
    assert leaks_text(found) == (
        "3 of 12 test images stand in train too, 4 of 12 test images have a near duplicate in train, 5 of 12 val images"
        " carry one of 2 group names of train too (whether these are the same patients may not be known)"
    )
    assert stays_text(found) == (
        "7 pairs of near duplicates in different splits and 2 groups with images in more than one split"
    )


def test_an_audit_that_is_not_there_or_of_another_version_is_a_gap(results):
    (results.folder / "audit/ct_aspub.json").unlink()
    assert audit_of(results, "ct_aspub") is None
    path = results.folder / "audit/ct.json"
    record(path, made_with="another")
    assert audit_of(results, "ct") is None
    record(path, made_with="")
    assert audit_of(results, "ct") is not None
    remove(results.folder / "datasets/ct.json")
    assert audit_of(results, "ct") is None


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (
            lambda path: write_json(path, {"findings": []}),
            r"is not what this version of medbench writes \(.*\); remove it and run again",
        ),
        (lambda path: write_text(path, "{"), r"is damaged \(its content is not what its record says\)"),
    ],
    ids=["another file", "no json"],
)
def test_a_file_that_is_no_audit_is_named(results, write, said):
    write(results.folder / "audit/ct.json")
    with pytest.raises(UserError, match=f"audit/ct.json: {said}"):
        audit_of(results, "ct")
