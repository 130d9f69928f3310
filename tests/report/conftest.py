"""What the tests of the report share: runs made by hand, figures as they would be saved, what a reader sees in them."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from medbench.audit.audit import audit_dataset
from medbench.config.page_sections import report_section
from medbench.config.plan import trained_as
from medbench.config.study import Config
from medbench.core.arms import Arm
from medbench.core.rng import numpy_rng
from medbench.data.dataset import Card, Dataset, Split, card_path, class_counts
from medbench.data.digest import origins_of
from medbench.report import effects
from medbench.report.figures import style
from medbench.report.results import StudyResults
from medbench.run.formats import read_json
from medbench.utility.scores import score_rows, val_thresholds
from tests.helpers.builders import card_of, write_fidelity, write_trained, write_utility
from tests.helpers.records import write_json

STRENGTH = {"real": 1.2, "oversample": 1.3, "a": 1.6, "b": 1.0}  # how far a class's logit is raised on its images


@pytest.fixture
def drawn(monkeypatch):
    """The figures that would have been saved."""
    figures = []
    monkeypatch.setattr(style, "save", lambda figure, stem: figures.append(figure))
    return figures


@pytest.fixture
def texts():
    """A function that gives the texts that are drawn; a figure also keeps ticks that it does not draw."""
    return _texts


def _texts(figure: Figure) -> list[Text]:
    shown = []
    with pytest.MonkeyPatch.context() as patch:
        draw = Text.draw
        patch.setattr(Text, "draw", lambda text, renderer: (shown.append(text), draw(text, renderer)))
        FigureCanvasAgg(figure).draw()
    return [text for text in dict.fromkeys(shown) if text.get_text() and text.get_visible()]


@pytest.fixture
def check_legible():
    """A function that fails where text is cut off, lies on other text, or is smaller than `smallest` points."""

    def check(figure: Figure, smallest: float = 7) -> None:
        shown = _texts(figure)
        words = [text.get_text() for text in shown]
        boxes = np.array([text.get_window_extent().extents for text in shown])  # x0, y0, x1, y1
        low, high = boxes[:, :2], boxes[:, 2:]
        outside = np.any((low < 0) | (high > figure.bbox.max), axis=1)
        assert [word for word, cut in zip(words, outside, strict=True) if cut] == []
        # Half a pixel: lines of text may touch.
        overlapping = np.all(high[:, None] > low[None] + 0.5, axis=2)
        pairs = np.argwhere(np.triu(overlapping & overlapping.T, k=1))
        assert [(words[one], words[two]) for one, two in pairs] == []
        assert min(text.get_fontsize() for text in shown) >= smallest

    return check


@pytest.fixture
def few_draws(monkeypatch):
    """Few draws of a bootstrap, where intervals are not what is tested."""
    monkeypatch.setattr(effects, "DRAWS", 20)


@pytest.fixture
def svg_alone(monkeypatch):
    """Figures are saved without their png, where texts are what is tested."""
    monkeypatch.setattr(style, "FORMATS", {"svg": style.FORMATS["svg"]})


@pytest.fixture(scope="session")
def classifier_run():
    """A function that writes the scores of 3 classifier seeds an arm, drawn at random: a helps, b does not."""
    return _classifier_run


def _classifier_run(
    folder: Path,
    classes: Mapping[str, Sequence[str]],
    arms: Sequence[str],
    augmenters=("a", "b"),
    seeds=(0, 1),
    budgets=("steps", "epochs"),
    n=60,
    leak=0.0,
) -> StudyResults:
    """`leak`: how much farther apart the classes are on the test split."""
    results = StudyResults(
        folder, "demo", tuple(classes), augmenters, seeds, arms=arms, budgets=budgets, classifier_seeds=(0, 1, 2)
    )
    for dataset, names in classes.items():
        card = card_of(dataset, names, counts={"test": np.bincount(np.arange(n) % len(names)).tolist()})
        write_json(card_path(folder / f"datasets/{dataset}.npz"), card.model_dump(mode="json"))
        for budget, arm in itertools.product(budgets, map(Arm.parse, arms)):
            for origin in results.origins(arm.name):
                path = folder / "utility" / dataset / arm.trained_under(budget) / arm.name / f"{origin}.json"
                rows, test, arrays = _scores(tuple(names), dataset, budget, arm.name, origin, n, leak)
                write_utility(path, rows, test, arrays=arrays)
    return results


@cache
def _scores(classes: tuple[str, ...], dataset: str, budget: str, arm_name: str, origin: str, n: int, leak: float):
    """Rows, test scores (3, N, K) and other arrays as of the utility stage, for 3 classifier seeds."""
    arm, rng, k = Arm.parse(arm_name), numpy_rng(0, dataset, budget, arm_name, origin), len(classes)
    labels = np.arange(n) % k
    strength = STRENGTH.get(arm.extra or "real", 1.4) - (0 if arm.real else 1.2) + leak
    logits = rng.standard_normal((2, 3, n, k)) + strength * np.eye(k)[labels]
    scores = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    val, test = scores.astype(np.float32)
    thresholds = np.stack([val_thresholds(labels, of_run) for of_run in val])
    rows = [
        {"classifier_seed": seed, **row}
        for seed in range(3)
        for row in score_rows(labels, test[seed], thresholds[seed], classes)
    ]
    return rows, test, {"val_scores": val, "thresholds": thresholds}


# A dataset under two protocols --------------------------------------------------------------------------------------

CT = ["adenocarcinoma", "normal", "squamous.cell.carcinoma"]
ARMS = ("real", "real+oversample@1", "real+a@1", "only-a")


@pytest.fixture(scope="session")
def protocol_run():
    """A function that writes arms on a leaking dataset, ct_aspub, and on ct, the same cleaned, with their audits."""
    return _protocol_run


def _protocol_run(folder: Path, protocol="clean", arms=ARMS, budgets=("steps",), seeds=(0,), **study) -> StudyResults:
    options = {"arms": arms, "augmenters": ("a",), "budgets": budgets, "seeds": seeds}
    _classifier_run(folder, {"ct_aspub": CT}, n=90, leak=0.8, **options)
    results = _classifier_run(folder, {"ct": CT}, n=60, **options)
    write_json(folder / "datasets/ct.json", read_json(folder / "datasets/ct.json") | {"protocol": protocol})
    for name, applied in {"ct_aspub": "as_published", "ct": protocol}.items():
        write_json(
            folder / f"audit/{name}.json", audit_dataset(leaking(name), applied, 0).result.model_dump(mode="json")
        )
    pairs = {"datasets": ("ct_aspub", "ct"), "protocols": [("ct_aspub", "ct")]}
    return replace(results, **pairs | study)


def leaking(name: str) -> Dataset:
    """A raw dataset of 36 / 12 / 12 images: 3 of test are in train, and 2 of train are one with two labels."""
    images = np.random.RandomState(0).randint(0, 256, (60, 12, 12)).astype(np.uint8)
    images[48:51], images[1] = images[3:6], images[0]
    whole = Split(images, np.arange(60) % 3, np.arange(60), origins_of(images, list(map(str, range(60)))))
    rows = {"train": range(36), "val": range(36, 48), "test": range(48, 60)}
    splits = {split: whole.rows(np.array(own)) for split, own in rows.items()}
    stated = dict.fromkeys(("title", "source", "licence", "citation"), "")
    counts = class_counts(splits, len(CT))
    return Dataset(splits, Card(name=name, **stated, classes=CT, channels=1, image_size=(12, 12), counts=counts))


@pytest.fixture(scope="session")
def write_audit():
    """A function that audits the 90 test images of ct_aspub, some of which stand in train or val."""
    return _write_audit


def _write_audit(folder: Path, in_train: Sequence[int] = (), in_val: Sequence[int] = (), **card) -> None:
    """`in_train`, `in_val`: rows of test; `card`: what its card says otherwise."""
    images = np.random.RandomState(1).randint(0, 256, (150, 12, 12)).astype(np.uint8)
    images[90 : 90 + len(in_train)] = images[list(in_train)]
    images[120 : 120 + len(in_val)] = images[list(in_val)]
    whole = Split(images, np.arange(150) % 3, np.arange(150), origins_of(images, list(map(str, range(150)))))
    rows = {"test": range(90), "train": range(90, 120), "val": range(120, 150)}
    splits = {split: whole.rows(np.array(own)) for split, own in rows.items()}
    stated = dict.fromkeys(("title", "source", "licence", "citation"), "") | card
    sizes = {"classes": CT, "channels": 1, "image_size": (12, 12), "counts": class_counts(splits, len(CT))}
    report = audit_dataset(Dataset(splits, Card(name="ct_aspub", **stated, **sizes)), "as_published", 0).result
    write_json(folder / "audit/ct_aspub.json", report.model_dump(mode="json"))


# A run of many kinds of augmenters, as its stages would leave it ----------------------------------------------------

LATENT = {"kind": "medienet", "first_stage": "ae", "steps": 30, "batch_size": 8, "sample_steps": 5}
AUGMENTERS = {
    "ae": {"kind": "autoencoder", "steps": 20, "batch_size": 8},
    "medienet": LATENT,
    "norope": LATENT | {"rope": False},
    "nomodule": LATENT | {"multi_attention": False},
    "guided": {"kind": "medienet", "model": "medienet", "guidance_scale": 4},
    "unguided": {"kind": "medienet", "model": "medienet", "guidance_scale": 1, "sample_steps": 20},
    "pixels": {
        "kind": "annotated_ddpm",
        "conditioning": "label",
        "loss": "huber",
        "timesteps": 40,
        "sampler": "ancestral",
    },
    "cvae": {"kind": "cvae"},
    "classic": {"kind": "classic"},
    "copy": {"kind": "copy"},
    "ready": {"kind": "images", "path": "/home/ada/${SECRET}/{dataset}.npz"},
    "mixup": {"kind": "mixup"},
}
STUDIES = {
    "field": {"augmenters": ["medienet", "guided", "pixels", "cvae", "classic", "copy", "ready", "mixup"]},
    "ablation": {"augmenters": ["norope", "medienet", "nomodule", "cvae"], "ablation": "medienet"},
    "sampling": {"augmenters": ["guided", "medienet", "unguided", "norope"], "sampling": "medienet"},
}
PARAMETERS = {"ae": {"vae": 500}, "cvae": {"vae": 70}, "classic": {}, "copy": {}, "ready": {}}
PARAMETERS |= {"medienet": {"unet": 2000}, "norope": {"unet": 2000}, "nomodule": {"unet": 1250}}
PARAMETERS |= {"pixels": {"unet0": 450, "unet1": 450}}
IMAGES_SEEN = {"ae": 160, "cvae": 1000, "pixels": 4000, "classic": 0, "copy": 0, "ready": 0}  # else 240
# FID against test at dimension 64 with seed 0, else 20; each further seed adds 1, to norope 2; 768 is ten times it.
FID = {"medienet": 5.0, "norope": 7.0, "nomodule": 9.0, "guided": 4.0, "unguided": 6.0, "ae": 2.0, "copy": 1.0}
FLOOR = 0.5


@pytest.fixture
def field_run():
    """A function that fills a folder with one study's cards, models and fidelity, and reads it."""
    return _field_run


def _field_run(folder: Path, study: str, seeds=(0, 1, 2), arms=(), **settings) -> StudyResults:
    """`settings`: further ones of the study."""
    wanted = {"datasets": ["ct"], "generator_seeds": list(seeds), "arms": list(arms), **STUDIES[study], **settings}
    config = Config.model_validate(
        {
            "name": "demo",
            "datasets": {"ct": {"kind": "phantom", "subject": "ct"}},
            "augmenters": AUGMENTERS,
            "fidelity": {"weights": "random", "n_generated": 300},
            "studies": {study: wanted},
            "run": [study],
        }
    )
    section = dict(report_section(config, study))
    for name, seed in itertools.product(section["augmenters"], seeds):
        trained = trained_as(config, name)
        write_model(folder / f"models/ct/{trained}/seed{seed}", trained, seed, section)
        write_fid(folder, name, seed)
    sizes = {"train": [450, 450], "val": [50, 50], "test": [400, 400]}
    card = card_of("ct", ["normal", "cancer"], title="Chest CT", image_size=(28, 28), counts=sizes)
    write_json(folder / "datasets/ct.json", card.model_dump())
    # The hashes of the config are the workflow's matter: without them everything belongs together.
    return StudyResults(folder, **section | {"expected": {}})


def write_model(folder: Path, name: str, seed: int, section: Mapping) -> None:
    """A first stage logs how well it reconstructs, better with each seed; a generator its loss, others nothing."""
    described = {
        "augmenter": dict(AUGMENTERS[name]) | section["sections"].get(name, {}),
        "parameters": PARAMETERS[name],
        "images_seen": IMAGES_SEEN.get(name, 240),
        "given": {"inception": None, "file": "f" * 64} if name == "ready" else {"inception": None},
        "runtime": {"precision": "fp32", "device": "cpu", "versions": {"torch": "2.11.0"}},
    }
    logs = {
        "ae": f"component,step,images_seen,loss,psnr,ssim\nvae,10,80,0.3,18,0.5\nvae,20,160,0.2,{20 + seed},0.75\n",
        "cvae": "component,step,images_seen,loss,val_mse\nvae,10,1000,0.3,0.1\n",
    }
    generator = "component,step,images_seen,loss,eps_mse\nunet,30,240,0.2,0.1\n"
    write_trained(folder, described, logs.get(name, generator) if IMAGES_SEEN.get(name, 240) else None)


def write_fid(folder: Path, name: str, seed: int) -> None:
    values = {}
    for dimension, scale in ((64, 1), (768, 10)):
        fid = (FID.get(name, 20.0) + seed * (2 if name == "norope" else 1)) * scale
        values |= {("fid", "train", dimension): fid - 0.5, ("fid", "test", dimension): fid}
        values |= {("fid", "train_part", dimension): fid, ("fid_floor", "train_part", dimension): FLOOR * scale}
        values["fid_over_floor", "train_part", dimension] = fid / FLOOR / scale
    write_fidelity(folder, f"ct/{name}/seed{seed}", values, torch_threads=2)
