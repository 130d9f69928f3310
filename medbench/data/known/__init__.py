"""The published datasets that medbench knows by name: where each is, what proves it, its counts, licence, citation."""

from typing import get_args

from medbench.data.known import medmnist
from medbench.data.known.chest_ct import CHEST_CT
from medbench.data.known.chest_xray import CHEST_XRAY
from medbench.data.known.tongue import TONGUE, TONGUEXPERT_LABELS
from medbench.data.published import Facts


def known() -> dict[str, list[Facts]]:
    """Name -> what is known of it: one entry per size that is published, mostly one."""
    sets = [[medmnist.facts(name, size) for size in medmnist.SIZES] for name in get_args(medmnist.Name)]
    sets += [[facts] for facts in (CHEST_CT, *CHEST_XRAY.values(), TONGUE, *TONGUEXPERT_LABELS.values())]
    return {sizes[0].name: sizes for sizes in sets}
