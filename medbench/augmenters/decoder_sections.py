"""What a config may say of networks that decode a latent vector or map: one section per kind."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from medbench.augmenters.sections import Held, TrainedSection, Widths
from medbench.core.sections import Fraction, Probability, WeightsFile

Width = Annotated[int, Field(ge=8, multiple_of=8)]


class Autoencoder(TrainedSection):
    """A first stage: diffusers' AutoencoderKL, trained on the dataset or published."""

    label = "first stage"
    citation = "Rombach et al. 2022, High-Resolution Image Synthesis with Latent Diffusion Models"
    role = "first_stage"
    space = "pixels"
    training_memory = Held(72, pixel=1900)
    sampling_memory = Held(10, pixel=110)
    holds_real_images = True

    kind: Literal["autoencoder"]
    widths: Widths = (32, 64, 128)  # each but the first halves the image
    layers_per_stage: PositiveInt = 2
    latent_channels: PositiveInt = 4
    learning_rate: PositiveFloat = 3e-4
    ema_decay: Fraction | None = 0.999
    kl_weight: NonNegativeFloat = 1e-6
    color_whitening: Probability = 0.0  # 0: plain L1 of the channels; 1: a hue weighs as much as brightness
    discriminator_weight: NonNegativeFloat = 0.1  # of the adversarial term against L1; 0: none
    discriminator_from: Fraction = 0.5  # of the steps: the warm-up without it
    discriminator_width: Width = 32
    weights: WeightsFile | None = None  # of a published autoencoder with these widths: nothing is trained

    @property
    def reads_file(self) -> WeightsFile | str | None:
        return self.weights

    @model_validator(mode="after")
    def _published_weights_need_one_gpu(self) -> "Autoencoder":
        if self.weights is not None and self.gpu > 1:
            raise ValueError(f"gpu {self.gpu}: published weights are not trained; leave gpu out")
        return self


class CVAE(TrainedSection):
    """Conditional variational autoencoder (Kingma and Welling 2014; Sohn et al. 2015)."""

    label = "conditional VAE"
    citation = "Sohn et al. 2015, Learning Structured Output Representation using Deep Conditional Generative Models"
    space = "pixels"
    training_memory = Held(46)
    sampling_memory = Held(6)

    kind: Literal["cvae"]
    width: Width = 32
    latent_dim: PositiveInt = 64
    ema_decay: Fraction | None = 0.999
    kl_weight: NonNegativeFloat = 1.0  # β of Higgins et al. 2017; 1 is the evidence bound


class CGAN(TrainedSection):
    """Conditional GAN: hinge loss, spectral norm (Miyato et al. 2018), augmented for few images (Zhao et al. 2020)."""

    label = "conditional GAN"
    citation = "Miyato and Koyama 2018, cGANs with Projection Discriminator"
    space = "pixels"
    training_memory = Held(42)
    sampling_memory = Held(6)

    kind: Literal["cgan"]
    width: Width = 32
    latent_dim: PositiveInt = 64
    learning_rate: PositiveFloat = 2e-4
    ema_decay: Fraction | None = 0.999
    color: bool | None = None  # DiffAugment's three policies; None: where the dataset says that hue has no meaning
    translation: bool = True
    cutout: bool = True
