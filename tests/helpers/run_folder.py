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
from medbench.run.files import sha256_of, sha256_of_folder, write_text
from medbench.run.jobs import PlannedJob, jobs_of, read_plan
from medbench.run.layout import made_from
from medbench.run.logs import Usage
from medbench.run.sealed_files import write_json, write_npz
from medbench.run.seals import write_html, write_sums
from medbench.system.folder_lock import LOCK, claim
from tests.helpers.builders import score, write_fidelity, write_utility

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
    for job in jobs_of(read_plan(run)).values():
        _write(run, job, dataset)
        write_text(run / job.log, Usage(SECONDS.get(job.stage, 2.0), 100).line() + "\n")
    age(run, 3600)


def age(folder: Path, seconds: float) -> None:
    """Sets the times of a folder and all in it, or of one file, to so long before NOW."""
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (NOW - seconds, NOW - seconds))


def _write(run: Path, job: PlannedJob, dataset: Dataset) -> None:
    path = run / job.key
    match job.stage:
        case "prepare" | "audit":
            dataset.save(path.with_suffix(".npz"), job.made_with)
            for other in job.others[1:]:
                write_json(run / other, {"dataset": "ct"})
        case "train":
            _write_model(run, path.parent, job)
        case "sample":
            images = np.zeros((8, 12, 12), dtype=np.uint8)
            made_with = np.array(job.made_with)
            write_npz(path, {"images": images, "labels": np.arange(8) % 2, "made_with": made_with})
        case "features":
            images = (run / made_from(job.key, {}, {})[0]).with_suffix(".npz")
            origin = {"images_sha256": sha256_of(images), "made_with": job.made_with}
            write_features(path, {"64": np.ones((8, 64), np.float32)}, origin)
        case "fidelity":
            write_fidelity(run, "/".join(job.parts), {("fid", "train", 64): 5.5}, made_with=job.made_with)
        case "utility":
            _write_utility(run, path, job)
        case "neighbours":
            write_json(path, {"dataset_sha256": sha256_of(run / "datasets/ct.npz")})
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
            write_html(path, "<html></html>")


def _write_model(run: Path, folder: Path, job: PlannedJob) -> None:
    dataset, name, seed = job.parts
    first_stage = CONFIG["augmenters"][name].get("first_stage")
    for part in ["vae", "unet"] if name != "classic" else []:
        write_json(folder / part / "config.json", {"channels": 4})
        save_file({"weight": np.ones(3, np.float32)}, folder / part / "model.safetensors")
    write_text(folder / "training.csv", "step,loss\n1,0.5\n2,0.25\n")
    vae = run / f"models/{dataset}/{first_stage}/{seed}/vae"
    description = {
        "made_with": job.made_with,
        "dataset_sha256": sha256_of(run / f"datasets/{dataset}.npz"),
        "augmenter": CONFIG["augmenters"][name],
        "given": {"first_stage": sha256_of_folder(vae)} if first_stage else {},
    }
    write_json(folder / "medbench.json", description)
    write_sums(folder)


def _write_utility(run: Path, path: Path, job: PlannedJob) -> None:
    samples = run / f"samples/ct/classic/{path.stem}.npz"
    origin = {
        "dataset_sha256": sha256_of(run / "datasets/ct.npz"),
        "samples_sha256": sha256_of(samples) if path.stem != "real" else None,
    }
    write_utility(path, [score(0.75)], np.full((1, 4, 2), 0.5, np.float32), job.made_with, **origin)
