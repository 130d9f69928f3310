"""What the tests of augmenters share."""

import json
import sys

import pytest
import torch

from medbench import cli


@pytest.fixture
def call(tmp_path, monkeypatch):
    """A function that runs a verb as the command line does, in this process: its exit code."""

    def run(verb, *paths, stage, **options) -> int:
        arguments = {"config": json.dumps(stage), "seed": 0, "checkpoints": tmp_path / "checkpoints", **options}
        named = [str(part) for name, value in arguments.items() for part in (f"--{name.replace('_', '-')}", value)]
        monkeypatch.setattr(sys, "argv", ["medbench", verb, *map(str, paths), *named])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0

    return run


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
