"""The U-Net of the annotated diffusion model (Rogge and Rasul, 2022)."""

from medbench.augmenters.annotated.unet import AnnotatedUNet

__all__ = ["AnnotatedUNet"]
