"""A small, finished run folder as its stages would leave it, with its plan; every file has the same age."""

import json
import os
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from medbench.config.page_sections import page_section, report_section
from medbench.config.study import Config
from medbench.data.dataset import Dataset
from medbench.data.feature_vectors import write_features
from medbench.run import formats
from medbench.run.files import write_text
from medbench.run.formats import write_sums
from medbench.run.layout import DATASET, RECORD, Job, job_of
from medbench.run.logs import Usage
from medbench.run.planned import read_plan
from medbench.system.folder_lock import LOCK, claim
from tests.helpers.builders import score, write_fidelity, write_utility
from tests.helpers.records import record, write_json

NOW = 1_000_000.0  # seconds since the epoch
SECONDS = {"train": 100.0, "utility": 40.0}  # of a job; of other stages 2
CONFIG = {
    "name": "demo",
    "datasets": {"ct": {"kind": "phantom", "subject": "ct"}},
    "augmenters": {
        "ae": {"kind": "autoencoder"},
        "medienet": {"kind": "medienet", "first_stage": "ae"},
        "guided": {"kind": "medienet", "model": "medienet", "first_stage": "ae", "guidance_scale": 4},
        "classic": {"kind": "classic"},
    },
    "fidelity": {"weights": {"path": "inception.pth", "sha256": "a" * 64}, "dimensions": [64, 768], "n_generated": 8},
    "studies": {
        "field": {
            "datasets": ["ct"],
            "augmenters": ["medienet", "guided", "classic"],
            "arms": ["real", "real+classic@1"],
            "generator_seeds": [0],
        }
    },
    "run": ["field"],
}


def write_run(run: Path, dataset: Dataset) -> None:
    config = Config.model_validate(CONFIG)
    run.mkdir(parents=True)
    os.close(claim(run / LOCK))  # as Snakemake leaves it
    write_json(run / "sections/field.json", json.loads(report_section(config, "field").canonical()))
    write_json(run / "sections/report.json", json.loads(page_section(config, config).canonical()))
    plan = read_plan(run)
    for path, needs in plan.needs.items():
        job = job_of(path)
        _write(run, job, dataset)
        for output in job.outputs:
            if not output.endswith(RECORD):
                sources = [run / needed for needed in needs]
                record(run / output, plan.made_with.get(path), sources, stage=job.product.stage)
        write_text(run / job.log, Usage(SECONDS.get(job.product.stage, 2.0), 100).line() + "\n")
    age(run, 3600)


def age(folder: Path, seconds: float) -> None:
    """Sets the times of a folder and all in it, or of one file, to so long before NOW."""
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (NOW - seconds, NOW - seconds))


def _write(run: Path, job: Job, dataset: Dataset) -> None:
    path = run / job.path
    match job.product.stage:
        case "prepare" | "audit":
            dataset.save(path)
            if job.product is DATASET:
                formats.write_json(run / "audit/ct.json", {"dataset": "ct"})
        case "train":
            for part in ["vae", "unet"] if "classic" not in job.parts else []:
                formats.write_json(path / part / "config.json", {"channels": 4})
                save_file({"weight": np.ones(3, np.float32)}, path / part / "model.safetensors")
            write_text(path / "training.csv", "step,loss\n1,0.5\n2,0.25\n")
            formats.write_json(path / "medbench.json", {"augmenter": CONFIG["augmenters"][job.parts[1]]})
            write_sums(path)
        case "sample":
            formats.write_npz(path, {"images": np.zeros((8, 12, 12), dtype=np.uint8), "labels": np.arange(8) % 2})
        case "features":
            write_features(path, {"64": np.ones((8, 64), np.float32)}, {"images_sha256": "0" * 64})
        case "fidelity":
            write_fidelity(run, "/".join(job.parts), {("fid", "train", 64): 5.5})
        case "utility":
            write_utility(path, [score(0.75)], np.full((1, 4, 2), 0.5, np.float32))
        case "neighbours":
            formats.write_json(path, {"dataset_sha256": "0" * 64})
        case "tables":
            for ending in ("csv", "md", "tex"):
                write_text(path / f"fid.{ending}", "a,b\n1,2\n")
            write_sums(path)
        case "figures":
            path.mkdir(parents=True)
            Image.fromarray(np.zeros((4, 4), np.uint8)).save(path / "fid.png")
            write_text(path / "fid.svg", "<svg></svg>\n")
            write_sums(path)
        case "report" | "audit_page" | "neighbours_page":
            write_text(path, "<html></html>")
