"""The features stage: images in, Inception features of all asked dimensions out."""

from pathlib import Path

from medbench.core.errors import UserError
from medbench.data.feature_vectors import write_features
from medbench.data.weights import load_state
from medbench.fidelity.extractor import InceptionExtractor
from medbench.fidelity.sections import FeaturesStage
from medbench.run.files import sha256_of
from medbench.run.formats import read_npz
from medbench.run.logs import Progress
from medbench.system.runtime import start


def features(images_path: Path, key: str, output: Path, stage: FeaturesStage, weights_path: Path | None) -> None:
    """Writes a safetensors file: one float32 array (N, D) per dimension D, and in its metadata what made it.

    Args:
        images_path: an npz.
        key: of its images, uint8 (N, H, W) or (N, H, W, 3).
        output: the file to write.
        weights_path: of the Inception weights; not needed where the stage asks for random ones.

    Raises:
        UserError: a damaged npz, no such array, wrong weights, or features that are not finite.
    """
    runtime = start(stage)
    images = read_npz(images_path).get(key)
    if images is None:
        raise UserError(f"{images_path}: holds no array named {key!r}")
    images = images[: stage.first]
    if stage.weights_sha256 and weights_path is None:
        raise UserError(f"--weights: give the file with sha256 {stage.weights_sha256}")
    state = None
    if weights_path and stage.weights_sha256:
        state = load_state(weights_path, stage.weights_sha256, "torch-fidelity's Inception weights")
    extractor = InceptionExtractor(stage.dimensions, state, stage.weights_sha256, stage.seed, runtime.device)
    progress = Progress(f"features {images_path.name} {key}", len(images), "image")
    arrays = extractor.features(images, stage.batch_size, lambda done, total: progress.update(done))
    progress.close()
    made_by = {
        "extractor": extractor.description,
        "random_weights": state is None,
        "resize": "bilinear to 299×299 as TensorFlow 1 does",
        "images_sha256": sha256_of(images_path),
        **runtime.conditions(),
    }
    write_features(output, arrays, made_by)
