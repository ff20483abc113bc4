"""What was searched and with what: collections, their queries, and models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from kis_bench.choices import FULL
from kis_bench.datasets.left_out import describe_unreadable, explain_left_out
from kis_bench.encoders.decoding import UNTOLD_SIDE
from kis_bench.records import count_things
from kis_bench.report.sections.methods.wording import UNRECORDED, enumerate_words, name_in_bold
from kis_bench.report.tables import escape
from kis_bench.statistics.clusters import cluster_by_target, count_clusters, describe_count

if TYPE_CHECKING:
    from kis_bench.results import Run

Facts = Mapping[str, Any]
MOST_PICTURES_NAMED = 100  #: of pictures that can't be read; run.json has all
SHOWN_DIGITS = 12  #: of digests


def find_facts(run: Run, kind: str, name: str) -> Facts:
    """What run.json says of a model or a dataset; empty where it says nothing."""
    found = (run.provenance.get(kind) or {}).get(name)
    return found if isinstance(found, Mapping) else {}


def list_used(run: Run) -> list[str]:
    """Names of the models that the run has results of."""
    tables = (run.ranks, run.judgments)
    return [*dict.fromkeys(str(name) for table in tables for name in table["model"].unique())]


def tell_collections(run: Run) -> list[str]:
    """A paragraph for each dataset that was searched."""
    return [
        tell_collection(str(name), find_facts(run, "datasets", str(name)), rows)
        for name, rows in run.ranks.groupby("dataset", sort=False)
    ]


def tell_collection(name: str, about: Facts, rows: pd.DataFrame) -> str:
    """Its size, its label sets with queries and targets, and what of it was left out.

    Args:
        rows: of the table of ranks.
    """
    groups = about.get("n_groups")
    grouped = f" in {count_things(int(groups), 'group')}" if groups else ""
    sets = [
        f"{name_in_bold(label_set)} ({describe_queries(own)})"
        for label_set, own in rows.groupby("label_set", sort=False)
    ]
    noun = "label sets" if len(sets) > 1 else "label set"
    print_of = about.get("fingerprint")
    known = f"its fingerprint is {escape(str(print_of)[:SHOWN_DIGITS])}" if print_of else ""
    said = [
        f"Known-item search was measured on {name_in_bold(name)}, a collection of "
        f"{count_things(int(rows['n_items'].max()), 'image')}{grouped}, with the {noun} {enumerate_words(sets)}"
        f"{'; ' + known if known else ''}."
    ]
    said += tell_unsearched(about)
    return " ".join(said)


def tell_unsearched(about: Facts) -> list[str]:
    """Which files of a dataset's folder were not searched, and why."""
    if "left_out" not in about:
        return [f"Whether files of its folder were left out {UNRECORDED}."]
    why = {kind: explain_left_out(kind) for kind in about["left_out"]}
    files = [f"{n:,} {escape(kind)}{why[kind]}" for kind, n in about["left_out"].items()]
    said = (
        [f"Files of its folder that were not searched: {enumerate_words(files)}."] if files else []
    )
    lost = describe_unreadable(
        about.get("unreadable") or {}, about.get("queries_left_out") or (), MOST_PICTURES_NAMED
    )
    said += [f"Left out: {escape(one, 20_000)}." for one in lost]
    said += [f"Not read: {escape(one, 1000)}." for one in about.get("unread") or ()]
    said = said or ["No file of its folder was left out."]
    return said + [f"Read: {escape(one, 1000)}." for one in about.get("remarks") or ()]


def describe_queries(rows: pd.DataFrame) -> str:
    """Queries and targets of one label set; every model's own where not all were asked the same."""
    sizes = rows.groupby("model", sort=False)["query_id"].nunique()
    queries = rows.drop_duplicates("query_id")
    targets = count_clusters(cluster_by_target(queries["item_id"]), len(queries))
    said = describe_count(len(queries), targets)
    if (sizes < len(queries)).any():
        fewer = [f"{escape(model)} {n:,}" for model, n in sizes.items() if n < len(queries)]
        said += f", of which not all models were asked all: {enumerate_words(fewer)}"
    return said


def tell_models(run: Run) -> list[str]:
    """A sentence, then a list of all models of the run with where they are from and what computed their vectors."""
    points = [
        f"- {name_in_bold(name)}: {tell_model(run, name, find_facts(run, 'models', name))}"
        for name in list_used(run)
    ]
    if not points:
        return []
    lead = "The model was:" if len(points) == 1 else f"{len(points):,} models took part:"
    about = (
        "Images and texts were prepared as each checkpoint prescribes; a key stands for weights, preprocessing and "
        "precision. All vectors were scaled to length 1 and kept as float32."
    )
    return [f"{about} {lead}", "\n".join(points)]


def tell_model(run: Run, name: str, about: Facts) -> str:
    """Source, weights, vectors, key, decoding if not the usual one, and what computed, as far as it was recorded."""
    source, revision = about.get("source"), about.get("revision")
    said = [
        f"source {escape(str(source).removesuffix(':'))}" if source else f"its source {UNRECORDED}"
    ]
    if revision and ":" in str(source) and str(source).startswith(HUBS):
        said.append(f"revision {escape(revision)}")
    weights = about.get("weights")
    if isinstance(weights, Mapping) and weights:
        each = [f"{escape(file)} {escape(str(digest))}" for file, digest in weights.items()]
        said.append(f"weights {enumerate_words(each)}")
    elif weights is None:
        said.append(f"a digest of its weights {UNRECORDED}")
    if about.get("dim"):
        several = int(about.get("vectors_per_item") or 1)
        many = f"{several} vectors" if several > 1 else "vectors"
        said.append(f"{many} of {int(about['dim']):,} dimensions")
    said.append(f"key {escape(about['key'])}" if about.get("key") else f"its key {UNRECORDED}")
    if decode := about.get("decode"):
        how = f"in full, for {UNTOLD_SIDE}" if decode == FULL else escape(decode)
        said.append(f"JPEG files decoded {how}")
    if prompts := about.get("prompts"):
        averaged = ", whose vectors were averaged and scaled to length 1" * (len(prompts) > 1)
        shown = enumerate_words(f'"{escape(prompt)}"' for prompt in prompts)
        said.append(f"texts put into {shown}{averaged}")
    if read := about.get("read"):
        said.append(
            f"vectors made elsewhere, read from files: {enumerate_words(map(escape, read))}"
        )
    else:
        said.append(tell_computing(run.timings[run.timings["model"] == name], about))
    return "; ".join(said) + "."


#: Sources of which a revision tells what was loaded.
HUBS = ("hf-hub:", "transformers:", "timm:", "sentence-transformers:", "blip2:")


def tell_computing(timings: pd.DataFrame, about: Facts) -> str:
    """Precision, device and threads with which the vectors were made, and whether this run made them.

    Args:
        timings: the model's rows of timings.csv.
    """
    used = [escape(about["precision"])] if about.get("precision") else []
    if about.get("device"):
        used.append(f"on {escape(about['device'])}")
    if threads := str(about.get("threads") or ""):
        used.append(f"with {escape(threads)} thread{'' if threads == '1' else 's'}")
    cached = list_cached(timings)
    known = cached.dropna().astype(bool)
    if len(known) and known.all() and len(known) == len(cached):
        when = "before this run, which took them from the store"
    elif len(known) and not known.any():
        when = "in this run"
    elif len(known):
        when = "in part in this run, in part before"
    else:
        when = ""
    if not used:
        said = "device, precision and threads of its vectors were not recorded"
        return f"{said}; computed {when}" if when else said
    return " ".join(["computed", *([f"{when},"] if when else []), *used])


def list_cached(timings: pd.DataFrame) -> pd.Series:
    """Whether a run took all vectors of one kind from the store, of each dataset and kind; missing where unknown.

    What a first test computes a second one finds in the store: it was computed in this run.
    """
    rows = timings[timings["step"].astype(str).str.startswith("embed")]
    texts = rows["step"] == "embed texts"  # those of images serve all label sets
    kinds = [rows["dataset"], rows["step"], rows["label_set"].where(texts, "")]
    known = rows["cached"].astype("boolean")
    return known.groupby(kinds, dropna=False).min()
