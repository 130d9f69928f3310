"""A run of many kinds of augmenters, made by hand: what figures of a whole field are drawn from."""

from pathlib import Path

import numpy as np
import pytest

from medbench.config.page_sections import report_section
from medbench.config.plan import Generator, models, trained_as
from medbench.config.study import Config
from medbench.core.rng import numpy_rng
from medbench.data.dataset import SPLITS, Dataset, Split
from medbench.report.results import StudyResults
from medbench.run.files import write_text
from medbench.run.logs import Usage
from tests.helpers.builders import card_of, write_fidelity, write_trained
from tests.helpers.records import save, write_npz

SIZE = 12
LATENT = {"first_stage": "ae", "fidelity_checks": 4, "select": "kid"}
SECTIONS = {
    "ae": {"kind": "autoencoder"},
    "medienet": {"kind": "medienet", **LATENT},
    "medienet_huber": {"kind": "medienet", "loss": "huber", **LATENT},
    "no_rope": {"kind": "medienet", "rope": False, **LATENT},
    "no_attention": {"kind": "medienet", "multi_attention": False, **LATENT},
    "ldm": {"kind": "ldm", **LATENT},
    "cddpm": {"kind": "cddpm", "schedule": "cosine", "prediction": "v", "fidelity_checks": 2, "check_dimension": 2048},
    "annotated": {"kind": "annotated_ddpm", "conditioning": "label", "timesteps": 300, "sampler": "ancestral"},
    "cvae": {"kind": "cvae"},
    "cgan": {"kind": "cgan"},
    "classic": {"kind": "classic"},
    "copy": {"kind": "copy"},
    "ready": {"kind": "images", "path": "made/{dataset}.npz"},
    "mixup": {"kind": "mixup"},
    **{
        f"steps{steps}_g{scale}": {
            "kind": "medienet",
            "model": "medienet",
            "sample_steps": steps,
            "guidance_scale": scale,
        }
        for steps in (10, 25, 50)
        for scale in (1, 2, 4)
    },
}
FIELD = ("medienet", "medienet_huber", "ldm", "cddpm", "annotated", "cvae", "cgan", "ready", "classic", "copy", "mixup")
ROWS = {  # kind -> what it logs: start and end of each column
    "autoencoder": {"loss": (0.6, 0.05), "psnr": (15.0, 28.5), "ssim": (0.4, 0.93), "l1": (0.4, 0.04)},
    "medienet": {"loss": (1.0, 0.3), "eps_mse": (1.0, 0.35)},
    "ldm": {"loss": (1.0, 0.35), "eps_mse": (1.0, 0.4)},
    "cddpm": {"loss": (1.0, 0.1), "eps_mse": (1.0, 0.05)},
    "annotated_ddpm": {"loss": (1.0, 0.1), "eps_mse": (1.0, 0.03)},
    "cvae": {"loss": (900.0, 200.0), "val_mse": (0.3, 0.05), "val_kl": (2.0, 12.0)},
    "cgan": {"loss": (0.5, 0.6), "loss_discriminator": (1.5, 1.0), "val_real_score": (0.0, 0.4)},
}
FID = {"ae": 4, "ldm": 14, "cddpm": 9, "cvae": 60, "cgan": 35, "classic": 6, "copy": 1.5}  # at 64 dimensions, about


@pytest.fixture(scope="session")
def pictured_run():
    """A function that writes what a study of such augmenters leaves, but for its arms, and gives it as StudyResults."""
    return write_field


def write_field(
    folder: Path,
    augmenters=FIELD,
    datasets=("gray", "colour"),
    seeds=(0, 1),
    classes=("normal", "pneumonia", "third.kind"),
    dimensions=(64, 192, 768),
    **study,
) -> StudyResults:
    arms = study.get("arms", [])
    config = Config.model_validate(
        {
            "name": "field",
            "datasets": {name: {"kind": "npz", "path": "x.npz"} for name in datasets},
            "augmenters": SECTIONS,
            "fidelity": {"weights": {"path": "w.pth", "sha256": "0" * 64}, "n_generated": 60},
            "studies": {
                "field": {
                    "datasets": datasets,
                    "augmenters": augmenters,
                    "generator_seeds": seeds,
                    **study,
                    "arms": arms,
                }
            },
            "run": ["field"],
        }
    )
    for name in datasets:
        _write_dataset(folder, name, classes)
    for model in models(config, "field"):
        _write_generator(folder, config, model, len(classes), dimensions)
    section = dict(report_section(config, "field")) | {"expected": {}}
    return StudyResults(folder, **section)


def _images(name: str, n: int, *axes) -> np.ndarray:
    shape = (n, SIZE, SIZE, 3) if name.startswith("colour") else (n, SIZE, SIZE)
    return numpy_rng(0, name, *axes).randint(0, 256, shape).astype(np.uint8)


def _write_dataset(folder: Path, name: str, classes) -> None:
    labels = np.arange(60) % len(classes)
    card = card_of(
        name,
        classes,
        title=name,
        channels=3 if name.startswith("colour") else 1,
        image_size=(SIZE, SIZE),
        counts={split: np.bincount(labels).tolist() for split in SPLITS},
    )
    split = Split(_images(name, 60), labels, np.arange(60))
    save(Dataset(dict.fromkeys(SPLITS, split), card), folder / f"datasets/{name}.npz")


def _write_generator(folder: Path, config: Config, model: Generator, n_classes: int, dimensions) -> None:
    name, section = _name(model), config.augmenters[model.augmenter]
    trained, rng = model._replace(augmenter=trained_as(config, model.augmenter)), numpy_rng(0, name)
    _write_model(folder, section, _name(trained))
    labels = np.arange(60) % n_classes
    arrays = {"images": _images(model.dataset, 60, model.augmenter, model.seed), "labels": labels}
    noisy = section.kind in ("medienet", "ldm", "cddpm", "annotated_ddpm")
    arrays["trajectory"] = arrays["images"][:9] if noisy else np.zeros(0, np.uint8)
    arrays["trajectory_timesteps"] = (
        np.linspace(getattr(section, "timesteps", 0), 0, 9).astype(int) if noisy else labels[:0]
    )
    write_npz(folder / f"samples/{name}.npz", arrays)
    write_text(folder / f"features/{name}.safetensors", "")
    seconds = 20.0 + getattr(section, "sample_steps", 0)
    write_text(folder / f"logs/sample/{name.replace('/', '-')}.log", Usage(seconds, 700).line() + "\n")
    around = FID.get(model.augmenter, 8) * (1 + 0.1 * rng.rand()) * (1 + 10 / (section.sample_steps if noisy else 50))
    _write_fidelity(folder, name, around, dimensions)


def _name(model: Generator) -> str:
    return f"{model.dataset}/{model.augmenter}/seed{model.seed}"


def _write_model(folder: Path, section, name: str) -> None:
    runtime = {"precision": "fp32", "device": "cpu"}
    described = {"augmenter": section.model_dump(mode="json"), "runtime": runtime, "parameters": {"unet": 1_234_567}}
    ends = ROWS.get(section.kind)
    log = _training_log(section, ends, numpy_rng(0, "log", name)) if ends else None
    write_trained(folder / f"models/{name}", described | {"images_seen": 6400}, log)
    write_text(folder / f"logs/train/{name.replace('/', '-')}.log", Usage(90.0, 800).line() + "\n")


def _training_log(section, ends: dict[str, tuple[float, float]], rng: np.random.RandomState) -> str:
    n, checks = 24, getattr(section, "fidelity_checks", 0)
    names = ["component", "step", "images_seen", *ends, *(["kid", "kept"] if checks else [])]
    lines = [",".join(names)]
    for i in range(1, n + 1):
        values = [end + (start - end) * np.exp(-i / 6) * (1 + 0.05 * rng.rand()) for start, end in ends.values()]
        at_check = checks and i % (n // checks) == 0
        kid = 0.03 + 0.1 / i + 0.01 * rng.randn() if at_check else ""
        checked = [kid, int(i == n // checks * 2)] if checks else []  # the second check is the one that was kept
        lines.append(",".join(map(str, ["unet", i * 50, i * 3200, *values, *checked])))
    return "\n".join(lines) + "\n"


def _write_fidelity(folder: Path, name: str, fid: float, dimensions) -> None:
    at_64 = {("fid", "train"): fid, ("fid", "test"): fid + 1, ("fid", "train_part"): fid + 0.5}
    at_64 |= {("fid_floor", "train_part"): 1.2, ("fid_over_floor", "train_part"): fid / 1.2}
    values = {(*key, dimension): value * dimension / 64 for dimension in dimensions for key, value in at_64.items()}
    write_fidelity(folder, name, values, n_real=120, n_generated=60)
