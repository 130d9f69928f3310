"""Two processes, each with half of every batch, learn what one process learns, and stay equal to each other."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from medbench.augmenters import augmenter_class
from medbench.augmenters.base import ImageSpec, Job
from medbench.core.errors import Interrupted, UserError
from medbench.core.rng import numpy_rng
from medbench.data.dataset import Split
from medbench.system.launcher import RENDEZVOUS
from medbench.system.signals import end_on_signals
from medbench.training.team import Team, join
from tests.helpers.processes import together
from tests.helpers.tasks import RUNTIME, Regression, assert_same_weights, trained

STEPS = 4
COMMON = {"steps": STEPS, "batch_size": 8, "log_every": 1, "probe_images": 8, "learning_rate": 1e-3, "ema_decay": 0.9}
KINDS = {
    "per_class": {"kind": "annotated_ddpm", "width": 8, "multipliers": (1,), "timesteps": 10, "conditioning": "class"},
    "cddpm": {"kind": "cddpm", "widths": (16, 32), "layers_per_stage": 1, "dropout": 0.0, "augment_probability": 0.5},
    "autoencoder": {"kind": "autoencoder", "widths": (8, 16), "layers_per_stage": 1, "discriminator_width": 8},
    "cvae": {"kind": "cvae", "width": 8, "latent_dim": 8},
    "cgan": {"kind": "cgan", "width": 8, "latent_dim": 8},
}
# Sums in another order round float32's last bit (6e-8) otherwise, and each step starts from where the last one ended.
# Seen over 50 steps: losses differ by at most 3e-7 of their value, the GAN's by 1.4e-5, weights by 2.4e-5. Other draws,
# or half of a batch, change them by some 1e-2. (Widths of 8 would not do: a bias before a norm of one channel per group
# has no gradient but rounding, of which Adam makes steps.)
LOSS = {"rel": 1e-5, "abs": 1e-4}
PROBE = {"rel": 1e-4, "abs": 2e-3}  # SSIM is of whole grey levels: one that rounds otherwise moved it by 1.7e-4
WEIGHTS = {"rtol": 0, "atol": 2e-4}


def split() -> Split:
    labels = np.arange(24) % 2
    images = numpy_rng(0, "images").randint(0, 150, (24, 16, 16)) + 90 * labels[:, None, None]
    return Split(images.astype(np.uint8), labels, np.arange(24))


def fitted(runtime, rank, folder, name, **settings):
    """History and weights of an augmenter that is trained by this process or by several."""
    section = {**COMMON, **KINDS[name], **settings}
    cls = augmenter_class(section["kind"])
    augmenter = cls(cls.__orig_bases__[0].__args__[0](**section), ImageSpec(1, (16, 16), ("a", "b"), True))
    job = Job(1, 2, folder / "checkpoints", {"processes": runtime.processes}, runtime, name)
    history = augmenter.fit(split(), split(), job)
    model = folder / f"model{rank}"
    model.mkdir(parents=True)
    augmenter.save(model)
    return history, {str(path.relative_to(model)): load_file(path) for path in sorted(model.rglob("*.safetensors"))}


@pytest.mark.parametrize("name", KINDS)
def test_two_learn_what_one_does(tmp_path, name):
    history, weights = fitted(RUNTIME, 0, tmp_path / "one", name)
    (first, one), (second, other) = together(fitted, tmp_path / "two", tmp_path / "two", name)
    assert len(first) == len(history) >= STEPS
    for row, expected in zip(first, history, strict=True):
        assert row.keys() == expected.keys()
        for key, value in expected.items():
            tolerance = LOSS if key.startswith("loss") else PROBE
            assert row[key] == (value if isinstance(value, str) else pytest.approx(value, **tolerance)), key
    assert first == second
    for component, tensors in weights.items():
        for key, tensor in tensors.items():
            torch.testing.assert_close(one[component][key], tensor, **WEIGHTS)
            assert torch.equal(one[component][key], other[component][key]), "the processes have drifted apart"


def _join_first(folder):
    os.environ |= {RENDEZVOUS: str(folder / "meet"), "RANK": "0", "WORLD_SIZE": "2"}
    with end_on_signals():
        join("cpu")


def test_one_that_waits_for_another_to_begin_ends_at_a_signal(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=_join_first, args=(tmp_path,))
    process.start()
    while not (tmp_path / "meet").exists():
        time.sleep(0.02)
    process.terminate()
    process.join(60)
    code = process.exitcode
    process.kill()
    assert code == -signal.SIGTERM


class Diverging(Regression):
    def loss(self, batch):
        return super().loss(batch) * (float("nan") if batch.step == 7 else 1)


def learned(runtime, rank, folder, task=Regression, signalled=None):
    """What a task has learned, drawn, and ended with; the signalled process gets a signal in a step."""
    # A process that draws its first weights by itself is given the first one's.
    task, end, history, weights = task(rank, 7 if rank == signalled else 0), None, [], {}
    try:
        result = trained(folder / "checkpoints", task, runtime=runtime)
        history, weights = result.history, result.weights
    except (Interrupted, UserError) as error:
        end = str(error)
    return {"history": history, "end": end, "weights": weights, "drawn": task.drawn}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What two processes have learned without any interruption."""
    folder = tmp_path_factory.mktemp("whole")
    return together(learned, folder / "run", folder)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_stops_all_and_they_go_on_bit_identically(tmp_path, rank, whole):
    folder = tmp_path / "cut"
    stopped = together(learned, tmp_path / "stopped", folder, Regression, rank)
    assert [process["end"] for process in stopped] == ["test: stopped after step 7; run again to go on"] * 2
    assert [path.name[:12] for path in sorted((folder / "checkpoints").iterdir())] == ["step00000006", "step00000007"]
    resumed = together(learned, tmp_path / "resumed", folder)
    for process, expected in zip(resumed, whole, strict=True):
        assert len(process["drawn"]) == 7
        assert process["history"] == expected["history"]
        assert_same_weights(process["weights"], expected["weights"])


def test_draws_are_shared_and_dropout_is_not(tmp_path, whole):
    alone = learned(RUNTIME, 0, tmp_path)["drawn"]
    first, second = (process["drawn"] for process in whole)
    for (noise, state, labels), (noise0, state0, labels0), (noise1, state1, labels1) in zip(
        alone, first, second, strict=True
    ):
        assert torch.equal(torch.cat([noise0, noise1]), noise)
        assert torch.equal(torch.cat([labels0, labels1]), labels)
        assert torch.equal(state0, state), "the first process draws its masks as one process does"
        assert not torch.equal(state0, state1), "both would mask their images alike"


def test_a_loss_that_is_not_finite_ends_all(tmp_path):
    ends = together(learned, tmp_path / "run", tmp_path, Diverging)
    assert [end["end"] for end in ends] == ["test: the loss is not finite at step 10: lower learning_rate"] * 2


def exchanged(runtime, rank):
    """A square of a mean, what the processes tell each other, and a batch that they cannot share."""
    torch.manual_seed(0)
    team, weight = Team(runtime.accelerator()), nn.Linear(2, 1, bias=False)
    mean = team.mean(weight(torch.tensor([rank, rank + 1.0])).sum())
    (mean**2).backward()
    averaged = team.average(weight, torch.tensor(float(rank)))
    with pytest.raises(UserError) as error:
        team.share(5)
    return float(averaged), team.largest(3 - rank), weight.weight.grad, weight.weight.detach(), str(error.value)


def test_a_square_of_a_mean_has_the_gradient_of_the_whole_batch(tmp_path):
    """As the σ of a VAE, which its batch decides: d (w · x̄)² = 2 (w · x̄) x̄, x̄ the mean of both processes' inputs."""
    x = torch.tensor([[0.5, 1.5]])
    for averaged, largest, gradient, weight, refused in together(exchanged, tmp_path / "run"):
        assert (averaged, largest) == (0.5, 3)
        torch.testing.assert_close(gradient, 2 * (weight * x).sum() * x, rtol=1e-5, atol=1e-6)
        assert refused == "batches of 5 cannot be shared by 2 GPUs; give a multiple, or gpu: 1"
