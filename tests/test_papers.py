"""What is said of the two papers: docs/papers.md states what config.yaml holds, and leaves no choice out."""

import re
from pathlib import Path

import pytest
import yaml

from medbench.config.load import load
from medbench.config.study import Config
from medbench.core.sections import Section

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/papers.md").read_text("utf-8")
ROW = re.compile(r"^\| [^|]+ \| (?:`([^`]+)`)? ?\| `([a-z0-9_.]+)`( \*default\*)? \|", re.MULTILINE)
COST_ALONE = {"log_every", "checkpoint_every", "sample_batch_size", "gpu", "batch_size", "probe_images"}
IN_THE_ABSTRACT = {"multi_attention", "rope", "cross_attention", "kind", "network"}
OF_OTHERS = {"model", "clip_sample", "huber_beta"}  # latents are never clipped; β stands with the Huber entries
TEXTS = ("*.md", "*.cff", "config.yaml", "docs/*.md", "workflow/**/*", "medbench/**/*", "tests/**/*.py")


@pytest.fixture(scope="module")
def written() -> dict:
    return yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def config(written) -> Config:
    return load(written)


def at(holder, key: str):
    """What a dotted key leads to."""
    for name in key.split("."):
        holder = holder[name] if isinstance(holder, dict) else getattr(holder, name)
    return holder


def plain(value):
    return (
        value.model_dump(mode="json") if isinstance(value, Section) else [*value] if isinstance(value, tuple) else value
    )


def test_every_key_of_the_page_leads_to_the_value_that_it_states(config):
    rows = ROW.findall(PAGE)
    assert len(rows) > 100
    for value, key, _ in rows:
        setting = plain(at(config, key))
        assert not value or setting == yaml.safe_load(value), key


def test_a_key_is_called_default_where_config_yaml_does_not_write_it(written):
    for _, key, default in ROW.findall(PAGE):
        where, _, name = key.rpartition(".")
        assert (name in at(written, where) if where else name in written) == (not default), key


@pytest.mark.parametrize("entry", ["annotated_l2", "vae", "medienet_l2"])
def test_no_setting_of_a_followed_model_is_left_out(config, entry):
    listed = {key.rpartition(".")[2] for _, key, _ in ROW.findall(PAGE) if key.startswith(f"augmenters.{entry}.")}
    settings = set(type(config.augmenters[entry]).model_fields)
    assert settings - listed <= COST_ALONE | IN_THE_ABSTRACT | OF_OTHERS | {"loss", "sample_steps"}


def test_no_setting_of_the_classifier_and_of_fidelity_is_left_out(config):
    for part in ("utility", "fidelity"):
        listed = {key.split(".")[1] for _, key, _ in ROW.findall(PAGE) if key.startswith(f"{part}.")}
        assert set(type(getattr(config, part)).model_fields) - listed <= COST_ALONE | IN_THE_ABSTRACT


def test_files_and_links_of_the_page_are_there():
    files = re.findall(r"`(medbench/[\w/]+\.py)`", PAGE) + re.findall(r"\]\(\.\./([^)]+)\)", PAGE)
    assert len(files) > 20
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_no_text_calls_an_open_access_paper_not_public():
    """In any spelling, over line breaks and the ends of strings."""
    claim = re.compile("(not|nor)" + r"[\s\"#]+public\b", re.IGNORECASE)
    endings = {".py", ".md", ".cff", ".yaml", ".j2", ".smk", ".json"}
    files = {path for pattern in TEXTS for path in ROOT.glob(pattern) if path.suffix in endings}
    assert len(files) > 400
    assert [path.name for path in sorted(files) if claim.search(path.read_text("utf-8"))] == []
