"""An embedding service on this machine's loopback, which answers with an encoder's vectors, in any of the forms.

``log`` holds what was asked: path, headers, JSON. ``faults`` are taken first, one a request: a status (with headers),
or a function that changes the answer. ``seen`` counts how often each picture and text was asked for.
"""

from __future__ import annotations

import base64
import io
import json
import threading
from collections import Counter, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image


class EmbeddingService:
    def __init__(self, encoder, *, form="infinity", key=None, port=0):
        self.encoder, self.form, self.key = encoder, form, key
        self.log, self.faults, self.seen = [], deque(), Counter()
        self.under_way = self.most_under_way = 0
        self.before_answer = lambda: None
        self.lock = threading.Lock()
        handler = type("Handler", (Handler,), {"service": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def source(self, **fields):
        given = {"model": "tiny", "form": self.form, **fields}
        return f"http:{self.url}?" + "&".join(f"{name}={value}" for name, value in given.items())

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def read_inputs(self, asked):
        """What is asked for: ("picture" or "text", content) each."""
        if self.form == "vllm":
            (content,) = asked["messages"][0]["content"]
            if content["type"] == "text":
                return [("text", content["text"])]
            return [("picture", content["image_url"]["url"])]
        if self.form == "cohere":
            kind = "picture" if asked["input_type"] == "image" else "text"
            return [(kind, one) for one in asked.get("images", asked.get("texts"))]
        if self.form == "jina":
            names = {"text": "text", "image": "picture"}
            return [(names[name], one[name]) for one in asked["input"] for name in one]
        if self.form == "infinity":
            kind = {"image": "picture", "text": "text"}[asked["modality"]]
            return [(kind, one) for one in asked["input"]]
        return [
            ("picture" if one.startswith("data:image/") else "text", one) for one in asked["input"]
        ]

    def embed(self, kind, content):
        if kind == "text":
            return self.encoder.encode_texts([content])[0][0, 0]
        file = io.BytesIO(base64.b64decode(content.partition(",")[2]))
        return self.encoder.encode_images([Image.open(file).convert("RGB")])[0, 0]

    def answer(self, asked):
        inputs = self.read_inputs(asked)
        with self.lock:
            self.seen.update(inputs)
        vectors = [(3 * self.embed(*one)).tolist() for one in inputs]
        if self.form == "cohere":
            return {"embeddings": {"float": vectors}}
        rows = [
            {"object": "embedding", "index": i, "embedding": vector}
            for i, vector in enumerate(vectors)
        ]
        tokens = {"prompt_tokens": len(rows), "total_tokens": 10 * len(rows)}
        return {"object": "list", "data": rows[::-1], "model": asked["model"], "usage": tokens}


class Handler(BaseHTTPRequestHandler):
    service: EmbeddingService
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        service = self.service
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with service.lock:
            service.log.append((self.path, dict(self.headers), asked))
            service.under_way += 1
            service.most_under_way = max(service.most_under_way, service.under_way)
            fault = service.faults.popleft() if service.faults else None
        try:
            service.before_answer()
            self.reply(asked, fault)
        finally:
            with service.lock:
                service.under_way -= 1

    def reply(self, asked, fault):
        path = "/v1/embed" if self.service.form == "cohere" else "/v1/embeddings"
        wanted = f"Bearer {self.service.key}"
        if self.service.key and self.headers.get("Authorization") != wanted:
            return self.write(401, {"error": f"wrong key: {self.headers.get('Authorization')}"})
        if self.path != path:
            return self.write(404, {"error": "no such address"})
        if fault is None or callable(fault):
            answer = self.service.answer(asked)
            return self.write(200, answer if fault is None else fault(answer))
        status, headers = fault
        return self.write(status, {"error": f"status {status}"}, headers)

    def write(self, status, answer, headers=None):
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def to_base64(answer):
    """The same answer with vectors as base64 of float32."""
    rows = [
        {**row, "embedding": base64.b64encode(np.float32(row["embedding"]).tobytes()).decode()}
        for row in answer["data"]
    ]
    return {**answer, "data": rows}
