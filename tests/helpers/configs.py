"""The smallest config, and what a test sets in it."""

import copy

MINIMAL = {
    "name": "mine",
    "datasets": {"ct": {"kind": "phantom", "subject": "ct"}},
    "augmenters": {"ddpm": {"kind": "annotated_ddpm"}},
    "fidelity": {"weights": "random", "n_generated": 10},
    "studies": {"s": {"datasets": ["ct"], "augmenters": ["ddpm"], "generator_seeds": [0]}},
    "run": ["s"],
}


def changed(path: str, value: object) -> dict:
    """MINIMAL with one value set, at a path such as `datasets.ct`; a key that is missing is added."""
    raw = copy.deepcopy(MINIMAL)
    *parents, last = path.split(".")
    parent = raw
    for key in parents:
        parent = parent[key]
    parent[last] = value
    return raw
