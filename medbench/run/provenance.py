"""`medbench provenance`: the records of a run as one Workflow Run RO-Crate, which other tools read.

It conforms to Provenance Run Crate 0.5 (https://w3id.org/ro/wfrun/provenance/0.5): one action per record, with the
stage as its tool, and a hash on every file. What lies outside the run is named by its hash alone.
"""

import os
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from medbench.core import __version__
from medbench.core.errors import UserError
from medbench.run.files import replacing, write_text
from medbench.run.formats import SUMS, read_json
from medbench.run.layout import REPORT, record_of
from medbench.run.records import Record, read_record
from medbench.run.verify import products_in

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

CRATE = "ro-crate-metadata.json"
CHECKOUT = Path(__file__).parents[2]
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
Reference = dict[str, str]  # to an entity of the crate


def write_crate(run: Path) -> Path:
    """Writes ro-crate-metadata.json into a run folder, and a copy of the workflow beside it.

    Returns:
        the file.

    Raises:
        UserError: no such run, no finished job in it, a damaged record, a folder that cannot be written, no checkout,
            or `rocrate` is not installed.
    """
    try:
        from rocrate.rocrate import ROCrate
    except ImportError as error:
        raise UserError("provenance: rocrate is not installed (pip install 'medbench[provenance]')") from error
    run = Path(os.path.relpath(os.path.realpath(run))) if ".." in run.parts else run
    named = {record_of(path): path for path in reversed(products_in(run)) if path != record_of(path)}
    found = {record: read_record(path) for record, path in named.items() if record.exists()}
    records = dict(sorted(found.items(), key=lambda item: item[1].started))
    if not records:
        raise UserError(f"{run}: holds no record of a finished job")
    crate = ROCrate(version="1.1")
    _add_workflow(crate, run, list(dict.fromkeys(record.stage for record in records.values())))
    for path, record in records.items():
        _add_files(crate, run, path, record)
    for path, record in records.items():
        _add_action(crate, run, path, record)
    _add_run(crate, run, records)
    with replacing(run / CRATE) as temporary:
        crate.metadata.write(temporary.parent)
    return run / CRATE


def _reference(name: str) -> Reference:
    return {"@id": quote(name, safe="/#:")}


def _references(names: Iterable[str]) -> list[Reference]:
    return [_reference(name) for name in names]


def _add_workflow(crate: "ROCrate", run: Path, stages: list[str]) -> None:
    """The rules, whose steps and tools are the stages."""
    for path in [CHECKOUT / "Snakefile", *sorted((CHECKOUT / "workflow/rules").glob("*.smk"))]:
        if not path.is_file():
            raise UserError(f"{path}: is not there, as medbench is no checkout; call `python -m medbench` in one")
        write_text(run / "workflow" / path.relative_to(CHECKOUT), path.read_text(encoding="utf-8"))
    name = "workflow/Snakefile"
    types = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
    properties = {"@type": types, "name": "medbench", "version": __version__}
    workflow = crate.add_workflow(run / name, name, main=True, lang="snakemake", properties=properties)
    for position, stage in enumerate(stages):
        tool = {"@id": f"#{stage}", "@type": "SoftwareApplication", "name": f"medbench {stage}"}
        crate.add_jsonld(tool | {"softwareVersion": __version__})
        step: dict[str, Any] = {"@id": f"#step-{stage}", "@type": "HowToStep", "name": stage, "position": str(position)}
        crate.add_jsonld(step | {"workExample": _reference(f"#{stage}")})
    workflow["hasPart"] = _references(f"#{stage}" for stage in stages)
    workflow["step"] = _references(f"#step-{stage}" for stage in stages)


def _add_files(crate: "ROCrate", run: Path, path: Path, record: Record) -> None:
    """What a record tells of and is still there; a folder with its list."""
    for name, sha256 in record.sha256.items():
        file = path.parent / name
        if file.exists():
            crate.add_file(
                file, _name(run, file), properties={"sha256": sha256, "contentSize": str(file.stat().st_size)}
            )
        if name.endswith(f"/{SUMS}"):
            folder = crate.add_dataset(
                file.parent, _name(run, file.parent), properties={"name": _name(run, file.parent)}
            )
            folder["hasPart"] = [_reference(_name(run, file))]


def _name(run: Path, path: Path) -> str:
    """As the crate calls a file or folder that is in the run."""
    return path.relative_to(run).as_posix() + ("/" if path.is_dir() else "")


def _add_action(crate: "ROCrate", run: Path, path: Path, record: Record) -> None:
    versions = ", ".join(map(" ".join, record.versions.items()))
    crate.add_jsonld(
        {
            **_reference(f"#{path.relative_to(run).as_posix()}"),
            "@type": "CreateAction",
            "name": f"{record.stage}: {', '.join(record.sha256)}",
            "description": f"code {record.code}, section {record.made_with}, on {record.host}, with {versions}",
            "instrument": _reference(f"#{record.stage}"),
            "object": [_source(crate, run, path, name, sha256) for name, sha256 in record.made_from.items()],
            "result": _references(_name(run, path.parent / name.removesuffix(f"/{SUMS}")) for name in record.sha256),
            "startTime": record.started,
            "endTime": record.ended,
        }
    )


def _source(crate: "ROCrate", run: Path, record: Path, name: str, sha256: str) -> Reference:
    path = Path(os.path.normpath(record.parent / name))
    if path.is_relative_to(run):
        return _reference(_name(run, path))
    if not crate.dereference(f"#{sha256}"):
        title = os.fsencode(path.name).decode(errors="replace")  # a name may be no UTF-8
        crate.add_jsonld({"@id": f"#{sha256}", "@type": "CreativeWork", "name": title, "sha256": sha256})
    return _reference(f"#{sha256}")


def _add_run(crate: "ROCrate", run: Path, records: Mapping[Path, Record]) -> None:
    """All of it as one action of Snakemake, which did every stage's."""
    actions = {path: f"#{path.relative_to(run).as_posix()}" for path in records}
    began, ended = min(record.started for record in records.values()), max(record.ended for record in records.values())
    times = {"startTime": began, "endTime": ended}
    sections = [path for path in records if records[path].stage == "section"]
    snakemake = {"@id": "#snakemake", "@type": "SoftwareApplication", "name": "Snakemake"}
    crate.add_jsonld(snakemake | {"url": "https://snakemake.github.io", "softwareVersion": version("snakemake")})
    whole: dict[str, Any] = {"@id": "#run", "@type": "CreateAction", "name": f"run {run.resolve().name}", **times}
    whole |= {"description": "All jobs whose records are there"}
    whole |= {"instrument": _reference("workflow/Snakefile")}
    whole |= {"object": _references(f"sections/{name}" for path in sections for name in records[path].sha256)}
    whole |= {"result": _references([REPORT.path()] if (run / REPORT.path()).exists() else [])}
    crate.add_jsonld(whole)
    stages = list(dict.fromkeys(record.stage for record in records.values()))
    for stage in stages:
        done = [actions[path] for path, record in records.items() if record.stage == stage]
        control: dict[str, Any] = {"@id": f"#control-{stage}", "@type": "ControlAction", "name": f"run {stage}"}
        crate.add_jsonld(control | {"instrument": _reference(f"#step-{stage}"), "object": _references(done)})
    engine: dict[str, Any] = {"@id": "#engine", "@type": "OrganizeAction", "name": "Snakemake", **times}
    engine |= {"instrument": _reference("#snakemake"), "result": _reference("#run")}
    crate.add_jsonld(engine | {"object": _references(f"#control-{stage}" for stage in stages)})
    root = crate.root_dataset
    root["name"] = f"medbench run {run.resolve().name}"
    root["description"] = "Datasets, generated images, scores and report"
    root["datePublished"] = ended
    crate.add_jsonld({"@id": "#licence", "@type": "CreativeWork", "name": _licences(run)})
    root["license"] = _reference("#licence")
    for url, name in PROFILES.items():
        crate.add_jsonld({"@id": url, "@type": "CreativeWork", "name": name, "version": url.rpartition("/")[2]})
    root["conformsTo"] = _references(PROFILES)
    root["mentions"] = _references(["#run", *actions.values()])


def _licences(run: Path) -> str:
    """Of the datasets, of which samples and features are made."""
    cards = [path for path in run.glob("datasets/*.json") if path != record_of(path)]
    return "; ".join(sorted({read_json(path)["licence"] for path in cards})) or "not stated"
