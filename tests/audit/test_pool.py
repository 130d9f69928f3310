import numpy as np
import pytest

from medbench.audit.pool import exact_duplicates, group_crossings, pool_of
from medbench.data.dataset import Dataset, Split


def names(copies) -> list[str]:
    return [image.name for image in copies.images]


def crossing(exact, split, other):
    return next(share for share in exact.crossings if (share.split, share.other) == (split, other))


def test_counts_within_and_across_splits(leaky):
    exact = exact_duplicates(pool_of(leaky))
    assert (exact.images, exact.distinct) == (14, 9)
    assert exact.repeats == {"train": 2, "val": 0, "test": 0}  # picture 0 again, and picture 2 again
    test_train = crossing(exact, "test", "train")
    assert (test_train.images, test_train.of, test_train.distinct) == (2, 4, 2)
    assert {name: (share.images, share.of) for name, share in test_train.classes.items()} == {"a": (1, 2), "b": (1, 2)}
    assert crossing(exact, "val", "train").images == 1
    assert crossing(exact, "test", "val").distinct == 1


def test_copies_in_a_held_out_split_all_count(raw, picture):
    p = picture
    data = raw(train=[(p(0), 0), (p(1), 1)], val=[(p(2), 0)], test=[(p(0), 0), (p(0), 0), (p(3), 1)])
    share = crossing(exact_duplicates(pool_of(data)), "test", "train")
    assert (share.images, share.of, share.distinct) == (2, 3, 1)


def test_those_of_test_and_train_are_listed_first(raw, picture):
    p = picture
    data = raw(
        train=[(p(1), 0), (p(2), 1)],
        val=[(p(0), 0), (p(1), 0)],
        test=[(p(0), 0), (p(2), 1)],
    )
    exact = exact_duplicates(pool_of(data))
    assert exact.across_total == 3
    assert [names(copies) for copies in exact.across] == [
        ["train 1", "test 1"],
        ["train 0", "val 1"],
        ["val 0", "test 0"],
    ]


def test_an_image_with_two_labels_is_listed_with_all_copies(leaky):
    exact = exact_duplicates(pool_of(leaky))
    assert exact.two_labels_total == 1
    (copies,) = exact.two_labels
    assert [(image.name, image.label) for image in copies.images] == [("train 3", "a"), ("train 4", "b")]


def test_no_duplicates_no_lists(raw, picture):
    data = raw(train=[(picture(0), 0), (picture(1), 1)], val=[(picture(2), 0)], test=[(picture(3), 1)])
    exact = exact_duplicates(pool_of(data))
    assert exact.across == exact.two_labels == []
    assert exact.across_total == exact.two_labels_total == 0
    assert all(share.images == 0 for share in exact.crossings)


def test_only_raw_datasets_can_be_audited(leaky):
    train = leaky.splits["train"]
    bare = Split(train.images, train.labels, train.groups)
    with pytest.raises(ValueError, match="only a raw dataset"):
        pool_of(Dataset({**leaky.splits, "train": bare}, leaky.card))


def test_the_pool_finds_its_images_again(leaky):
    pool = pool_of(leaky)
    rows = np.array([12, 0, 8, 13])
    expected = [leaky.splits["test"].images[2], leaky.splits["train"].images[0], leaky.splits["val"].images[1]]
    np.testing.assert_array_equal(pool.images(rows), np.stack([*expected, leaky.splits["test"].images[3]]))
    np.testing.assert_array_equal(pool.standing(leaky), pool.present)


def test_groups_in_two_splits_are_counted(raw, picture):
    data = raw(
        train=[(picture(0), 0, 7), (picture(1), 1, 8), (picture(2), 1, 9)],
        val=[(picture(3), 0, 20)],
        test=[(picture(4), 0, 8), (picture(5), 1, 8), (picture(6), 1, 9), (picture(7), 1, 21)],
    )
    (result,) = group_crossings(pool_of(data))
    assert (result.split, result.other, result.groups, result.images) == ("test", "train", 2, 3)
