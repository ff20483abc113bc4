"""Back end ``http:URL?model=NAME``: an embedding service that is asked for vectors of pictures and texts.

Pictures and texts leave this process, and mostly this machine; see `kis_bench.encoders.http.service` for what a source
may say, and `kis_bench.encoders.http.forms` for the services that are understood.
"""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from kis_bench.encoders.http.service import Service, read_service
from kis_bench.encoders.protocol import BackEnd, Encoder
from kis_bench.errors import KisBenchError, explain_install
from kis_bench.records import Checkpoint, Readiness

if TYPE_CHECKING:
    from kis_bench.encoders.http.encoder import HttpEncoder

#: Service, key of its vectors, and whether it is for pictures alone -> what was asked before.
OPEN_SERVICES: dict[tuple[Service, str, bool], HttpEncoder] = {}


def readiness(checkpoint: Checkpoint) -> Readiness:
    """Whether it can be asked; the service isn't, to find out."""
    service = read_service(checkpoint)
    if importlib.util.find_spec("urllib3") is None:
        return Readiness(False, "needs urllib3", explain_install("http"))
    variable = service.key_variable
    try:
        lacks_key = bool(variable) and service.key is None
    except KisBenchError as error:
        return Readiness(False, "no key", f"{error}; set it to the key for {service.host}")
    if lacks_key:
        return Readiness(False, "no key", f"set ${variable} to the key for {service.host}")
    told = f"; the key is in ${variable}" if variable else ""
    return Readiness(True, "ready", service.describe() + told)


def key(checkpoint: Checkpoint, precision: str) -> str:
    """Names the URL, the model and how it is asked; not who asks."""
    return read_service(checkpoint).name_vectors(checkpoint.revision)


def weights(checkpoint: Checkpoint) -> dict[str, str]:
    """Nobody outside the service knows."""
    return {}


def check_row(checkpoint: Checkpoint, start: Path) -> Checkpoint:
    """The row; a URL that can't be taken is an error."""
    read_service(checkpoint)
    return checkpoint


def open_service(checkpoint: Checkpoint) -> HttpEncoder:
    """The service, which was asked for a few vectors: once in a process, for they may have to be paid.

    Raises:
        NotReady: nothing answers. KisBenchError: it refuses, or answers wrongly.
    """
    from kis_bench.encoders.http.encoder import HttpEncoder

    service, made_under = read_service(checkpoint), key(checkpoint, "fp32")
    asked = service, made_under, checkpoint.image_only
    if asked not in OPEN_SERVICES:
        OPEN_SERVICES[asked] = HttpEncoder(checkpoint, service, made_under)
    return OPEN_SERVICES[asked]


def load(checkpoint: Checkpoint, device: str, precision: str) -> Encoder:
    opened = open_service(checkpoint)
    encoder = copy.copy(opened)  # prompts make another model of it
    encoder.name = encoder.client.model = checkpoint.name
    opened.count_anew()  # so that its probes count for the first that is loaded, and for no other
    opened.client.answered = True
    return encoder


BACK_END = BackEnd(
    kinds=("http",),
    forms=("http:URL?model=NAME",),
    packages=("urllib3",),
    readiness=readiness,
    key=key,
    weights=weights,
    load=load,
    require=open_service,
    fill_in=check_row,
    find_receiver=read_service,
    cpu_only=True,
    fp32_only=True,
)
