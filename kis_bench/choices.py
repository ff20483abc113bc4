"""What options of pytest and of the command line choose from, as plain values: reading their help needs no numpy."""

PRECISIONS = ("fp32", "bf16", "fp16")
FULL, SCALED = DECODINGS = ("full", "scaled")  #: how large JPEGs are decoded for a model
LOCAL_ENGINE = "local"  #: what the option calls numpy
#: What multiplies for ranks beside numpy -> modules whose ``make_engine(device)`` gives their engines.
ENGINE_MODULES = {"torch": "kis_bench.encoders.torch_ranking", "ray": "kis_bench.cluster.ranking"}
CLUSTER_ENGINES = (
    "ray",
)  #: of these, those whose device is the address of a cluster, which stands behind a colon
#: What looks for what: texts for pictures, as in known-item search, pictures for their texts, or both.
DIRECTIONS = TEXT_TO_IMAGE, IMAGE_TO_TEXT, BOTH_DIRECTIONS = (
    "text-to-image",
    "image-to-text",
    "both",
)
#: Experiment trackers, by the names of their packages and extras -> what they call themselves.
TRACKERS = {"mlflow": "MLflow", "wandb": "Weights & Biases"}
VECTOR_RULES = ("mean", "max")  #: similarity of two images with several vectors each
IDENTICAL = "identical"
NEAR_DUPLICATE_METHODS = (
    "identical, phash:BITS (0 to 64 of 64 bits differ, in even numbers: 5 is as 4; and no colour does) or "
    "cosine:SIMILARITY (0 to 1)"
)
SEGMENT_S = 10.0  #: seconds before and after the target; segments at the Video Browser Showdown last about 20 s

# Told by other modules at the cost of importing them: tests/plugin/test_options.py compares.
MODEL_FORMS = (  #: of kis_bench.encoders.back_ends.list_forms
    "extractor:NAME, http:URL?model=NAME, m3rt:NAME, onnx:FOLDER, onnx:VARIANT=FOLDER, openclip:ARCH/TAG, "
    "openclip:ARCH/FILE.pt, openclip:local-dir:PATH, hf-hub:ORG/NAME, sentence-transformers:ORG/NAME, "
    "sentence-transformers:PATH, timm:NAME, transformers:ORG/NAME, transformers:PATH, module:function, "
    "vectors:FOLDER, vectors-of-more:FOLDER"
)
TESTABLE_MEASURES = "recall@1, 5, 10, 50 or 100, mrr, ndcg@10, consistency"  #: metrics.TESTABLE
TESTED_MEASURES = "recall@1, 5, 10, 50 or 100, mrr, consistency"  #: metrics.USUALLY_TESTED
#: How many pixels a picture may have: phones make 200 million, and these take 1.6 GB to decode.
MOST_PIXELS = 250_000_000
LIMIT_VARIABLE = "KIS_MAX_PIXELS"  #: of the environment, for another number
