"""How a picture looks before a model's own preprocessing, whatever its file holds."""

from __future__ import annotations

from PIL import Image, ImageOps


def upright(image: Image.Image) -> Image.Image:
    """The picture as a viewer shows it: turned as its EXIF data says, on white where it is transparent, RGB.

    A picture that is so already is returned as it is.
    """
    turned = ImageOps.exif_transpose(image)
    if turned.has_transparency_data:
        on_white = Image.new("RGBA", turned.size, "white")
        on_white.alpha_composite(turned.convert("RGBA"))
        turned = on_white
    return turned.convert("RGB")
