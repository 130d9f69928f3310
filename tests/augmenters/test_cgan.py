"""The conditional GAN: its discriminator by the papers' formulas, and who sees what in the game."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from medbench.augmenters.base import ImageSpec
from medbench.augmenters.cgan import POLICIES, CGANAugmenter, HingeGame, diff_augment
from medbench.augmenters.decoder_sections import CGAN
from medbench.augmenters.discriminators import PatchDiscriminator, ProjectionDiscriminator, orthogonal
from medbench.augmenters.image_tensors import to_model_range
from medbench.augmenters.latent_vectors import LatentDecoder
from medbench.training.task import Batch, Draws
from tests.helpers.jobs import job_in


def discriminator(size=(12, 12), channels=1, n_classes=2) -> ProjectionDiscriminator:
    torch.manual_seed(0)
    return ProjectionDiscriminator(channels, size, n_classes, width=8)


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
        augmenter = CGANAugmenter(section, ImageSpec(1, (12, 12), ("a", "b"), flips))
        task = HingeGame(augmenter, generator, discriminator(), dataset.splits["val"], job_in(tmp_path))
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
    same, turned = ((seen[0][0][:40] == x).flatten(1).all(1) for x in (given, given.flip(-1)))
    assert (same | turned).all()
    assert 10 < int(turned.sum()) < 30 if flips else same.all()


ALL = tuple(POLICIES)


def drawn(seed=0):
    return Draws(torch.Generator().manual_seed(seed))


def pictures(n=64, channels=3, height=16, width=24):
    return drawn(9).rand((n, channels, height, width), dtype=torch.float64) * 2 - 1


def test_translation_moves_by_whole_pixels_and_fills_with_zero():
    images, most = pictures(), (2, 3)  # an eighth of 16 and 24
    padded = F.pad(images, (most[1], most[1], most[0], most[0]))
    seen = set()
    for image, moved in zip(padded, diff_augment(images, ("translation",), drawn()), strict=True):
        windows = {
            (top, left): image[:, top : top + 16, left : left + 24]
            for top in range(2 * most[0] + 1)
            for left in range(2 * most[1] + 1)
        }
        places = [place for place, window in windows.items() if torch.equal(window, moved)]
        assert len(places) == 1
        seen |= set(places)
    assert {top for top, _ in seen} == set(range(5))
    assert {left for _, left in seen} == set(range(7))


def test_cutout_empties_one_box_of_half_a_side_that_may_stand_out():
    images = torch.ones(200, 3, 16, 24)
    emptied = diff_augment(images, ("cutout",), drawn()) == 0
    rows, columns = emptied.any(3).any(1), emptied.any(2).any(1)
    assert torch.equal(emptied, (rows[:, :, None] & columns[:, None, :])[:, None].expand_as(emptied))
    for inside, box in ((rows, 8), (columns, 12)):
        assert (inside.int().diff().abs().sum(1) <= 2).all()  # one run of pixels
        assert set(inside.sum(1).tolist()) == set(range(box // 2, box + 1))


def test_color_changes_brightness_saturation_and_contrast_only():
    """Whatever the draws, an image's grey parts and its hues are scaled by one number each, and one is added."""
    images = pictures(n=500)
    changed = diff_augment(images, ("color",), drawn())
    grey, new_grey = images.mean(1, keepdim=True), changed.mean(1, keepdim=True)
    mean, new_mean = grey.mean((2, 3), keepdim=True), new_grey.mean((2, 3), keepdim=True)
    contrast = ((new_grey - new_mean) / (grey - mean)).flatten(1)
    hue = ((changed - new_grey) / (images - grey)).flatten(1)
    shift = (new_mean - mean).flatten()
    for ratios in (contrast, hue):
        torch.testing.assert_close(ratios, ratios[:, :1].expand_as(ratios))
    saturation = hue[:, 0] / contrast[:, 0]
    for drawn_values, low, high in ((contrast[:, 0], 0.5, 1.5), (saturation, 0, 2), (shift, -0.5, 0.5)):
        assert low <= drawn_values.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < drawn_values.max() <= high


@pytest.mark.parametrize("policies", [(policy,) for policy in ALL] + [ALL], ids=lambda policies: "-".join(policies))
def test_gradients_flow_through(policies):
    images = pictures(n=2, height=4, width=4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: diff_augment(x, policies, drawn()), images)


def test_draws_come_from_the_generator_alone():
    images = pictures()
    torch.manual_seed(0)
    first = diff_augment(images, ALL, drawn())
    torch.manual_seed(1)
    assert torch.equal(first, diff_augment(images, ALL, drawn()))
    assert not torch.equal(first, diff_augment(images, ALL, drawn(1)))


def test_every_image_is_changed_on_its_own():
    one = pictures(n=1).expand(32, -1, -1, -1)
    assert len({image.numpy().tobytes() for image in diff_augment(one, ALL, drawn())}) == 32


def test_no_policy_changes_nothing():
    images = pictures()
    assert diff_augment(images, (), drawn()) is images


def test_grey_images_stay_grey():
    assert diff_augment(pictures(channels=1), ALL, drawn()).shape == (64, 1, 16, 24)


def seen_by_one_patch(network: torch.nn.Module, channels: int, size: int) -> int:
    """Side in pixels of what the middle output depends on, by its gradient at the image.

    Group norm joins all places, so it is left out: it is not what limits a patch.
    """
    layers = [layer for layer in network if not isinstance(layer, torch.nn.GroupNorm)]
    x = torch.randn(1, channels, size, size, requires_grad=True)
    scores = torch.nn.Sequential(*layers)(x)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    rows = x.grad.abs().sum(dim=(0, 1, 3)).nonzero()
    return int(rows.max() - rows.min()) + 1


@pytest.mark.parametrize(("size", "field"), [(12, 16), (28, 16), (32, 16), (64, 34), (128, 70), (256, 70)])
def test_a_patch_is_of_the_published_size_and_smaller_than_the_image(size, field):
    torch.manual_seed(0)
    network = PatchDiscriminator(channels=1, width=8, size=(size, size))
    assert seen_by_one_patch(network, 1, 2 * max(size, field)) == field


@pytest.mark.parametrize(("channels", "size"), [(1, (6, 6)), (3, (12, 20)), (3, (64, 48))])
def test_gives_one_score_per_patch(channels, size):
    scores = PatchDiscriminator(channels, 16, size)(torch.randn(2, channels, *size))
    assert scores.shape[:2] == (2, 1)
    assert min(scores.shape[2:]) >= 1


def test_no_image_changes_anothers_score():
    torch.manual_seed(0)
    network, x = PatchDiscriminator(1, 8, (32, 32)), torch.randn(4, 1, 32, 32)
    # Another batch size may round differently in the last bits of float32.
    torch.testing.assert_close(network(x)[:1], network(x[:1]), rtol=1e-4, atol=1e-5)
