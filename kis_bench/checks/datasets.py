"""Checks of dataset folders: files in, findings out.

A finding says how much of it there is, what it means for results, how to mend it, and where it stands.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kis_bench import encoders
from kis_bench.checks.check import Check
from kis_bench.checks.studies import check_missing_pictures, check_study
from kis_bench.checks.texts import (
    ACROSS_SETS,
    IN_EACH_SET,
    ExaminedDataset,
    find_texts_that,
    list_first,
    make_notes,
    show_text,
)
from kis_bench.datasets.flat_pictures import place_study
from kis_bench.datasets.folder import (
    explain_no_folder,
    list_wanted_images,
    narrow_collection,
    read_study_in,
)
from kis_bench.datasets.folder_pictures import OWN_TABLES, ListedPictures, read_images
from kis_bench.datasets.label_formats import FoundLabels, find_labels
from kis_bench.datasets.label_formats.label_format import Purpose
from kis_bench.datasets.layouts import Layout, choose_layout
from kis_bench.datasets.left_out import count_by_kind, describe_left_out, describe_unreadable
from kis_bench.datasets.nearly import find_unread_tables
from kis_bench.datasets.parts import DatasetPart
from kis_bench.datasets.unreadable import leave_out_unreadable
from kis_bench.encoders.back_ends import find_back_end
from kis_bench.encoders.receivers import find_receiver
from kis_bench.errors import BadFile, KisBenchError, explain_install, spell_option
from kis_bench.files.csv_tables import read_sheet
from kis_bench.files.hashes import compute_colour_grids, compute_perceptual_hashes
from kis_bench.files.jpeg_damage import find_damaged_jpegs, has_strict_decoder
from kis_bench.files.progress import track_each
from kis_bench.files.text import list_first_names, make_plain
from kis_bench.ranking.relevance import NearDuplicates, looks_like
from kis_bench.records import Checkpoint, Collection, count_things

MOST_PAIRS = 2 * 10**9  #: of targets and images whose hashes are compared: one to two minutes
COMPARED_BLOCK_ITEMS, BATCH_TEXTS = 1 << 16, 64
CLIP_TOKENIZER = "clip"  #: as rows of the catalogue say it
MOST_UNREADABLE_NAMED = 100  #: of pictures that can't be read
UNLIMITED_MODELS = "colour-words:"  #: a source of models that read texts of any length


def check_dataset(
    name: str,
    root: Path,
    *,
    layout: str | None = None,
    models: Sequence[Checkpoint] = (),
    near_bits: int = 6,
    skip_unreadable: bool = False,
) -> Iterator[Check]:
    """Examines a dataset folder; what takes long comes last.

    Args:
        layout: how its files are named, as for `kis_bench.datasets.load`.
        models: those whose context the texts have to fit; they are loaded, and nothing is downloaded. Empty: of the
            catalogue, those of which it can be told without their weights.
        near_bits: near-duplicates differ in at most so many bits of 64.
        skip_unreadable: pictures that can't be read are left out, and are no fault.

    Raises:
        KisBenchError: no such layout, or number of bits. What is wrong with the folder is a finding.
    """
    NearDuplicates.parse(f"phash:{near_bits}")
    chosen = choose_layout(name, layout, root)
    found = examine(name, root, chosen, models, near_bits, skip_unreadable)
    return (replace(check, finding=make_printable(check.finding)) for check in found)


def examine(
    name: str,
    root: Path,
    layout: Layout,
    models: Sequence[Checkpoint],
    near_bits: int,
    skip_unreadable: bool,
) -> Iterator[Check]:
    study, unread = None, False
    try:
        study = read_study_in(root, layout)
    except (KisBenchError, OSError) as error:
        unread = True
        yield Check(
            "judgments",
            False,
            f"nothing is measured until the study's files are mended\n{format_problems(error)}",
        )
    if study is not None:
        yield from check_study(study)
    try:
        if not os.path.isdir(root):
            raise KisBenchError(explain_no_folder(root))
        part = DatasetPart.parse(name, root)
        found = find_labels(root, part, beside=study is not None or unread)
        if unread and not found.beside:
            return
        wanted = list_wanted_images(study, found)
        pictures = read_images(name, root, layout, only=wanted, labels=found)
        listed = pictures.collection
        labels = found.read(Purpose(listed, pictures.captions, part, skip_unreadable))
        collection = narrow_collection(listed, labels.searched)
        subject = ExaminedDataset(collection, labels)
    except (KisBenchError, OSError) as error:
        yield Check(
            "images",
            False,
            f"can't be listed, so nothing else was checked\n{format_problems(error)}",
        )
        return
    if len(collection):
        ignored = pictures.ignored - labels.used
        yield from check_images(replace(pictures, collection=collection, ignored=ignored))
    if study is not None:
        yield check_missing_pictures(place_study(study, collection.position.keys()), collection)
    if found.beside or study is None:
        yield from check_labels(subject)
    yield from check_unread_tables(root, found, bool(subject.queries))
    yield from check_table_forms(root, found.files)
    if subject.queries:
        for topic, look, show in IN_EACH_SET:
            yield from make_notes(topic, subject.check_each_set(look, show))
        for topic, compare in ACROSS_SETS:
            yield from make_notes(topic, compare(subject))
    if len(collection):
        yield from check_pictures(subject, near_bits, skip_unreadable)
    if subject.queries:
        yield from check_contexts(subject, models)


def check_images(pictures: ListedPictures) -> Iterator[Check]:
    collection = pictures.collection
    groups = "no" if collection.groups is None else len(set(collection.groups))
    timed = sum(not math.isnan(time) for time in collection.times_s or ())
    yield Check(
        "images", True, f"{len(collection)} images, {groups} groups, {timed} images with a time"
    )
    if left_out := count_by_kind(pictures.ignored):
        yield Check("files not read", None, describe_left_out(left_out))
    if pictures.strays:
        yield Check("pictures left out", None, pictures.strays)
    if pictures.remarks:
        yield Check("saved datasets", None, "; ".join(pictures.remarks))


def check_unread_tables(root: Path, found: FoundLabels, labelled: bool) -> Iterator[Check]:
    if unread := find_unread_tables(root, found.files, labelled):
        yield Check("tables not read", None, "; ".join(unread))


def check_table_forms(root: Path, labels: Sequence[Path]) -> Iterator[Check]:
    """Tables that are read but aren't written as most programs read them."""
    own = [root / name for name in sorted(OWN_TABLES - {"labels.csv"})]
    forms = {}
    sheets = (file for file in labels if file.suffix.lower() == ".csv")
    for file in filter(os.path.isfile, (*sheets, *own)):
        with contextlib.suppress(BadFile):  # told by those who need it
            forms[file] = read_sheet(file, []).form
    said = [f"{file.name} is read as {form}" for file, form in forms.items() if form]
    if said:
        remedy = "other programs may not; save it as UTF-8, with commas"
        yield Check("tables", None, f"{'; '.join(said)}; {remedy}")


def check_labels(subject: ExaminedDataset) -> Iterator[Check]:
    wrong = {file: problems for file, problems in subject.labels.problems.items() if problems}
    for file, problems in wrong.items():
        said = f"{file}, problems: {len(problems)}; nothing is measured until they are mended"
        yield Check("labels", False, "\n".join([said, *problems]))
    if not subject.labels.problems and not subject.queries:
        said = "no label files; known-item search is skipped; write labels.csv with query_id,item_id,label_set,text"
        yield Check("labels", None, said)
    elif not wrong:
        sets = [f"{len(queries)} in {name}" for name, queries in subject.sets.items()]
        yield Check(
            "labels",
            True,
            f"{count_things(len(subject.queries), 'query')}: {list_first(sets, len(sets))}",
        )
    if subject.labels.remarks:
        yield Check("captions", None, "; ".join(subject.labels.remarks))
    if subject.labels.unread:
        yield Check("texts that are no queries", None, "; ".join(subject.labels.unread))


def check_pictures(
    subject: ExaminedDataset, near_bits: int, skip_unreadable: bool
) -> Iterator[Check]:
    unreadable: dict[str, str] = {}
    try:
        if skip_unreadable:
            collection, unreadable = leave_out_unreadable(subject.collection)
            subject = replace(subject, collection=collection)
        looks = (
            compute_perceptual_hashes(subject.collection),
            compute_colour_grids(subject.collection),
        )
    except KisBenchError as error:
        yield Check(
            "pictures",
            False,
            f"some can't be read, and nothing is measured with them, unless {spell_option('skip-unreadable')} "
            f"leaves them out\n{format_problems(error)}",
        )
        yield Check(
            "identical files, near-duplicates",
            None,
            "not looked for until all pictures can be read",
        )
        return
    yield check_jpegs(subject.collection)
    if unreadable:
        gone = [query for query in subject.queries if not subject.targets(query)]
        lost = [f"{query.label_set}/{query.query_id}" for query in gone]
        yield Check(
            "pictures",
            None,
            "\n".join(describe_unreadable(unreadable, lost, MOST_UNREADABLE_NAMED)),
        )
    else:
        yield Check("pictures", True, "all can be read")
    wanted = sorted({subject.targets(query) for query in subject.queries} - {()})
    if wanted:
        yield from find_twins(subject.collection, wanted, looks[0], near_bits, looks[1])


def check_jpegs(collection: Collection) -> Check:
    """Looks for what no usual decoder minds."""
    topic = "damage in JPEGs"
    if not has_strict_decoder():
        how = explain_install("check")
        said = f"not looked for, and other decoders show such pictures without a word; {how}"
        return Check(topic, None, said)
    damaged = find_damaged_jpegs(collection)
    if not damaged:
        return Check(topic, True, "none found")
    each = [f"{item} ({said})" for item, said in damaged.items()]
    return Check(
        topic,
        None,
        f"{count_things(len(damaged), 'picture')} of {len(collection):,}: they are shown, with wrong pixels, and that "
        f"is what models see; copy them again\n{list_first(each, len(each))}",
    )


def find_twins(
    collection: Collection,
    wanted: list[tuple[int, ...]],
    hashes: NDArray[np.uint64],
    bits: int,
    colours: NDArray[np.int8] | None = None,
) -> Iterator[Check]:
    """Checks for images that pass for a target: identical files, and those of nearly the same hash and colours."""
    number: dict[str, int] = {}
    kinds = np.array([number.setdefault(digest, len(number)) for digest in collection.content])
    copies = np.bincount(kinds)

    def identical(block: slice, targets: list[int]) -> NDArray[np.bool_]:
        return np.isin(kinds[block], kinds[targets])

    def close(block: slice, targets: list[int]) -> NDArray[np.bool_]:
        near = np.zeros(len(hashes[block]), bool)
        for own in targets:
            seen = (None, None) if colours is None else (colours[block], colours[own])
            near |= looks_like(hashes[block], seen[0], hashes[own], seen[1], bits)
        return near & ~identical(block, targets)

    copied = [targets for targets in wanted if copies[kinds[list(targets)]].max() > 1]
    some = wanted[:: -(-sum(map(len, wanted)) * len(collection) // MOST_PAIRS)]
    even = (
        f"; bits differ in even numbers, so {bits} finds what {bits - 1} finds" if bits % 2 else ""
    )
    for topic, found, among, what, meaning in (
        (
            "identical files",
            count_alike(len(kinds), copied, identical),
            wanted,
            "the same file as other images",
            "no model can tell which is meant, and strict ranks lose half a place for each on average; delete copies",
        ),
        (
            "near-duplicates",
            count_alike(len(kinds), some, close),
            some,
            f"within {bits} of 64 bits (pHash) of other images",
            f"they look alike in shape, brightness and colours{even}; where a text fits both of a pair, "
            f"strict ranks are too severe; measure with {spell_option('near-duplicates')} phash:{bits}",
        ),
    ):
        part = "" if len(among) == len(wanted) else f" looked at, of {len(wanted)},"
        said = f"{len(found)} of {len(among)} targets{part} are {what} ({sum(n for n, _ in found.values())} in all)"
        pairs = [
            f"{collection.ids[targets[0]]} = {collection.ids[other]}"
            for targets, (_, other) in found.items()
        ]
        advice = f"{said}; {meaning}; see the near-duplicate rank\n"
        yield Check(
            topic,
            None if found else True,
            advice + list_first(pairs, len(pairs)) if found else said,
        )


def count_alike(
    n: int, wanted: list[tuple[int, ...]], alike: Callable[[slice, list[int]], NDArray[np.bool_]]
) -> dict[tuple[int, ...], tuple[int, int]]:
    """Maps targets to the number of other images alike and the first of them; computed in blocks that fit a cache."""
    found: dict[tuple[int, ...], tuple[int, int]] = {}
    for start in track_each(range(0, n, COMPARED_BLOCK_ITEMS), "alike pictures", unit="block"):
        for targets in wanted:
            near = start + np.flatnonzero(
                alike(slice(start, start + COMPARED_BLOCK_ITEMS), list(targets))
            )
            near = near[~np.isin(near, targets)]
            if len(near):
                before, first = found.get(targets, (0, int(near[0])))
                found[targets] = before + len(near), first
    return found


def check_contexts(subject: ExaminedDataset, models: Sequence[Checkpoint]) -> Iterator[Check]:
    """Counts the texts that are longer than models read."""
    known = encoders.catalogue().values()
    chosen = list(models) or [
        row for row in known if not row.image_only and row.source != UNLIMITED_MODELS
    ]
    # By source, because a row of a user's own may have CLIP's length and another tokenizer.
    sources = {row.source for row in known if row.tokenizer == CLIP_TOKENIZER}
    clip = [row for row in chosen if row.source in sources]
    rest = [row for row in chosen if row.source not in sources]
    for rows in ([clip] if clip else []) + [
        [row] for row in rest if models or row.source == "demo:"
    ]:
        yield from check_context(subject, rows, clip=rows is clip)
    if not models:
        states = {row.name: encoders.readiness(row) for row in rest if row.source != "demo:"}
        unseen = [
            f"{name} ({'not loaded unasked' if s.ready else s.state})" for name, s in states.items()
        ]
        said = f"not checked: {', '.join(unseen)}; kis-bench fetch NAME gets what it takes, then add --model NAME"
        yield Check("context of others", None, said)


def check_context(
    subject: ExaminedDataset, rows: Sequence[Checkpoint], *, clip: bool
) -> Iterator[Check]:
    """Counts for models with one tokenizer; CLIP's comes with open_clip, even without the weights."""
    row, topic = rows[0], f"context of {list_first_names([one.name for one in rows], 4)}"
    limit = row.context_length if clip or row.source == "demo:" else None
    texts = sorted(
        {
            replace_halves(q.text)
            for q in subject.queries
            if limit is None or not surely_fits(q.text, limit)
        }
    )
    try:
        state = encoders.readiness(row)
        if row.image_only or not (state.ready or (clip and state.downloadable)):
            raise KisBenchError(
                "it has no text side" if row.image_only else f"{state.state}; {state.remedy}"
            )
        flags = find_truncated(row, texts, clip) if texts else ()
        long = {text for text, cut in zip(texts, flags, strict=True) if cut}
    except (
        Exception
    ) as error:  # a user's model may raise anything, and that is no fault of the texts
        kind = "" if isinstance(error, KisBenchError) else f"{type(error).__name__}: "
        yield Check(topic, None, f"not checked: {kind}{error}")
        return
    meaning = (
        "are longer than it reads; their ends are ignored, and results mark them truncated; "
        "begin with what matters"
    )
    look = find_texts_that(lambda _, query: replace_halves(query.text) in long, meaning)
    yield from make_notes(
        topic, subject.check_each_set(look, show_text), "all texts are read to their ends"
    )


def find_truncated(row: Checkpoint, texts: list[str], clip: bool) -> NDArray[np.bool_]:
    """Which texts a model cuts, bool ``[n]``; services, which may be paid and tell nothing of it, aren't asked."""
    if clip and (find := find_back_end(row).find_cut_by_clip) is not None:
        return find(texts)
    if (receiver := find_receiver(row)) is not None:
        raise KisBenchError(f"no text was sent to {receiver.host}, which doesn't tell what it cuts")
    encoder = encoders.LazyEncoder(row)
    starts = track_each(
        range(0, len(texts), BATCH_TEXTS), f"{row.name}: texts", unit=f" x {BATCH_TEXTS} texts"
    )
    try:
        flags = []
        for start in starts:
            _, cut = encoder.encode_texts(texts[start : start + BATCH_TEXTS])
            if cut is None:
                raise KisBenchError("nobody knows which texts it cuts")
            flags.append(cut)
        return np.concatenate(flags)
    finally:
        encoder.unload()


def surely_fits(text: str, limit: int) -> bool:
    """Whether a text fits even if each letter is a token; saves importing a tokenizer, which takes seconds."""
    return len(text) + 2 <= limit and text.isascii() and "&" not in text


def replace_halves(text: str) -> str:
    """The text without halves of characters, left by files in another encoding, over which tokenizers stumble."""
    return text.encode("utf-8", "replace").decode()


def format_problems(error: Exception) -> str:
    return (
        "\n".join([f"{error.file}:", *error.problems]) if isinstance(error, BadFile) else str(error)
    )


def make_printable(finding: str) -> str:
    """A finding without what a terminal can't show, whatever texts and file names hold."""
    return "\n  ".join(
        map(make_plain, finding.encode("utf-8", "backslashreplace").decode().split("\n"))
    )
