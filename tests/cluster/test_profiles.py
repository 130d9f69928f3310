"""What holds of the cluster profiles without a cluster."""

import pytest
import yaml

from tests.helpers.files import ROOT


def profile(name: str) -> dict:
    return yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())


@pytest.mark.parametrize("name", ["slurm", "cluster-generic"])
def test_a_profile_repeats_the_default_that_it_replaces(name):
    assert profile("default").items() <= profile(name).items()


def test_both_profiles_group_and_retry_alike():
    for key in ("groups", "retries", "keep-going", "set-resource-scopes", "cores", "resources"):
        assert profile("slurm")[key] == profile("cluster-generic")[key]
