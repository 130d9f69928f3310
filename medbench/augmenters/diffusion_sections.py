"""What a config may say of a diffusion model: one section per kind."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from medbench.augmenters.schedules import FEWEST_STEPS, USUAL_STEPS, steps_up_to, usual_steps
from medbench.augmenters.sections import AugmenterSection, Held, TrainedSection, Widths
from medbench.core.sections import Fraction, Name, Probability

OR_NULL: Any = lambda schema: schema.update(type=[schema["type"], "null"])  # noqa: E731  # null takes the default


class DiffusionSection(TrainedSection):
    """What every diffusion model can set: its noise, its loss, its sampler."""

    SAMPLING_ONLY = AugmenterSection.SAMPLING_ONLY | {"sampler", "sample_steps", "clip_sample"}
    BY_NULL: ClassVar[frozenset[str]] = frozenset({"sample_steps", "clip_sample"})

    loss: Literal["l1", "l2", "huber"] = "l2"
    huber_beta: PositiveFloat = 1.0  # smooth L1's corner; below it the loss is MSE / (2 beta)
    schedule: Literal["linear", "cosine", "quadratic", "sigmoid"] = "linear"
    timesteps: Annotated[int, Field(ge=2)] = 1000
    sampler: Literal["ancestral", "ddim", "dpmsolver++"] = "ddim"
    # Network evaluations per image, twice as many with guidance; by default all timesteps (ancestral), else about 50.
    sample_steps: Annotated[PositiveInt, Field(json_schema_extra=OR_NULL)] = Field(
        default_factory=lambda data: usual_steps(data["sampler"], data["timesteps"])
    )
    clip_sample: Annotated[bool, Field(json_schema_extra=OR_NULL)] = False  # clip x0 to [-1, 1]

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, value: Any) -> Any:
        """Those that depend on other settings. A preset takes back what config.yaml sets by null."""
        if not isinstance(value, Mapping):
            return value
        given = {key: item for key, item in value.items() if key not in cls.BY_NULL or item is not None}
        return {**cls.defaults_for(given), **given}

    @classmethod
    def defaults_for(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """The kind's defaults that depend on what is given."""
        return {}

    @model_validator(mode="after")
    def _steps_fit_the_sampler(self) -> "DiffusionSection":
        if self.sampler == "ancestral" and self.sample_steps != self.timesteps:
            raise ValueError(
                f"sample_steps {self.sample_steps}: the ancestral sampler takes all {self.timesteps} timesteps; give"
                " sampler: ddim or dpmsolver++"
            )
        if "sample_steps" not in self.model_fields_set and self.sample_steps < min(FEWEST_STEPS, self.timesteps):
            raise ValueError(
                f"timesteps {self.timesteps}: ddim strides evenly, and no divisor of it is near {USUAL_STEPS}; give"
                " sample_steps, other timesteps, or sampler: dpmsolver++"
            )
        if self.sample_steps > self.timesteps:
            raise ValueError(f"sample_steps {self.sample_steps}: more than there are timesteps ({self.timesteps})")
        possible = steps_up_to(self.sample_steps, self.sampler, self.timesteps)
        if possible != self.sample_steps:
            raise ValueError(
                f"sample_steps {self.sample_steps}: ddim strides evenly and needs a divisor of timesteps"
                f" {self.timesteps}, such as {possible}; or give sampler: dpmsolver++"
            )
        return self


class AnnotatedDDPM(DiffusionSection):
    """The annotated diffusion model (Rogge and Rasul 2022).

    Without labels as in the walk-through: 300 timesteps, ancestral sampling. With labels it is a baseline and must
    reach the brightness of its data: 1000 timesteps, after which noise is all that is left, and x0 clipped.
    """

    label = "annotated DDPM"
    citation = "Rogge and Rasul 2022, The Annotated Diffusion Model"
    space = "pixels"
    training_memory = Held(218)
    sampling_memory = Held(48)

    kind: Literal["annotated_ddpm"]
    width: Annotated[int, Field(ge=4, multiple_of=4)] | None = None  # None: the image size, as in the walk-through
    multipliers: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (1, 2, 4)
    weight_standardization: Literal["divide_by_std", "walkthrough"] = "divide_by_std"
    conditioning: Literal["none", "label", "class"] = "none"

    @classmethod
    def defaults_for(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        if given.get("conditioning", "none") != "none":
            return {"clip_sample": True}
        # The first step of cosine divides by a hundredth: unclipped, it leaves no image.
        return {"timesteps": 300, "sampler": "ancestral", "clip_sample": given.get("schedule") == "cosine"}

    @property
    def labelled(self) -> bool:
        return self.conditioning != "none"


class ConditionalDiffusion(DiffusionSection):
    """Label-conditioned diffusion with classifier-free guidance, and what keeps it from over-fitting few images."""

    SAMPLING_ONLY = DiffusionSection.SAMPLING_ONLY | {"guidance_scale"}

    widths: Widths = (32, 64, 128)  # channels of the denoiser's stages; each but the last halves what it sees
    learning_rate: PositiveFloat = 2e-4
    ema_decay: Fraction | None = 0.999  # warms up: min(decay, (1 + step) / (10 + step))
    prediction: Literal["epsilon", "v"] = "epsilon"
    label_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1  # how often the label is replaced by the null class
    guidance_scale: NonNegativeFloat = 2.0  # 1: none, the default where labels are never dropped; 0: the null class
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    augment_probability: Probability = 0.12  # of each transform of a training image, told to the network (EDM)
    shift: Annotated[float, Field(ge=0, lt=0.5)] = 0.0625  # largest shift, of the side
    fidelity_checks: Annotated[int, Field(ge=0, le=8)] = 0  # KID on val, evenly spaced over the training
    check_steps: Annotated[int, Field(ge=1, le=25)] = 25  # of the sampler at a check
    check_images: Annotated[int, Field(ge=30)] = 200  # generated, and validation images, at a check
    check_dimension: Literal[768, 2048] = 768
    select: Literal["last", "kid"] = "last"  # kid: an earlier check that is better by more than chance

    @classmethod
    def defaults_for(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Without a null class there is no guidance, also in the train stage, which gets no settings of sampling."""
        return {"guidance_scale": 1.0} if given.get("label_dropout") == 0 else {}

    @model_validator(mode="after")
    def _settings_fit_together(self) -> "ConditionalDiffusion":
        if self.guidance_scale != 1 and self.label_dropout == 0:
            raise ValueError(
                f"guidance_scale {self.guidance_scale:g} needs the null class, which label_dropout 0 never trains; give"
                " label_dropout (0.1 is usual) or guidance_scale: 1"
            )
        if self.select == "kid" and self.fidelity_checks == 0:
            raise ValueError("select kid needs fidelity_checks: 1 to 8")
        if self.fidelity_checks > self.steps:
            raise ValueError(f"fidelity_checks {self.fidelity_checks}: more than there are steps ({self.steps})")
        return self

    @property
    def reads_inception(self) -> bool:
        return self.fidelity_checks > 0


class CDDPM(ConditionalDiffusion):
    """Class-conditional DDPM in pixel space with diffusers' UNet2DModel (Ho et al. 2020; Dhariwal and Nichol 2021)."""

    label = "class-conditional DDPM"
    citation = "Ho et al. 2020, Denoising Diffusion Probabilistic Models"
    space = "pixels"
    training_memory = Held(200)
    sampling_memory = Held(65)

    kind: Literal["cddpm"]
    layers_per_stage: PositiveInt = 2
    attention_stages: PositiveInt = 1  # the last so many, where images are smallest
    clip_sample: Annotated[bool, Field(json_schema_extra=OR_NULL)] = True


class LatentDiffusion(ConditionalDiffusion):
    """Diffusion in the latent space of a first stage (Rombach et al. 2022)."""

    space = "latents"
    sampling_memory = Held(19)

    first_stage: Name  # an entry of kind autoencoder, trained once for all that name it
    widths: Widths = (64, 128, 256)
    layers_per_stage: PositiveInt = 2
    heads: PositiveInt = 4
    tokens_per_class: PositiveInt = 4
    context_dim: PositiveInt = 128  # width of a class token

    @property
    def reads_model(self) -> str | None:
        return self.first_stage

    @model_validator(mode="after")
    def _fits_latents(self) -> "LatentDiffusion":
        require_heads(self.widths, self.heads)
        if self.clip_sample:
            raise ValueError("clip_sample: latents have no bounds to clip to, a third of them lies outside [-1, 1]")
        if self.schedule == "cosine" and self.prediction == "epsilon":
            raise ValueError(
                "schedule cosine with prediction epsilon: the sampler's first step divides by almost nothing, and"
                " latents have no bounds to clip to; give prediction: v, or another schedule"
            )
        return self


def require_heads(widths: Sequence[int], heads: int) -> None:
    """Raises ValueError unless 2-D RoPE can turn a head's channels in pairs, half of them by row, half by column."""
    if any(width % (4 * heads) for width in widths):
        raise ValueError(
            f"widths {list(widths)} with heads {heads}: every width must be a multiple of 4 × heads = {4 * heads}"
        )


class LDM(LatentDiffusion):
    """A plain latent diffusion model with diffusers' UNet2DConditionModel: what MedIENet must beat."""

    label = "latent diffusion"
    citation = "Rombach et al. 2022, High-Resolution Image Synthesis with Latent Diffusion Models"
    training_memory = Held(500, network=850)

    kind: Literal["ldm"]


class MedIENet(LatentDiffusion):
    """MedIENet (Yuan et al. 2025) as we declare it; each part of it is a switch for the ablation."""

    label = "MedIENet"
    citation = "Yuan et al. 2025, MedIENet, BMC Medical Imaging 25:372"
    training_memory = Held(195, network=290)
    library = "diffusers"

    kind: Literal["medienet"]
    multi_attention: bool = True  # the encoder's whole module, of the following four
    channel_attention: bool = True
    spatial_attention: bool = True
    self_attention: bool = True
    rope: bool = True  # 2-D axial, in every self-attention
    cross_attention: bool = True  # false: the label is added to the time embedding instead
