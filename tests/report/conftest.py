"""What the tests of figures share: a run of classifiers, figures as they would be saved, what a reader sees in them."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from medbench.arms import Arm
from medbench.data.dataset import Card, card_path
from medbench.files import write_json, write_npz
from medbench.report.figures import style
from medbench.report.results import StudyResults
from medbench.rng import numpy_rng
from medbench.utility.metrics import classification_metrics, val_thresholds

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
        boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
        for word, box in boxes:
            assert min(box.x0, box.y0) >= 0, word
            assert min(figure.bbox.x1 - box.x1, figure.bbox.y1 - box.y1) >= 0, word
        for (one, a), (two, b) in itertools.combinations(boxes, 2):
            # Half a pixel: lines of text may touch.
            apart = a.x1 <= b.x0 + 0.5 or b.x1 <= a.x0 + 0.5 or a.y1 <= b.y0 + 0.5 or b.y1 <= a.y0 + 0.5
            assert apart, (one, two)
        assert min(text.get_fontsize() for text in shown) >= smallest

    return check


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
) -> StudyResults:
    results = StudyResults(
        folder, "demo", tuple(classes), augmenters, seeds, arms=arms, budgets=budgets, classifier_seeds=(0, 1, 2)
    )
    for dataset, names in classes.items():
        card = Card(
            name=dataset,
            title="",
            source="",
            licence="",
            citation="",
            classes=names,
            channels=1,
            image_size=(12, 12),
            counts={},
        )
        write_json(card_path(folder / f"datasets/{dataset}.npz"), card.model_dump(mode="json"))
        for budget, arm in itertools.product(budgets, map(Arm.parse, arms)):
            for seed in seeds if arm.augmenter else [None]:
                origin = "real" if seed is None else f"seed{seed}"
                stem = folder / "utility" / dataset / arm.trained_under(budget) / arm.name / origin
                _write_scores(stem, names, arm, numpy_rng(0, dataset, budget, arm.name, origin), n)
    return results


def _write_scores(stem: Path, classes: Sequence[str], arm: Arm, rng: np.random.RandomState, n: int) -> None:
    """As the utility stage does, for 3 classifier seeds."""
    k = len(classes)
    labels = np.arange(n) % k
    strength = STRENGTH.get(arm.extra or "real", 1.4) - (0 if arm.real else 1.2)
    logits = rng.standard_normal((2, 3, n, k)) + strength * np.eye(k)[labels]
    scores = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    val, test = scores.astype(np.float32)
    thresholds = np.stack([val_thresholds(labels, of_run) for of_run in val])
    rows = [
        {"classifier_seed": seed, **row}
        for seed in range(3)
        for row in classification_metrics(labels, test[seed], thresholds[seed], classes)
    ]
    write_json(stem.with_suffix(".json"), {"made_with": "", "conditions": {}, "rows": rows, "history": []})
    arrays = {
        "test_scores": test,
        "test_labels": labels,
        "test_groups": np.arange(n),
        "val_scores": val,
        "val_labels": labels,
        "thresholds": thresholds,
        "classifier_seeds": np.arange(3),
        "best_steps": np.full(3, 10),
    }
    write_npz(stem.with_suffix(".npz"), arrays)
