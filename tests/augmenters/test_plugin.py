"""A user's own augmenter: the example of CONTRIBUTING.md as it stands there, and packages that do something wrong."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from medbench import augmenters
from medbench.augmenters import section_class
from medbench.augmenters.stage_sections import AnyAugmenter, TrainStage
from medbench.config.load import parse
from medbench.core import fingerprint
from medbench.core.errors import UserError
from medbench.run.files import sha256_of
from medbench.run.formats import read_npz
from tests.helpers.records import save

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"
FAULTY = """
from typing import ClassVar, Literal
import numpy as np
from medbench.augmenters import Augmenter, AugmenterSection, Samples

class FaultySection(AugmenterSection):
    SAMPLING_ONLY: ClassVar = AugmenterSection.SAMPLING_ONLY | {"fault"}
    kind: Literal["faulty"]
    fault: str = "none"
    fails_in_fit: bool = False

class Faulty(Augmenter[FaultySection]):
    Section = FaultySection

    def fit(self, train, val, job):
        if self.section.fails_in_fit:
            raise ZeroDivisionError("a batch of\\nno images")
        return []

    def sample(self, labels, job):
        images = np.zeros((len(labels), *self.spec.shape), dtype=np.uint8)
        match self.section.fault:
            case "raises":
                raise KeyError("weights")
            case "shape":
                images = images[:, :4]
        return Samples(images, labels)

    def save(self, folder):
        (folder / "empty.txt").write_text("")

    @classmethod
    def load(cls, section, spec, folder):
        return cls(section, spec)
"""


def example(title: str) -> dict[str, str]:
    """The files of an example in CONTRIBUTING.md's section on augmenters, by name, and what goes into a registry."""
    part = CONTRIBUTING.read_text(encoding="utf-8").split("## Add an augmenter")[1].split(f"### {title}\n")[1]
    return dict(re.findall(r"`([\w./]+)`\n```\w+\n(.*?)```", part.split("\n### ")[0], re.DOTALL))


def stages(kind: str, **settings) -> tuple[dict, dict]:
    common = {"name": "mine", "seed": 0, "torch_threads": 1, "augmenter": {"kind": kind, **settings}}
    return common, {**common, "n": 10}


@pytest.fixture
def images(tmp_path, tiny_dataset, call):
    """A function that trains a kind on dark and bright noise in colour, and samples it twice, alike: the images."""

    def make(kind: str, **settings) -> dict[str, np.ndarray]:
        save(tiny_dataset(channels=3), tmp_path / "tiny.npz")
        for_training, for_sampling = stages(kind, **settings)
        assert call("train", tmp_path / "tiny.npz", tmp_path / "model", stage=for_training) == 0
        for name in ("first.npz", "second.npz"):
            assert call("sample", tmp_path / "model", tmp_path / name, stage=for_sampling) == 0
        assert sha256_of(tmp_path / "first.npz") == sha256_of(tmp_path / "second.npz")
        return read_npz(tmp_path / "first.npz")

    return make


def assert_each_class_has_its_brightness(arrays: dict[str, np.ndarray]) -> None:
    assert (arrays["images"].dtype, arrays["images"].shape) == (np.uint8, (10, 12, 12, 3))
    dark, bright = (arrays["images"][arrays["labels"] == label].mean() for label in (0, 1))
    # The classes differ by 90 grey levels; the means of five images of noise vary by a few.
    assert bright - dark == pytest.approx(90, abs=20)


def test_the_package_of_the_example_is_installed_learns_and_makes_images_of_each_class(
    tmp_path_factory, monkeypatch, images
):
    pytest.importorskip("setuptools")
    pytest.importorskip("pip")
    package, site = (tmp_path_factory.mktemp(name) for name in ("package", "site"))
    files = example("As a package of your own")
    assert set(files) == {"pyproject.toml", "eigenimages.py"}
    assert sum(len(text.splitlines()) for text in files.values()) < 50
    for name, text in files.items():
        (package / name).write_text(text, encoding="utf-8")
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", site, package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    monkeypatch.syspath_prepend(site)
    assert_each_class_has_its_brightness(images("eigenimages", components=5))
    assert section_class("eigenimages").label == "eigenimages"


def test_the_built_in_kind_of_the_example_is_one_module_and_one_line(tmp_path, monkeypatch, images):
    files = example("In medbench")
    assert set(files) == {"medbench/augmenters/smote.py", "medbench/augmenters/__init__.py"}
    (tmp_path / "smote.py").write_text(files["medbench/augmenters/smote.py"], encoding="utf-8")
    monkeypatch.setattr(augmenters, "__path__", [*augmenters.__path__, str(tmp_path)])
    for kind, entry in ast.literal_eval(f"{{{files['medbench/augmenters/__init__.py']}}}").items():
        monkeypatch.setitem(augmenters.KINDS, kind, entry)
    try:
        assert_each_class_has_its_brightness(images("smote", neighbours=3))
        assert "Smote" in TypeAdapter(AnyAugmenter).json_schema()["$defs"]
        with pytest.raises(UserError, match=r"^config: augmenter\.neighbours: 'many': .*valid integer"):
            parse(TrainStage, stages("smote", neighbours="many")[0], "config")
        assert "SMOTE: Synthetic Minority" in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    finally:
        sys.modules.pop("medbench.augmenters.smote", None)


def test_what_plug_ins_may_import_is_there_and_its_code_counts(tmp_path, monkeypatch):
    """A package that trains by `train_network` of medbench.augmenters is trained again when the loop is edited."""
    assert all(getattr(augmenters, name) is not None for name in augmenters.MODULE_OF)
    tree = ast.parse(Path(augmenters.__file__).read_text(encoding="utf-8"))
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.name: node.module for node in checked.body for alias in node.names}
    assert typed == augmenters.MODULE_OF
    for name, text in {"bare": "", "training": "from medbench.augmenters import train_network\n"}.items():
        (tmp_path / f"{name}_plug_in.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    read, counted = fingerprint._read, []
    monkeypatch.setattr(fingerprint, "_read", lambda module, *how: counted.append(module) or read(module, *how))
    without = frozenset({"medbench.augmenters"})
    fingerprint.fingerprint.__wrapped__(("bare_plug_in",), without)
    assert counted == ["bare_plug_in"]
    fingerprint.fingerprint.__wrapped__(("training_plug_in",), without)
    assert "medbench.training.loop" in counted


@pytest.fixture
def faulty(tmp_path, monkeypatch):
    """A package with a kind that does something wrong, as pip would leave it."""
    site = tmp_path / "site"
    information = site / "faulty-1.0.dist-info"
    information.mkdir(parents=True)
    (site / "medbench_faulty.py").write_text(FAULTY, encoding="utf-8")
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n", encoding="utf-8")
    points = "[medbench.augmenters]\nfaulty = medbench_faulty:Faulty\n"
    (information / "entry_points.txt").write_text(points, encoding="utf-8")
    monkeypatch.syspath_prepend(site)
    yield
    sys.modules.pop("medbench_faulty", None)


@pytest.fixture
def refused(tmp_path, faulty, tiny_dataset, call, capsys):
    """A function that trains and samples as the command line does, and returns what it ends with, lines of stderr."""
    save(tiny_dataset(), tmp_path / "tiny.npz")

    def run(**settings) -> list[str]:
        for_training, for_sampling = stages("faulty", **settings)
        code = call("train", tmp_path / "tiny.npz", tmp_path / "model", stage=for_training)
        if code == 0:
            capsys.readouterr()
            code = call("sample", tmp_path / "model", tmp_path / "samples.npz", stage=for_sampling)
        assert code == 2
        assert not (tmp_path / "samples.npz").exists()
        return capsys.readouterr().err.splitlines()

    return run


def test_what_a_plug_in_returns_wrongly_is_told_in_one_line_that_names_it(refused):
    message = "sample returned images of 4×12 uint8, but those of the dataset are 12×12 uint8"
    assert refused(fault="shape") == [f"medbench: augmenter mine (kind faulty): {message}"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fault": "raises"}, "sample failed: KeyError: 'weights' (traceback above)"),
        ({"fails_in_fit": True}, "fit failed: ZeroDivisionError: a batch of no images (traceback above)"),
    ],
)
def test_a_plug_in_that_raises_is_told_in_one_line_under_its_traceback(refused, settings, message):
    first, *_, last = refused(**settings)
    assert first == "Traceback (most recent call last):"
    assert last == f"medbench: augmenter mine (kind faulty): {message}"


def test_a_wrong_setting_is_refused_with_those_that_are_right(refused):
    (line,) = refused(faults="none")
    assert line.startswith("medbench: --config: augmenter")
    assert "unknown key 'faults' (allowed: fails_in_fit, fault, kind, model, sample_batch_size)" in line


def test_a_setting_of_another_type_is_told_what_to_do(faulty):
    with pytest.raises(UserError, match=r"augmenter\.fault: 3 is no text; put it in quotes: '3'"):
        parse(TrainStage, stages("faulty", fault=3)[0], "config")
