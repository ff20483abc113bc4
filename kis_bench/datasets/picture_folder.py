"""Where the pictures of a dataset folder lie."""

from __future__ import annotations

from pathlib import Path

#: The first that is there; else the dataset folder itself.
PICTURE_FOLDERS = ("images", "keyframes", "data")


def find_picture_folder(root: Path) -> Path:
    return next((root / name for name in PICTURE_FOLDERS if (root / name).is_dir()), root)
