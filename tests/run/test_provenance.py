"""A run's records as an RO-Crate: every file with its hash, every job as an action between files that are there."""

import json
import os
from urllib.parse import unquote

import pytest

from medbench.core.errors import UserError
from medbench.run.files import sha256_of
from medbench.run.provenance import write_crate
from tests.helpers.records import record

pytest.importorskip("rocrate")


@pytest.fixture
def entities(whole_run):
    """Identifier -> entity of the crate of a finished run, which was given a file from outside."""
    given = whole_run.parent / os.fsdecode(b"weights-\xff.bin")  # its name is no UTF-8
    given.write_text("weights")
    record(whole_run / "models/ct/classic/seed0", made_from=[whole_run / "datasets/ct.npz"], given=[given])
    return {entity["@id"]: entity for entity in json.loads(write_crate(whole_run).read_text())["@graph"]}


def ids(value) -> list[str]:
    return [item["@id"] for item in ([value] if isinstance(value, dict) else value)]


def test_every_reference_leads_to_an_entity(entities):
    references = set()

    def collect(value):
        if isinstance(value, dict):
            references.update([value["@id"]] if "@id" in value else [])
            [collect(item) for item in value.values()]
        elif isinstance(value, list):
            [collect(item) for item in value]

    collect([list(entity.values()) for entity in entities.values()])
    missing = references - set(entities)
    assert all(reference.startswith("https://") for reference in missing)  # of rocrate's own
    assert len(missing) <= 3


def test_every_file_has_its_hash_and_every_job_its_files(whole_run, entities):
    files = {name: entity for name, entity in entities.items() if "sha256" in entity and not name.startswith("#")}
    assert len(files) > 20
    for name, entity in files.items():
        assert entity["sha256"] == sha256_of(whole_run / unquote(name))
    job = entities["#fidelity/ct/classic/seed0.record.json"]
    assert job["@type"] == "CreateAction" and job["instrument"] == {"@id": "#fidelity"}
    assert ids(job["result"]) == ["fidelity/ct/classic/seed0.json"]
    assert sorted(ids(job["object"])) == [
        "features/ct/classic/seed0.safetensors",
        "features/ct/test.safetensors",
        "features/ct/train.safetensors",
    ]
    assert ids(entities["#models/ct/medienet/seed0.record.json"]["result"]) == ["models/ct/medienet/seed0/"]


def test_what_lies_outside_is_named_by_its_hash_alone(whole_run, entities):
    sha256 = sha256_of(whole_run.parent / os.fsdecode(b"weights-\xff.bin"))
    assert f"#{sha256}" in ids(entities["#models/ct/classic/seed0.record.json"]["object"])
    assert entities[f"#{sha256}"]["name"] == "weights-�.bin"
    assert str(whole_run.parent) not in json.dumps(list(entities.values()))


def test_the_workflow_is_in_it_with_a_step_for_each_stage(whole_run, entities):
    workflow = entities["workflow/Snakefile"]
    assert (whole_run / "workflow/Snakefile").exists()
    tools = [entities[step]["workExample"]["@id"] for step in ids(workflow["step"])]
    assert tools == ids(workflow["hasPart"])
    assert {"#train", "#sample", "#utility"} < set(tools)


def test_a_run_without_records_is_refused(whole_run):
    for path in whole_run.rglob("*.record.json"):
        path.unlink()
    with pytest.raises(UserError, match="holds no record of a finished job"):
        write_crate(whole_run)
