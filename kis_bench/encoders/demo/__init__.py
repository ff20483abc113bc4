"""Back end ``demo:``: the embedded model, a dual encoder small enough to ship. See CARD.md."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from kis_bench.encoders.protocol import BackEnd, Encoder
from kis_bench.errors import KisBenchError, explain_install
from kis_bench.records import Checkpoint, Readiness

DEMO_WEIGHTS = Path(__file__).with_name("weights.safetensors")
PREPROCESSING = "rgb-squash-bicubic-64"


def readiness(checkpoint: Checkpoint) -> Readiness:
    missing = [
        package for package in ("torch", "safetensors") if importlib.util.find_spec(package) is None
    ]
    if missing:
        return Readiness(False, f"needs {' and '.join(missing)}", explain_install("demo"))
    return Readiness(True, "ready")


def weights_digest() -> str:
    try:
        return hashlib.sha256(DEMO_WEIGHTS.read_bytes()).hexdigest()
    except OSError as error:
        raise KisBenchError(
            f"{DEMO_WEIGHTS} can't be read: {error.strerror}; install kis-bench anew"
        ) from error


def key(checkpoint: Checkpoint, precision: str) -> str:
    """It computes in fp32 whatever is asked for: it is too small to gain from less."""
    return f"demo-fp32-{PREPROCESSING}-{weights_digest()[:16]}"


def weights(checkpoint: Checkpoint) -> dict[str, str]:
    return {DEMO_WEIGHTS.name: weights_digest()}


def load(checkpoint: Checkpoint, device: str, precision: str) -> Encoder:
    from kis_bench.encoders.demo.encoder import DemoEncoder

    return DemoEncoder(checkpoint, device, key(checkpoint, precision))


BACK_END = BackEnd(
    kinds=("demo",),
    forms=(),
    packages=("torch",),
    readiness=readiness,
    key=key,
    weights=weights,
    load=load,
    tells_side=True,
    fp32_only=True,
)
