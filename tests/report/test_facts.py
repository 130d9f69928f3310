"""Sizes and costs of augmenters: evaluations of the network, weights, images seen, without a clock."""

import pytest

from medbench.report.facts import evaluations, facts, sampler_steps, space
from medbench.run.formats import read_json
from tests.helpers.builders import write_trained
from tests.helpers.files import remove

DIFFUSION = {"kind": "ldm", "sampler": "ddim", "timesteps": 1000, "sample_steps": 20}


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (DIFFUSION | {"guidance_scale": 2.0}, 40),  # with and without the label
        (DIFFUSION | {"guidance_scale": 1.0}, 20),
        (DIFFUSION | {"guidance_scale": 0.0}, 20),
        (DIFFUSION, 20),  # a kind that knows no guidance
        ({"kind": "cvae"}, 1),
        ({"kind": "cgan"}, 1),
        ({"kind": "classic"}, 0),
        ({"kind": "copy"}, 0),
        ({"kind": "images"}, 0),
        ({"kind": "of_a_plug_in"}, None),
        ({"kind": "autoencoder"}, None),
    ],
)
def test_evaluations_an_image(section, expected):
    assert evaluations(section) == expected


def test_steps_and_space():
    assert sampler_steps({"kind": "cvae", "steps": 3}) is None
    assert space({"kind": "ldm", "first_stage": "ae", "steps": 3}) == "latents of ae"
    assert space({"kind": "cvae", "steps": 3}) == "pixels"
    assert space({"kind": "copy"}) is None


def test_a_first_stage_is_counted_for_each_that_uses_it(field_run, tmp_path):
    found = facts(field_run(tmp_path, "field", seeds=(0, 1))).set_index(["augmenter", "generator_seed"])
    names = ["parameters", "first_stage_parameters", "images_seen", "first_stage_images_seen", "images_seen_total"]
    for name in ("medienet", "guided"):  # one model
        assert found.loc[(name, 1), names].tolist() == [2000, 500, 240, 160, 400]
    assert found.loc[("pixels", 0), names].tolist() == [900, 0, 4000, 0, 4000]  # one network a class
    assert found.loc[("copy", 0), names].tolist() == [0] * 5
    assert found.loc[("ae", 1), [*names, "psnr", "ssim"]].tolist() == [500, 0, 160, 0, 160, 21, 0.75]
    assert found["psnr"].notna().sum() == 2  # of the first stage alone
    assert found.index.get_level_values(0).unique()[-1] == "ae"
    assert (found["condition.device"] == "cpu").all()


def test_a_discriminator_is_no_part_of_what_makes_images(field_run, tmp_path):
    results = field_run(tmp_path, "field", augmenters=["cvae"], seeds=(0,))
    folder = tmp_path / "models/ct/cvae/seed0"
    description = read_json(folder / "medbench.json")
    write_trained(folder, description | {"parameters": {"generator": 30, "discriminator": 12}})
    assert facts(results)["parameters"].tolist() == [30]


def test_a_first_stage_that_is_a_gap_leaves_the_total_open(field_run, tmp_path):
    results = field_run(tmp_path, "field", augmenters=["medienet"], seeds=(0,))
    remove(tmp_path / "models/ct/ae/seed0")
    row, ceiling = facts(results).to_dict("records")
    assert (row["there"], row["parameters"], row["images_seen"]) == (True, 2000, 240)
    assert row["first_stage_parameters"] != row["first_stage_parameters"]  # NaN
    assert row["images_seen_total"] != row["images_seen_total"]
    assert (ceiling["there"], ceiling["kind"]) == (False, "autoencoder")


def test_a_published_first_stage_has_scores_and_saw_no_image(field_run, tmp_path):
    results = field_run(tmp_path, "field", augmenters=["ae"], seeds=(0,))
    folder = tmp_path / "models/ct/ae/seed0"
    log = "component,step,images_seen,psnr,ssim,l1\nvae,0,0,30,0.9,0.1\n"
    write_trained(folder, read_json(folder / "medbench.json") | {"images_seen": 0}, log)
    (row,) = facts(results).to_dict("records")
    assert (row["images_seen"], row["psnr"], row["ssim"]) == (0, 30, 0.9)
