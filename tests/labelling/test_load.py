"""Several people write at the same time."""

import asyncio
import os
import socket
from collections import Counter

import pytest
from served_pages import make_pictures, run_apart, serve
from simulated_annotators import Annotator, describe_together, list_saved, read_labels

from kis_bench.labelling.web.serve import bind

PEOPLE = int(os.environ.get("KIS_ANNOTATORS", "4"))
EACH = int(os.environ.get("KIS_LABELS_EACH", "25"))  # pictures that each of them describes


@pytest.mark.slow
@pytest.mark.parametrize("overlap", [1, 2])
def test_nothing_is_lost_or_double(tmp_path, overlap):
    folder = make_pictures(tmp_path / "photos", PEOPLE * EACH // overlap + 2 * PEOPLE, (8, 8))
    names = [f"somebody {i}" for i in range(PEOPLE)]
    arguments = [word for name in names for word in ("--annotator", name)]
    with serve("label", folder, *arguments, "--overlap", overlap, "--goal", 10**6) as served:
        annotators = [Annotator(served.enter(name), name, EACH) for name in names]
        describe_together(annotators)
        assert served.stop() == 0
    rows = read_labels(folder)
    assert [len(annotator.saved) for annotator in annotators] == [EACH] * PEOPLE
    kept = [(row["annotator"], row["label_set"], row["text"]) for row in rows]
    assert sorted(kept) == sorted(list_saved(annotators))
    people = Counter(item for item, _ in {(row["item_id"], row["annotator"]) for row in rows})
    assert people.total() == PEOPLE * EACH
    assert max(people.values()) == overlap
    # Only who is last may leave pictures that nobody else came to describe.
    assert sum(n < overlap for n in people.values()) <= 2 * PEOPLE * (overlap - 1)


def test_no_answer_waits_for_its_second_packet():
    """Which takes 40 ms where a socket of the server doesn't know that it is one of TCP."""
    delayed = []

    class Answering(asyncio.Protocol):
        def connection_made(self, transport):
            accepted = transport.get_extra_info("socket")
            delayed.append(not accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    async def meet():
        with bind("127.0.0.1", 0) as bound:
            server = await asyncio.get_running_loop().create_server(Answering, sock=bound)
            async with server:
                reader, writer = await asyncio.open_connection(*bound.getsockname())
                await reader.read()
                writer.close()

    run_apart(meet())
    assert delayed == [False]
