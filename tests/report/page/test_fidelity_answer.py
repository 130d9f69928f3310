"""What the answer says of FID: the ceiling of first stages, and the copy that fidelity alone would crown."""

from medbench.report.page.fidelity_answer import fidelity_answer
from medbench.run.formats import read_json
from tests.helpers.records import write_json


def test_the_ceiling_is_told_with_what_reconstructs_and_what_it_bounds(field_run, tmp_path):
    (ceiling, *_) = fidelity_answer(field_run(tmp_path, "field", seeds=[0]))
    # FID against the training split is that against test, 2 and ten times 2, less 0.5.
    assert ceiling.startswith(
        "ct: the first stage ae reconstructs validation images with a PSNR of 20.0 dB and an SSIM of 0.750; FID of real"
        " training images that it encodes and decodes: 1.50 at 64, 19.5† at 768."
    )
    assert "Generators on it reach medienet: 4.50 at 64, 49.5† at 768; guided: 3.50 at 64" in ceiling
    assert "pixels" not in ceiling
    assert ceiling.endswith("at so few images, do not see the loss.")


def test_a_copy_with_the_smallest_fid_is_said_to_be_crowned_wrongly(field_run, tmp_path):
    *_, copied, mark = fidelity_answer(field_run(tmp_path, "field", seeds=[0]))
    assert "copy, which hands out real training images and adds nothing to them, has the smallest FID" in copied
    assert "(at 64 and 768): its ratio to the floor of real against real images is 2.00 at 64" in copied
    assert mark.startswith("† Fewer images than dimensions")


def test_a_copy_that_is_beaten_is_not_said_to_be_first(field_run, tmp_path):
    results = field_run(tmp_path, "field", seeds=[0])
    path = tmp_path / "fidelity/ct/cvae/seed0.json"
    content = read_json(path)
    for row in content["rows"]:
        row["value"] = 0.01
    write_json(path, content)
    said = " ".join(fidelity_answer(results))
    assert "ct: copy hands out real training images" in said
    assert "smallest FID" not in said


def test_gaps_and_studies_without_either_say_nothing(field_run, tmp_path):
    results = field_run(tmp_path / "gap", "field", seeds=[0])
    for name in ("ae", "copy"):
        (tmp_path / f"gap/fidelity/ct/{name}/seed0.json").unlink()
    assert fidelity_answer(results) == []
    assert fidelity_answer(field_run(tmp_path / "none", "field", seeds=[0], augmenters=["cvae", "classic"])) == []
