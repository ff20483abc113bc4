"""Forms of requests and answers that embedding services of texts and pictures know."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kis_bench.records import Float64s


class WrongAnswer(ValueError):
    """What a service answered is not what its form has; the message says what is wrong."""


@dataclass(frozen=True)
class Form:
    """How texts and pictures, which come as data URIs, stand in a request, and vectors in the answer."""

    ask_texts: Callable[[Sequence[str]], dict[str, Any]]
    ask_pictures: Callable[[Sequence[str]], dict[str, Any]]
    path: str = "/embeddings"  # behind the base URL
    most_texts: int = 2048  # of a request, however many are wanted
    most_pictures: int = 2048
    find_vectors: Callable[[Any], list[Any]] = lambda answer: find_indexed(answer)


def find_indexed(answer: Any) -> list[Any]:
    """The vectors of an OpenAI-like answer, in the order of their ``index`` where they have one."""
    rows = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise WrongAnswer("it has no list of vectors under data")
    if any("index" in row for row in rows):
        if sorted(str(row.get("index")) for row in rows) != sorted(map(str, range(len(rows)))):
            shown = [row.get("index") for row in rows[:5]]
            raise WrongAnswer(f"index isn't 0 to {len(rows) - 1}, each once, but {shown} …")
        rows = sorted(rows, key=lambda row: int(row["index"]))
    return [row.get("embedding") for row in rows]


def find_by_type(answer: Any) -> list[Any]:
    """The vectors of a Cohere-like answer, which stand in the order of the inputs."""
    found = answer.get("embeddings") if isinstance(answer, Mapping) else None
    rows = found.get("float") if isinstance(found, Mapping) else found
    if not isinstance(rows, list):
        raise WrongAnswer("it has no list of vectors under embeddings.float")
    return rows


def make_message(content: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [content]}]}


FORMS: Mapping[str, Form] = {
    "infinity": Form(
        lambda texts: {"input": [*texts], "modality": "text"},
        lambda uris: {"input": [*uris], "modality": "image"},
    ),
    "jina": Form(  # also of SGLang
        lambda texts: {"input": [{"text": text} for text in texts]},
        lambda uris: {"input": [{"image": uri} for uri in uris]},
    ),
    "vllm": Form(
        lambda texts: make_message({"type": "text", "text": texts[0]}),
        lambda uris: make_message({"type": "image_url", "image_url": {"url": uris[0]}}),
        most_texts=1,
        most_pictures=1,
    ),
    "uri": Form(lambda texts: {"input": [*texts]}, lambda uris: {"input": [*uris]}),
    "cohere": Form(
        lambda texts: {
            "texts": [*texts],
            "input_type": "search_query",
            "embedding_types": ["float"],
        },
        lambda uris: {"images": [*uris], "input_type": "image", "embedding_types": ["float"]},
        path="/embed",
        most_texts=96,
        most_pictures=1,
        find_vectors=find_by_type,
    ),
}


def read_vectors(answer: Any, form: Form, n: int) -> Float64s:
    """The vectors of an answer, float64 ``[n, d]``, as they are.

    Raises:
        WrongAnswer: other than n vectors, of different lengths, or no numbers.
    """
    found = form.find_vectors(answer)
    if len(found) != n:
        raise WrongAnswer(f"it has {len(found)} vectors for {n} inputs")
    rows = [read_vector(one) for one in found]
    lengths = sorted({len(row) for row in rows})
    if len(lengths) != 1 or not lengths[0]:
        raise WrongAnswer(f"its vectors have {' and '.join(map(str, lengths))} numbers")
    return np.stack(rows)


def read_vector(written: Any) -> Float64s:
    """One vector, written as a list of numbers or as base64 of little-endian float32."""
    if isinstance(written, str):
        try:
            content = base64.b64decode(written, validate=True)
            return np.frombuffer(content, "<f4").astype(np.float64)
        except (binascii.Error, ValueError):
            raise WrongAnswer("a vector is text, and not base64 of float32") from None
    kinds = {type(x) for x in written} if isinstance(written, list) else {str}
    if kinds == {list}:
        raise WrongAnswer("an input has several vectors, and a single one is wanted")
    if not kinds <= {int, float}:
        raise WrongAnswer("a vector is no list of numbers")
    try:
        return np.array(written, np.float64)
    except OverflowError:
        raise WrongAnswer("a vector has a number that is too large") from None


def count_tokens(answer: Any) -> int:
    """Tokens that a service says it counted; 0 where it says nothing."""
    usage = answer.get("usage") if isinstance(answer, Mapping) else None
    total = usage.get("total_tokens") if isinstance(usage, Mapping) else None
    return total if isinstance(total, int) and not isinstance(total, bool) and total > 0 else 0


def find_model_name(answer: Any) -> str:
    """What a service calls the model that answered; empty: it doesn't say."""
    name = answer.get("model") if isinstance(answer, Mapping) else None
    return name if isinstance(name, str) else ""
