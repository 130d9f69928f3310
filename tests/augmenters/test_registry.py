"""Kinds by name: ours, and those that other packages bring."""

import subprocess
import sys

import pytest

from medbench.augmenters import GROUP, KINDS, Augmenter, augmenter_class, built_in, plugged_in, section_class
from medbench.config.load import load
from medbench.core.errors import UserError

SECTION = """
from typing import Literal
from medbench.augmenters import Augmenter, AugmenterSection

class Section(AugmenterSection):
    kind: Literal["mine"]
    strength: int = 3

class Mine(Augmenter[Section]):
    Section = Section

class Bare(Augmenter):
    pass

class Strange(Augmenter):
    Section = dict
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function: as if a package had been installed whose entry points are these."""

    def install(**points: str) -> None:
        folder = tmp_path / "site"
        (folder / "other_tool.dist-info").mkdir(parents=True)
        (folder / "other_tool.py").write_text(SECTION)
        metadata = "Metadata-Version: 2.1\nName: other-tool\nVersion: 1\n"
        (folder / "other_tool.dist-info" / "METADATA").write_text(metadata)
        lines = "".join(f"{name} = {value}\n" for name, value in points.items())
        (folder / "other_tool.dist-info" / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}")
        monkeypatch.syspath_prepend(folder)

    yield install
    sys.modules.pop("other_tool", None)


def raw(**section) -> dict:
    return {
        "name": "mine",
        "datasets": {"ct": {"kind": "phantom", "subject": "ct"}},
        "augmenters": {"own": section},
        "fidelity": {"weights": "random", "n_generated": 10},
        "studies": {"s": {"datasets": ["ct"], "augmenters": ["own"], "generator_seeds": [0]}},
        "run": ["s"],
    }


def test_every_kind_that_makes_images_has_a_class_and_every_class_a_section():
    sections = {kind: section_class(kind) for kind in built_in()}
    assert all(section.model_fields["kind"].annotation.__args__ == (kind,) for kind, section in sections.items())
    assert {kind for kind, section in sections.items() if section.role != "on_the_fly"} == set(KINDS)
    for kind in KINDS:
        assert issubclass(augmenter_class(kind), Augmenter)
        assert not augmenter_class(kind).__abstractmethods__


def test_listing_the_kinds_imports_none():
    code = "import sys, medbench.cli, medbench.config.load; print({'torch', 'diffusers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_package_brings_a_kind(package):
    package(mine="other_tool:Mine", another="other_tool:Mine")
    assert plugged_in() == {"another": "other_tool:Mine", "mine": "other_tool:Mine"}
    section = load(raw(kind="mine", strength=5)).augmenters["own"]
    assert (type(section).__name__, section.strength, section.sample_batch_size) == ("Section", 5, 64)
    assert augmenter_class("mine").__module__ == "other_tool"
    assert load(load(raw(kind="mine")).model_dump(mode="json")).augmenters["own"] == section.model_copy(
        update={"strength": 3}
    )


def test_ours_cannot_be_replaced(package):
    package(copy="other_tool:Mine")
    assert type(load(raw(kind="copy")).augmenters["own"]).__module__ == "medbench.augmenters.image_sections"
    assert augmenter_class("copy").__module__ == "medbench.augmenters.stored_images"


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"kind": "mine", "strength": "strong"}, r"own\.strength: 'strong': .*valid integer"),
        (
            {"kind": "mine", "strngth": 5},
            r"own: unknown key 'strngth' \(allowed: kind, .*strength\)$",
        ),
        (
            {"kind": "yours"},
            r"own: kind 'yours' is not known \(allowed: .*, mixup, absent, bare, mine, strange; a p",
        ),
        (
            {"kind": "absent"},
            r"own: kind 'absent': its entry point 'no_such_tool:Mine' cannot be used: No module",
        ),
        ({"kind": "bare"}, r"own: kind 'bare': its entry point 'other_tool:Bare' cannot be used: .*no attribute 'Sect"),
        (
            {"kind": "strange"},
            r"own: kind 'strange': other_tool:Strange\.Section is no medbench\.augmenters\.Aug",
        ),
    ],
)
def test_what_is_wrong_with_a_packages_kind_is_said_in_one_line(package, section, message):
    package(mine="other_tool:Mine", absent="no_such_tool:Mine", bare="other_tool:Bare", strange="other_tool:Strange")
    with pytest.raises(UserError, match=rf"^config: augmenters\.{message}") as error:
        load(raw(**section))
    assert "\n" not in str(error.value)
