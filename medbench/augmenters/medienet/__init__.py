"""The denoiser of MedIENet (Yuan et al. 2025), as we declare it."""

from medbench.augmenters.medienet.unet import MedIENetUNet

__all__ = ["MedIENetUNet"]
