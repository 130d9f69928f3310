from medbench.core.rng import numpy_rng, seed_for


def test_seeds_are_the_same_everywhere():
    # Literal values: a change of these changes every number of every run.
    assert seed_for(0, "train", 1) == 4584875657143905542
    assert numpy_rng(0, "split").randint(0, 1000, 4).tolist() == [269, 826, 482, 554]


def test_each_axis_has_its_own_seed():
    seeds = [seed_for(s, axis, step) for s in (0, 1) for axis in ("a", "b") for step in range(50)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
