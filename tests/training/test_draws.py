"""What two processes draw, put together, is what one draws."""

import pytest
import torch

from medbench.training.task import Draws, Share


def drawn(share=None) -> Draws:
    return Draws(torch.Generator().manual_seed(3), share)


def of_each(draw, processes=2, size=4):
    return [draw(drawn(Share(rank, processes, size))) for rank in range(processes)]


CALLS = {
    "noise": (lambda draws, n: draws.randn((n, 1, 3, 3)), 0),
    "chance": (lambda draws, n: draws.rand((2, n), dim=1), 1),
    "strength": (lambda draws, n: draws.rand((3, n, 1, 1, 1), dim=1, dtype=torch.float64), 1),
    "time": (lambda draws, n: draws.randint(0, 1000, (n,)), 0),
    "corner": (lambda draws, n: draws.randint(-2, 3, (2, n), dim=1), 1),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("processes", [2, 4])
def test_shares_make_up_the_whole(name, processes):
    call, dim = CALLS[name]
    parts = of_each(lambda draws: call(draws, 8 // processes), processes, 8 // processes)
    assert torch.equal(torch.cat(parts, dim), call(drawn(), 8))


@pytest.mark.parametrize("share", [None, Share(0, 1, 8)])
def test_one_process_draws_what_torch_does(share):
    draws, generator = drawn(share), torch.Generator().manual_seed(3)
    assert torch.equal(draws.rand((2, 8), dim=1), torch.rand(2, 8, generator=generator))
    assert torch.equal(draws.randn((8, 5)), torch.randn(8, 5, generator=generator))
    assert torch.equal(draws.randint(0, 9, (8,)), torch.randint(9, (8,), generator=generator))


def test_of_real_and_generated_images_each_has_its_share():
    """A discriminator sees both one after another: of 2 × 8 images the first process has 0..3 of either kind."""
    whole = drawn().randn((16, 2))
    first, second = of_each(lambda draws: draws.randn((8, 2)))
    assert torch.equal(first, torch.cat([whole[0:4], whole[8:12]]))
    assert torch.equal(second, torch.cat([whole[4:8], whole[12:16]]))


def test_a_number_for_the_batch_is_the_same_for_all():
    first, second = of_each(lambda draws: draws.rand(()))
    assert first == second == drawn().rand(())


def test_what_follows_is_drawn_alike_after_any_of_them():
    parts = of_each(lambda draws: (draws.rand((2, 4), dim=1), draws.randn((4,)))[1])
    whole = drawn()
    whole.rand((2, 8), dim=1)
    assert torch.equal(torch.cat(parts), whole.randn((8,)))
