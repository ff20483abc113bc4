"""Repositories of the Hugging Face hub: what lies in its cache, and fetching what does not.

Looking needs nothing but the file system, so a run that finds its vectors in the store imports no client.
Layout: ``<cache>/models--ORG--NAME/{refs/<branch>, snapshots/<commit>/<files>, blobs}``.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from kis_bench.encoders.catalogue import spoken
from kis_bench.encoders.downloads import download, hide_bars
from kis_bench.errors import KisBenchError, explain_install, spell_option
from kis_bench.files.progress import track
from kis_bench.records import Checkpoint, Readiness

COMMIT = re.compile(r"[0-9a-f]{40}")
LARGE = 2**23  #: bytes; a file of this size is worth going on with after a stop
SMALL_FILES = re.compile(
    r"[^/]+\.(json|txt|model|jinja)"
)  #: configurations and tokenizers; not in subfolders

USUAL_FILES = (
    "open_clip_config.json",
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
    "pytorch_model.bin",
)


def cache() -> Path:
    """Where the clients of the hub keep files: ``HF_HUB_CACHE``, else below ``HF_HOME``."""
    if os.environ.get("HF_HUB_CACHE"):
        return Path(os.environ["HF_HUB_CACHE"]).expanduser()
    user = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.environ.get("HF_HOME") or user).expanduser() / "hub"


@dataclass(frozen=True)
class Repository:
    """A model repository at a branch, tag or commit."""

    name: str  # ORG/NAME
    revision: str = "main"

    @property
    def folder(self) -> Path:
        return cache() / f"models--{self.name.replace('/', '--')}"

    @property
    def commit(self) -> str | None:
        """The commit that the cache holds for the revision, 40 hexadecimal digits."""
        if COMMIT.fullmatch(self.revision):
            return self.revision
        try:
            return (self.folder / "refs" / self.revision).read_text(
                encoding="ascii"
            ).strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    @property
    def snapshot(self) -> Path | None:
        """The folder with the files of that commit, if there is one; files may be missing from it."""
        if self.commit is None:
            return None
        folder = self.folder / "snapshots" / self.commit
        return folder if folder.is_dir() else None

    def key(self) -> str:
        """Name and commit, for the key of an encoder."""
        return f"{self.name.replace('/', '--')}-{(self.commit or '')[:12]}"

    def weights(self) -> dict[str, str]:
        return {self.name: self.commit} if self.commit else {}

    def listing(self) -> list[str]:
        """Names of the files at the revision; of a mirror that lists nothing, those of the usual names."""
        import huggingface_hub
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

        try:
            about = huggingface_hub.HfApi().model_info(self.name, revision=self.revision)
            return sorted(file.rfilename for file in about.siblings or ())
        except HfHubHTTPError as error:
            if error.response.status_code != 404:
                raise
            found = []
            for file in USUAL_FILES:
                try:
                    huggingface_hub.get_hf_file_metadata(
                        huggingface_hub.hf_hub_url(self.name, file, revision=self.revision)
                    )
                    found.append(file)
                except EntryNotFoundError:
                    continue
                except HfHubHTTPError:
                    break
            if not found:
                raise error from None
            return found

    def fetch(self, choose: Callable[[Sequence[str]], Sequence[str]]) -> Path:
        """Downloads the files that ``choose`` picks from the repository's list; the snapshot's folder.

        Raises:
            KisBenchError: no network, no such repository or revision, no permission, a full disk.
        """
        import huggingface_hub
        from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled
        from huggingface_hub.utils import build_hf_headers

        try:
            for file in choose(self.listing()):
                url = huggingface_hub.hf_hub_url(self.name, file, revision=self.revision)
                found = huggingface_hub.get_hf_file_metadata(url)
                if found.size is not None and found.size >= LARGE and found.etag:
                    # The client starts a file anew when its process was stopped; gigabytes should go on.
                    digest = found.etag if len(found.etag) == 64 else ""
                    blob = self.folder / "blobs" / found.etag
                    download(url, blob, size=found.size, sha256=digest, headers=build_hf_headers())
                with hide_bars(), track(f"downloading {file} of {self.name}"):
                    huggingface_hub.hf_hub_download(
                        self.name, file, revision=self.revision, cache_dir=cache()
                    )
        except KisBenchError:
            raise
        except OfflineModeIsEnabled as error:
            raise KisBenchError(
                f"{self.name} can't be downloaded: HF_HUB_OFFLINE is set; unset it"
            ) from error
        except (HTTPError, OSError, ValueError) as error:
            said = str(error).strip().split("\n")[0]
            raise KisBenchError(
                f"{self.name} (revision {self.revision}) can't be downloaded: {said or type(error).__name__}. "
                "Check the network, the name, and for repositories that ask for consent HF_TOKEN"
            ) from error
        snapshot = self.snapshot
        if snapshot is None:
            raise KisBenchError(
                f"{self.name}: nothing was downloaded; the repository has none of the files that count"
            )
        return snapshot


def find_repository(checkpoint: Checkpoint) -> Repository:
    """What stands behind the colon of a source: ``ORG/NAME`` or ``ORG/NAME@REVISION``.

    Raises:
        KisBenchError: anything else.
    """
    text = checkpoint.origin.rest
    name, at, own = text.partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+|[\w.-]+", name) or (at and not own):
        raise KisBenchError(
            f"model {checkpoint.name}: {text!r} is no repository of the hub; write ORG/NAME or ORG/NAME@REVISION"
        )
    return Repository(name, own or checkpoint.revision)


def weights_and_small_files(files: Sequence[str], preferred: Sequence[str]) -> list[str]:
    """Configurations, tokenizers, and one set of weights: the first of ``preferred`` that is there.

    A name that ends in ``.index.json`` stands for the parts that it lists.
    """
    small = small_files(files)
    for weights in preferred:
        if weights in files:
            stem, suffix = re.sub(r"\.index\.json$", "", weights).rsplit(".", 1)
            parts = [
                file
                for file in files
                if re.fullmatch(rf"{re.escape(stem)}-\d+-of-\d+\.{suffix}", file)
            ]
            return [*small, weights, *(parts if weights.endswith(".index.json") else ())]
    raise KisBenchError(
        f"the repository has no weights that can be read safely; looked for {', '.join(preferred)}"
    )


def small_files(files: Sequence[str]) -> list[str]:
    """Configurations and tokenizers."""
    return [
        file for file in files if SMALL_FILES.fullmatch(file) and not file.endswith(".index.json")
    ]


def missing_files(snapshot: Path, config: str, preferred: Sequence[str]) -> list[str]:
    """What a snapshot lacks of a configuration and one whole set of weights; empty: nothing."""
    missing = [] if (snapshot / config).is_file() else [config]
    for weights in preferred:
        if (snapshot / weights).is_file():
            if not weights.endswith(".index.json"):
                return missing
            try:
                parts = set(
                    json.loads((snapshot / weights).read_text(encoding="utf-8"))[
                        "weight_map"
                    ].values()
                )
            except (ValueError, KeyError, TypeError, AttributeError):
                return [*missing, f"{weights} (damaged)"]
            return [*missing, *sorted(part for part in parts if not (snapshot / part).is_file())]
    return [*missing, preferred[0]]


@contextlib.contextmanager
def no_network() -> Iterator[None]:
    """While this is entered, the clients of the hub read their cache and ask no server."""
    import huggingface_hub.constants as constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def readiness(
    checkpoint: Checkpoint,
    repository: Repository,
    config: str,
    preferred: Sequence[str],
    extra: str,
    *needs: str,
) -> Readiness:
    """Of a model that needs a whole repository, and packages.

    Args:
        config, preferred: see `missing_files`.
        extra: of kis-bench, that installs the packages.
        needs: the packages, such as ``transformers>=5``.
    """
    absent = [need for need in needs if not installed(need)]
    if absent:
        return Readiness(False, f"needs {' and '.join(absent)}", explain_install(extra))
    snapshot = repository.snapshot
    if snapshot is None or missing_files(snapshot, config, preferred):
        return not_downloaded(checkpoint)
    return Readiness(True, "ready")


@functools.cache  # a session asks for each of its models several times
def installed(need: str) -> bool:
    """Whether a distribution is here in a version that will do."""
    wanted = Requirement(need)
    try:
        return wanted.specifier.contains(importlib.metadata.version(wanted.name), prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False


def not_downloaded(checkpoint: Checkpoint) -> Readiness:
    """The state of a model whose files are not here, with the command that gets them."""
    remedy = f"kis-bench fetch {spoken(checkpoint)}, or add {spell_option('download')}"
    return Readiness(False, "not downloaded", remedy, downloadable=True)
