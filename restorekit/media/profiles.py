"""ICC colour profiles: which colours they describe, and how other colours become sRGB."""

import io
import struct
from functools import cache

import PIL.Image
import PIL.ImageCms

SPACES = {b"RGB ": "RGB", b"GRAY": "grey", b"CMYK": "CMYK", b"Lab ": "Lab"}


def colour_space(profile: bytes) -> str:
    """Colours that a profile describes: "RGB", "grey", "CMYK", "Lab", or "unknown". ICC.1:2022, section 7.2.8."""
    return SPACES.get(profile[16:20], "unknown")


def matching_profile(profile: bytes, grey: bool) -> tuple[bytes, tuple[str, ...]]:
    """Keep a profile that fits the pixels.

    Grey pixels may have an RGB profile, as many programs write it: they stand for equal red, green and blue.

    Returns:
        The profile, or nothing if it describes other colours; and what was lost, in plain words.
    """
    space = colour_space(profile)
    if not profile or space == "RGB" or (grey and space == "grey"):
        return profile, ()
    return b"", (f"{space} profile dropped: the pixels are {'grey' if grey else 'RGB'}",)


def convert_to_srgb(image: PIL.Image.Image, profile: bytes) -> tuple[PIL.Image.Image, bytes, tuple[str, ...]]:
    """Convert CMYK or Lab to RGB.

    Args:
        image: of mode "CMYK" or "LAB".
        profile: of the image. Without one that fits, Lab is taken as CIE L*a*b* (D50), and CMYK as subtracting from
            white, which only resembles what a printer does.

    Returns:
        The image in mode "RGB", its new profile, and what was lost, in plain words.
    """
    space = {"CMYK": "CMYK", "LAB": "Lab"}[image.mode]
    if colour_space(profile) == space:
        try:
            converted = _transform(image, PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile)))
            return converted, srgb_profile(), (f"{space} profile replaced by sRGB",)
        except (PIL.ImageCms.PyCMSError, OSError):
            pass  # a damaged profile is as good as none
    if space == "Lab":
        converted = _transform(image, PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("LAB")))
        return converted, srgb_profile(), ("Lab colours replaced by sRGB",)
    why = f"its {colour_space(profile)} profile does not serve" if profile else "it has no profile"
    return image.convert("RGB"), b"", (f"{space} converted to RGB approximately: {why}",)


def _transform(image: PIL.Image.Image, profile: PIL.ImageCms.ImageCmsProfile) -> PIL.Image.Image:
    """Relative colorimetric with black point compensation, which is what image editors do by default."""
    converted = PIL.ImageCms.profileToProfile(
        image,
        profile,
        PIL.ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile())),
        renderingIntent=PIL.ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=PIL.ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert converted is not None  # only a conversion in place returns nothing
    return converted


@cache
def srgb_profile() -> bytes:
    """The sRGB profile, the same bytes every time: its date of creation is 1 January 2000."""
    profile = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + profile[36:]
