"""What to cite: this software, and the papers of the models and datasets that a run used, in words and as BibTeX."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kis_bench import __version__
from kis_bench.datasets.catalogue import EMBEDDED
from kis_bench.datasets.openmoji import OPENMOJI_NOTE
from kis_bench.files.latex import escape_latex
from kis_bench.files.toml_tables import read_toml
from kis_bench.report.sections.methods.material import find_facts, list_used
from kis_bench.report.sections.methods.wording import enumerate_words, name_in_bold
from kis_bench.report.sections.similarity.wording import list_point
from kis_bench.report.tables import escape

if TYPE_CHECKING:
    from kis_bench.results import Run

CITATIONS = Path(__file__).parents[2] / "citations.toml"
Paper = Mapping[str, Any]


@functools.cache
def read_citations() -> Mapping[str, Any]:
    """The software and all papers that the package knows."""
    return read_toml(CITATIONS)


def show_citations(run: Run) -> list[str]:
    """Markdown of a section: what to cite in words, then as BibTeX."""
    software = read_citations()["software"]
    version = str((run.provenance.get("versions") or {}).get("kis-bench") or __version__)
    lines = [
        f"- {escape(software['author'])}: *{escape(software['title'])}: {escape(software['subtitle'])}*, version "
        f"{escape(version)}, {software['year']}, {software['licence']} licence."
    ]
    entries = [cite_software(software, version)]
    for paper, names in find_papers(run):
        lines.append(f"- {enumerate_words(map(name_in_bold, names))}: {describe_paper(paper)}")
        entries.append(cite_paper(paper))
    for address, names in find_unknown_papers(run).items():
        lines.append(f"- {enumerate_words(map(name_in_bold, names))}: {escape(address, 500)}")
    if any(name in EMBEDDED for name in run.provenance.get("datasets") or {}):
        lines.append(list_point(OPENMOJI_NOTE))
    if silent := list_silent(run):
        named = enumerate_words(map(name_in_bold, silent))
        lines.append(f"- No paper was recorded for {named}; see where these come from.")
    return ["## How to cite", "", *lines, "", "```bibtex", "\n\n".join(entries), "```", ""]


def find_address(run: Run, model: str) -> str:
    """What run.json names as a model's paper; empty: nothing."""
    return str(find_facts(run, "models", model).get("paper") or "")


def find_papers(run: Run) -> list[tuple[Paper, list[str]]]:
    """Each known paper with the models or datasets of the run that it is about."""
    papers = read_citations()["paper"]
    found: list[tuple[Paper, list[str]]] = []
    for paper in papers:
        if "dataset" in paper:
            about: Mapping[str, Any] = run.provenance.get("datasets") or {}
            names = [name for name in about if name == paper["dataset"]]
        else:
            names = [one for one in list_used(run) if find_address(run, one) == paper["address"]]
        if names:
            found.append((paper, names))
    return found


def find_unknown_papers(run: Run) -> dict[str, list[str]]:
    """What run.json names as papers of models and the package knows no more of -> the models."""
    known = {paper["address"] for paper in read_citations()["paper"]}
    found: dict[str, list[str]] = {}
    for model in list_used(run):
        if (address := find_address(run, model)) and address not in known:
            found.setdefault(address, []).append(model)
    return found


def list_silent(run: Run) -> list[str]:
    """Models without a paper, but for those that come with the package."""
    return [
        name
        for name in list_used(run)
        if not find_address(run, name)
        and not str(find_facts(run, "models", name).get("source", "")).startswith(OWN_MODELS)
    ]


OWN_MODELS = ("demo:", "colour-words:", "extractor:")  #: how sources begin that nobody has to cite


def describe_paper(paper: Paper) -> str:
    authors = [one.partition(",")[0] for one in paper["author"].split(" and ")]
    first = f"{authors[0]} et al." if len(authors) > 2 else " and ".join(authors)
    first = first.translate(str.maketrans("", "", "{}\\'")) if "\\" in first else first
    title = paper["title"].replace("--", "\N{EN DASH}")
    return f"{escape(first)}, *{escape(title)}*, {escape(paper['venue'])}, {paper['year']}, <{paper['address']}>."


def cite_software(software: Mapping[str, Any], version: str) -> str:
    return write_entry(
        "software",
        "kisbench",
        author=f"{{{software['author']}}}",
        title=f"{{{software['title']}}}: {software['subtitle']}",
        version=escape_latex(version),
        year=software["year"],
        license=software["licence"],
    )


def cite_paper(paper: Paper) -> str:
    return write_entry(
        "misc" if paper["venue"].startswith("arXiv") else "inproceedings",
        paper["key"],
        author=paper["author"],
        title=f"{{{paper['title']}}}",
        **{"howpublished" if paper["venue"].startswith("arXiv") else "booktitle": paper["venue"]},
        year=paper["year"],
        url=paper["address"],
    )


def write_entry(kind: str, key: str, **fields: object) -> str:
    """One entry of BibTeX; the values are LaTeX.

    >>> print(write_entry("misc", "a2020", title="T", year=2020))
    @misc{a2020,
      title = {T},
      year = {2020},
    }
    """
    return "\n".join(
        [f"@{kind}{{{key},", *(f"  {name} = {{{value}}}," for name, value in fields.items()), "}"]
    )
