import numpy as np
import pytest

from medbench.audit.pool import pool_of
from medbench.audit.protocol import apply_protocol, merged_groups
from medbench.core.errors import UserError
from medbench.data.dataset import SPLITS


def names(dataset) -> dict[str, list[str]]:
    return {name: dataset.splits[name].origins.names.tolist() for name in SPLITS}


def test_as_published_changes_nothing(leaky):
    dataset, removals = apply_protocol(leaky, "as_published", 0)
    assert dataset is leaky
    assert removals == []


def test_clean_keeps_one_copy_in_test_before_val_before_train(leaky):
    dataset, _ = apply_protocol(leaky, "clean", 0)
    assert names(dataset) == {
        "train": ["train 5", "train 6"],
        "val": ["val 1", "val 2"],
        "test": ["test 0", "test 1", "test 2", "test 3"],
    }
    for name in SPLITS:
        split, raw = dataset.splits[name], leaky.splits[name]
        rows = [int(image.split()[1]) for image in names(dataset)[name]]
        np.testing.assert_array_equal(split.images, raw.images[rows])
        np.testing.assert_array_equal(split.labels, raw.labels[rows])
        np.testing.assert_array_equal(split.groups, raw.groups[rows])


def test_every_removal_is_listed_with_its_reason(leaky):
    _, removals = apply_protocol(leaky, "clean", 0)
    listed = [(r.image.name, r.image.label, r.reason, r.kept and r.kept.name) for r in removals]
    assert listed == [
        ("train 0", "a", "repeat", "test 1"),
        ("train 1", "a", "repeat", "test 1"),
        ("train 2", "b", "repeat", "test 2"),
        ("train 3", "a", "two labels", None),
        ("train 4", "b", "two labels", None),
        ("val 0", "a", "repeat", "test 1"),
    ]


def test_of_copies_in_one_split_the_first_is_kept(raw, picture):
    p = picture
    data = raw(train=[(p(0), 0), (p(1), 1)], val=[(p(2), 0)], test=[(p(3), 0), (p(4), 1), (p(3), 0)])
    assert names(apply_protocol(data, "clean", 0)[0])["test"] == ["test 0", "test 1"]


def test_two_labels_in_different_splits_drop_all_copies(raw, picture):
    p = picture
    data = raw(train=[(p(0), 0), (p(1), 1), (p(2), 0)], val=[(p(3), 0), (p(2), 0)], test=[(p(2), 1), (p(4), 0)])
    dataset, removals = apply_protocol(data, "clean", 0)
    assert names(dataset) == {"train": ["train 0", "train 1"], "val": ["val 0"], "test": ["test 1"]}
    assert [removal.reason for removal in removals] == ["two labels"] * 3


def test_the_card_says_what_was_done(leaky):
    card = apply_protocol(leaky, "clean", 0)[0].card
    assert card.protocol == "clean"
    assert card.counts == {"train": [1, 1], "val": [1, 1], "test": [2, 2]}
    assert card.notes == [
        "a note",
        "protocol clean: 6 of 14 images taken out, 4 that repeat another and 2 with two labels; one copy of each"
        " distinct image kept, in test before val before train",
    ]
    assert leaky.card.notes == ["a note"]


def test_a_class_that_loses_its_training_images_is_refused(raw, picture):
    p = picture
    data = raw(train=[(p(0), 0), (p(1), 1)], val=[(p(2), 0)], test=[(p(1), 1)])
    with pytest.raises(UserError) as error:
        apply_protocol(data, "clean", 0)
    assert str(error.value) == (
        "datasets.tiny.protocol: clean: leaves class 'b' without a training image; choose as_published or give it more"
        " images"
    )


def test_a_split_that_is_emptied_is_refused(raw, picture):
    p = picture
    data = raw(train=[(p(0), 0), (p(1), 1)], val=[(p(2), 0)], test=[(p(3), 0), (p(2), 0)])
    with pytest.raises(
        UserError, match=r"datasets\.tiny\.protocol: clean: leaves no image in val; choose as_published"
    ):
        apply_protocol(data, "clean", 0)


@pytest.fixture
def patients(raw, picture):
    """300 images of 150 patients in 60:10:30; every tenth training image stands in test again, as another patient's."""
    rows = [(picture(seed), int(seed % 3 == 0), seed // 2) for seed in range(300)]
    for k in range(0, 90, 10):
        rows[210 + k] = (rows[k][0], rows[k][1], rows[210 + k][2])
    return raw(train=rows[:180], val=rows[180:210], test=rows[210:])


def test_resplit_draws_the_published_proportions_without_repeats(patients):
    dataset, removals = apply_protocol(patients, "resplit", 3)
    total = sum(len(split) for split in dataset.splits.values())
    assert total == 291 == 300 - len(removals)
    digests = np.concatenate([split.origins.digests for split in dataset.splits.values()])
    assert len(set(digests)) == total
    for name, share in {"train": 0.6, "val": 0.1, "test": 0.3}.items():
        split = dataset.splits[name]
        assert len(split) == pytest.approx(share * total, abs=6)  # whole groups, drawn a class at a time
        assert split.labels.mean() == pytest.approx(1 / 3, abs=0.08)
    assert any(name.startswith("train") for name in names(dataset)["test"])


def test_resplit_never_tears_a_patient_apart(patients):
    dataset, _ = apply_protocol(patients, "resplit", 3)
    patient_of = {name: group for split in patients.splits.values() for name, group in _named_groups(split)}
    pool = pool_of(patients)
    one_person = dict(zip(pool.origins.names.tolist(), merged_groups(pool).tolist(), strict=True))
    for of in (patient_of, one_person):
        people = [{of[image] for image in names(dataset)[split]} for split in SPLITS]
        assert not (people[0] & people[1] or people[0] & people[2] or people[1] & people[2])


def _named_groups(split):
    return zip(split.origins.names.tolist(), split.groups.tolist(), strict=True)


def test_patients_that_share_an_image_are_one(raw, picture):
    p = picture
    data = raw(
        train=[(p(0), 0, 1), (p(1), 1, 1), (p(2), 0, 2)],
        val=[(p(1), 1, 3), (p(4), 1, 3)],
        test=[(p(4), 1, 4), (p(5), 0, 5)],
    )
    # 1 and 3 share picture 1, 3 and 4 share picture 4.
    merged = merged_groups(pool_of(data))
    assert len(set(merged[[0, 1, 3, 4, 5]])) == 1
    assert len(set(merged)) == 3


def test_patients_whose_images_are_nearly_the_same_are_one(raw, picture):
    line = picture(1).copy()
    line[3, 2:5] = 255  # drawn on a copy
    data = raw(train=[(picture(0), 0, 1), (picture(1), 1, 1)], val=[(line, 1, 2)], test=[(picture(2), 0, 3)])
    merged = merged_groups(pool_of(data)).tolist()
    assert merged[0] == merged[1] == merged[2] != merged[3]


def test_resplit_follows_the_seed_alone(patients):
    other_name = patients.card.model_copy(update={"name": "other"})
    renamed = type(patients)(patients.splits, other_name)
    first, same, other = (
        apply_protocol(data, "resplit", seed)[0] for data, seed in [(patients, 3), (renamed, 3), (patients, 4)]
    )
    assert names(first) == names(same)
    assert names(first) != names(other)
    for name in SPLITS:
        np.testing.assert_array_equal(first.splits[name].images, same.splits[name].images)
    assert "drawn anew by seed 3" in first.card.notes[-1]
