"""Colours as people tell them apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def to_cielab(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """sRGB ``[n, 3]`` -> CIELAB ``[n, 3]`` under D65, L in 0..100 (IEC 61966-2-1, CIE 15)."""
    value = rgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = linear @ to_xyz.T / to_xyz.sum(axis=1)  # white is (1, 1, 1), so greys have a = b = 0
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


#: Two pictures have the same colours if none of their cells differs by more (CIE 1976). Measured on 17 photographs and
#: 60 drawings: JPEG of quality 10 to 95 changes a cell by 6 at most, quality 5 by 14, copies of a tenth to twice the
#: size by 14; drawings of OpenMoji that differ in the colour of what they show (books, squares, apples, medals) differ
#: by 30 to 103.
SAME_COLOURS = 15.0
#: And if both are planes, which show nothing but their colour; JPEG of quality 10 changed none of 300 by more.
SAME_PLANES = 10.0
PLANE = 2.0  #: no cell of a plane differs by more from the mean of all


def same_colours(grids: NDArray[np.int8], other: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Which pictures have the colours of another where that has them: ``[n]``.

    Args:
        grids: CIELAB of the c cells of n pictures, int8 ``[n, c, 3]``, as ``compute_colour_grids`` gives them.
        other: of the other picture, ``[c, 3]``.
    """
    distance = np.linalg.norm(grids.astype(np.float64) - other, axis=2).max(axis=1)
    both = planes(grids) & planes(other[None])
    alike: NDArray[np.bool_] = distance <= np.where(both, SAME_PLANES, SAME_COLOURS)
    return alike


def planes(grids: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Which pictures are of one colour all over: ``[n]`` of grids ``[n, c, 3]``."""
    whole = grids.astype(np.float64)
    apart = np.linalg.norm(whole - whole.mean(axis=1, keepdims=True), axis=2).max(axis=1)
    plain: NDArray[np.bool_] = apart <= PLANE
    return plain
