import pytest
import torch


@pytest.fixture
def awake():
    """Gives random values to what starts at zero, so that every branch shows; seeded."""

    def wake(module):
        generator = torch.Generator().manual_seed(1)
        for parameter in module.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.3, generator=generator)
        return module.eval()

    return wake
