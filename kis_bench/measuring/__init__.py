"""Known-item search, image-to-text retrieval and image similarity, measured without pytest."""

from kis_bench.measuring.folders import write_run
from kis_bench.measuring.from_vectors import rank
from kis_bench.measuring.image_similarity import SimilarImages, measure_image_similarity
from kis_bench.measuring.image_to_text import ImageToText, measure_image_to_text
from kis_bench.measuring.known_items import KnownItems, measure_known_items

__all__ = [
    "ImageToText",
    "KnownItems",
    "SimilarImages",
    "measure_image_similarity",
    "measure_image_to_text",
    "measure_known_items",
    "rank",
    "write_run",
]
