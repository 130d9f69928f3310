"""The conditional GAN: its discriminator by the papers' formulas, and who sees what in the game."""

from dataclasses import replace

import pytest
import torch

from medbench.augmenters.base import ImageSpec
from medbench.augmenters.cgan import CGANAugmenter, HingeGame
from medbench.augmenters.decoder_sections import CGAN
from medbench.augmenters.discriminators import ProjectionDiscriminator, orthogonal
from medbench.augmenters.image_tensors import to_model_range
from medbench.augmenters.latent_decoder import LatentDecoder
from medbench.training.draws import Draws
from medbench.training.task import Batch
from tests.helpers.jobs import job_in


def discriminator(size=(12, 12), channels=1, n_classes=2) -> ProjectionDiscriminator:
    torch.manual_seed(0)
    return ProjectionDiscriminator(channels, size, n_classes, width=8)


@pytest.mark.parametrize("size", [(28, 28), (30, 30), (17, 23), (64, 64), (4, 4)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_is_scored(size, channels):
    scores = discriminator(size, channels)(torch.rand(2, channels, *size), torch.tensor([0, 1]))
    assert scores.shape == (2,)


def test_every_weight_has_spectral_norm_one():
    network = discriminator(n_classes=3)
    for _ in range(50):  # each forward pass in training is one step of the power iteration
        network(torch.zeros(1, 1, 12, 12), torch.tensor([0]))
    network.eval()
    weights = [module.weight for module in network.modules() if hasattr(module, "parametrizations")]
    assert sum(weight.numel() for weight in weights) == sum(p.numel() for p in network.parameters() if p.ndim > 1)
    for weight in weights:
        # Power iteration converges slowly where two singular values are close: 1 % is more than 50 steps leave.
        assert float(torch.linalg.matrix_norm(weight.detach().flatten(1), 2)) == pytest.approx(1, abs=0.01)


def test_networks_begin_with_equal_singular_values():
    network = orthogonal(LatentDecoder(1, (12, 12), 2, width=8, latent_dim=4))
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            values = torch.linalg.svdvals(layer.weight.detach().flatten(1))
            torch.testing.assert_close(values, torch.ones_like(values))  # to float32's rounding
            assert not layer.bias.any()


def test_the_class_enters_as_a_projection():
    """Scores of two classes differ by the features' product with the difference of their embeddings."""
    network = discriminator().eval()
    features = []
    network.linear.register_forward_pre_hook(lambda module, given: features.append(given[0]))
    image = torch.rand(1, 1, 12, 12)
    scores = [network(image, torch.tensor([label])) for label in (0, 1)]
    embedding = network.label.weight
    torch.testing.assert_close(scores[1] - scores[0], features[0] @ (embedding[1] - embedding[0]))


@pytest.fixture
def game(tiny_dataset, tmp_path):
    """A function that makes the task, a batch for it, and a list of what the discriminator sees."""

    def make(flips=False, **settings):
        dataset = tiny_dataset()
        torch.manual_seed(0)
        generator = LatentDecoder(1, (12, 12), 2, width=8, latent_dim=4)
        section = CGAN(kind="cgan", latent_dim=4, **settings)
        policies = CGANAugmenter(section, ImageSpec(1, (12, 12), ("a", "b"), flips)).policies
        task = HingeGame(generator, discriminator(), section, flips, policies, dataset.splits["val"], job_in(tmp_path))
        seen = []
        task.networks["discriminator"].register_forward_pre_hook(lambda module, given: seen.append(given))
        train = dataset.splits["train"]
        images = torch.from_numpy(train.images)[:, None]
        return task, Batch(images, torch.from_numpy(train.labels), 1, Draws(torch.Generator().manual_seed(0))), seen

    return make


PLAIN = {"color": False, "translation": False, "cutout": False}


def test_the_discriminator_sees_real_and_generated_images_of_the_same_classes(game):
    task, batch, seen = game(**PLAIN)
    task.losses["discriminator"](batch)
    images, labels = seen[0]
    assert torch.equal(images[:40], to_model_range(batch.images))
    assert not images[40:].requires_grad
    assert torch.equal(labels, batch.labels.repeat(2))


def test_each_loss_descends_into_its_own_network(game):
    task, batch, _ = game()
    task.losses["discriminator"](batch).backward()
    assert all(p.grad is None for p in task.networks["generator"].parameters())
    assert all(p.grad is not None for p in task.networks["discriminator"].parameters())
    task.losses["generator"](batch).backward()
    assert all(p.grad.abs().sum() > 0 for name, p in task.networks["generator"].named_parameters())


def test_the_generator_gets_as_many_updates_as_the_discriminator(game):
    task, batch, _ = game()
    for step in (1, 2, 3, 4):
        assert all(task.losses[name](replace(batch, step=step)) is not None for name in task.networks)


def test_the_two_losses_draw_different_images(game):
    task, batch, seen = game(**PLAIN)
    task.losses["generator"](batch)
    task.losses["discriminator"](batch)
    assert not torch.equal(seen[0][0], seen[1][0][40:])


@pytest.mark.parametrize("name", ["generator", "discriminator"])
def test_losses_are_full_precision_where_the_networks_are_not(game, name):
    task, batch, _ = game()
    with torch.autocast("cpu", torch.bfloat16):
        loss = task.losses[name](batch)
    assert loss.dtype == torch.float32
    loss.backward()
    gradients = [p.grad for p in task.networks[name].parameters()]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize(
    ("section", "dataset", "recoloured"), [(None, True, True), (None, False, False), (True, False, True)]
)
def test_colours_change_only_where_hue_has_no_meaning(section, dataset, recoloured):
    spec = ImageSpec(3, (12, 12), ("a", "b"), False, dataset)
    policies = CGANAugmenter(CGAN(kind="cgan", color=section), spec).policies
    assert policies == (("color",) if recoloured else ()) + ("translation", "cutout")


@pytest.mark.parametrize("policy", sorted(PLAIN))
def test_each_policy_changes_real_and_generated_images(game, policy):
    plain, batch, seen_plain = game(**PLAIN)
    changed, same_batch, seen = game(**{**PLAIN, policy: True})
    plain.losses["discriminator"](batch)
    changed.losses["discriminator"](same_batch)
    differs = (seen[0][0] != seen_plain[0][0]).flatten(1).any(1)
    assert differs[:40].float().mean() > 0.8 < differs[40:].float().mean()


def test_the_probe_judges_the_same_images_in_the_same_light_every_time(game):
    task, _, seen = game(batch_size=16)
    for network in task.networks.values():
        network.eval()
    with torch.inference_mode():
        assert task.probe() == task.probe()
    half = len(seen) // 2
    assert all(torch.equal(a[0], b[0]) for a, b in zip(seen[:half], seen[half:], strict=True))


@pytest.mark.parametrize("flips", [True, False])
def test_real_images_are_mirrored_only_where_asked(game, flips):
    task, batch, seen = game(flips, **PLAIN)
    task.losses["discriminator"](batch)
    given = to_model_range(batch.images)
    same, turned = ((seen[0][0][:40] == each).flatten(1).all(1) for each in (given, given.flip(-1)))
    assert (same | turned).all()
    assert 10 < int(turned.sum()) < 30 if flips else same.all()
