"""Which device a job gets, as the config says; and that no number is made again when it says something else."""

import pytest

from medbench.config import page_sections, plan
from medbench.config.load import load
from medbench.core.errors import UserError
from medbench.core.sections import RuntimeStage
from medbench.system import device as devices
from medbench.system import runtime
from medbench.system.device import DEVICE, say_where, take
from medbench.system.launcher import processes_for


@pytest.fixture
def machine(monkeypatch):
    """A function that makes this a machine of so many GPUs, with a torch that is built for them or not."""
    leased = []

    def of(gpus: int, device: str | None = None, built: bool = True) -> list:
        monkeypatch.setattr(devices.torch.backends.cuda, "is_built", lambda: built)
        monkeypatch.setattr(devices.torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(devices.torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(devices, "lease", lambda *asked: leased.append(asked))
        if device is None:
            monkeypatch.delenv(DEVICE, raising=False)
        else:
            monkeypatch.setenv(DEVICE, device)
        return leased

    return of


@pytest.mark.parametrize("device", [None, "auto", "cuda"])
def test_a_gpu_is_leased_and_used_where_there_is_one(machine, device, capsys):
    leased = machine(2, device)
    assert take(2, "augmenters.a.gpu") == "cuda"
    assert leased == [(2, "augmenters.a.gpu")]
    say_where("cuda")
    assert capsys.readouterr().err == ""


def test_cpu_leaves_gpus_alone(machine, capsys):
    leased = machine(2, "cpu")
    assert take() == "cpu"
    assert leased == []
    say_where("cpu")
    assert capsys.readouterr().err == "", "the config has asked for it"


@pytest.mark.parametrize(
    ("built", "why"),
    [(True, "there is no GPU here (nvidia-smi lists those that work)"), (False, "this torch is built without CUDA")],
)
def test_without_a_gpu_auto_takes_the_cpu_and_says_so_and_cuda_refuses(machine, built, why, capsys):
    machine(0, None, built)
    assert runtime.start(RuntimeStage(torch_threads=1)).device == "cpu"
    assert capsys.readouterr().err == f"note: device auto: {why}, computing on the CPU\n"
    machine(0, "cuda", built)
    for ask in (take, lambda: processes_for(2, "augmenters.a.gpu")):
        with pytest.raises(UserError) as error:
            ask()
        assert str(error.value).startswith(f"device: cuda: {why}; say device: auto")


def test_more_gpus_than_a_scheduler_gave_are_refused_by_the_key_that_asks(machine):
    """No lease is taken of the one GPU that a scheduler gave, so none is refused there."""
    machine(1)
    with pytest.raises(UserError, match=r"^augmenters\.ldm\.gpu: asks for 2 GPUs, but this job is given 1; ask for 1$"):
        take(2, "augmenters.ldm.gpu")


def test_an_unknown_device_is_one_line(machine):
    machine(1, "tpu")
    with pytest.raises(UserError, match=r"^MEDBENCH_DEVICE=tpu: is not a device; set it to auto, cuda or cpu$"):
        take()


# In the config -----------------------------------------------------------------------------------------------------


def config(**more):
    augmenter = {"kind": "cddpm", "batch_size": 8, "gpu": 2}
    study = {"datasets": ["ct"], "augmenters": ["ours", "copies"], "generator_seeds": [0], "arms": ["real"]}
    raw = {
        "name": "test",
        "datasets": {"ct": {"kind": "phantom", "subject": "ct"}},
        "augmenters": {"ours": augmenter, "copies": {"kind": "copy"}},
        "fidelity": {"weights": "random", "n_generated": 10},
        "studies": {"one": study},
        "run": ["one"],
    }
    return load(raw | more)


def test_jobs_ask_for_the_gpus_that_they_compute_on():
    auto, cpu = config(), config(device="cpu")
    assert [plan.gpus(auto), plan.gpus(auto, "ours"), plan.gpus(auto, "copies")] == [1, 1, 0]
    assert [plan.training_gpus(auto, "ours"), plan.training_gpus(auto, "copies")] == [2, 0]
    assert [plan.gpus(cpu), plan.training_gpus(cpu, "ours")] == [0, 0]


def test_an_edited_device_makes_nothing_again():
    for section in (plan.train_section, plan.sample_section):
        assert section(config(), "ours") == section(config(device="cuda"), "ours")
    assert page_sections.report_section(config(), "one") == page_sections.report_section(config(device="cpu"), "one")


def test_another_number_of_gpus_trains_again():
    several = config()
    one = config(augmenters={"ours": {"kind": "cddpm", "batch_size": 8}, "copies": {"kind": "copy"}})
    assert plan.train_section(several, "ours").made_with() != plan.train_section(one, "ours").made_with()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"kind": "cddpm", "batch_size": 9, "gpu": 2}, "gpu 2: batch_size 9 must be a multiple of it"),
        ({"kind": "cddpm", "gpu": 0}, "gpu: 0: Input should be greater than 0"),
        ({"kind": "classic", "gpu": 2}, "unknown key 'gpu'"),
        ({"kind": "copy", "gpu": 2}, "unknown key 'gpu'"),
        ({"kind": "images", "path": "x.npz", "gpu": 2}, "unknown key 'gpu'"),
        (
            {"kind": "autoencoder", "weights": {"path": "x", "sha256": "0" * 64}, "gpu": 2},
            "gpu 2: published weights are not trained; leave gpu out",
        ),
    ],
    ids=["uneven", "none", "classic", "copy", "images", "published"],
)
def test_what_cannot_be_shared_is_refused_in_one_line(section, message):
    with pytest.raises(UserError) as error:
        config(augmenters={"ours": section, "copies": {"kind": "copy"}})
    assert f"augmenters.ours{'.' if message.startswith('gpu: ') else ': '}{message}" in str(error.value)
    assert "\n" not in str(error.value)
