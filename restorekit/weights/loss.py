"""What a network loses in int8."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Loss:
    """What a network loses in int8, on images that did not calibrate it."""

    psnr: float
    """Mean PSNR in float32 minus that in int8, in dB."""
    ssim: float
    images: int
    float_layers: int
    """Convolutions that stay in float32."""
    layers: int

    def __str__(self) -> str:
        floats = f"{self.float_layers} of {self.layers} convolutions stay in float32"
        return f"loses {self.psnr:.3f} dB and {self.ssim:.4f} SSIM on {self.images} images; {floats}"
