"""Tests of a real GPU, skipped by name where there is none; they turn on what others turn off: device and leases."""

import os
import shutil

import pytest

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before this process first asks cuBLAS anything


@pytest.fixture(scope="session")
def gpus() -> int:
    """How many there are, at least one."""
    if not shutil.which("nvidia-smi"):  # spares torch's import
        pytest.skip("needs a GPU")
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    return torch.cuda.device_count()


@pytest.fixture
def on_gpu(gpus, monkeypatch, tmp_path_factory) -> int:
    """Jobs compute on GPUs that they lease from each other alone."""
    monkeypatch.setenv("MEDBENCH_DEVICE", "cuda")
    monkeypatch.delenv("MEDBENCH_GPU_LEASE")
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("leases")))
    return gpus
