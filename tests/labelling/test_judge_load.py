"""Several people judge at once, and the server is killed at random moments."""

import csv
import http.client
import random
import signal
import threading

import pytest
from judged_pages import begin, make_study
from served_pages import serve

KILLS = 4
PEOPLE = 6


def read_all(folder):
    rows = []
    for name in ("triplet_judgements.csv", "repeated_judgements.csv"):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
    return rows


def judge_until_killed(client, rng, saved):
    """Answers what is asked; ``saved`` gets each answer that the server said it has."""
    try:
        while "question" in (form := client.get("/").form):
            choice = rng.randint(-2, 2)
            answer = client.post("/judge", {**form, "choice": choice})
            assert answer.status == 303
            saved[form["question"]] = choice
    except (OSError, http.client.HTTPException):
        return


@pytest.mark.slow
def test_what_was_saved_outlives_every_kill_and_nothing_is_there_twice(tmp_path):
    folder = make_study(tmp_path / "mine", 150)
    names = [f"somebody {i}" for i in range(PEOPLE)]
    arguments = [word for name in names for word in ("--participant", name)]
    arguments += ["--overlap", "3", "--goal", "1000", "--repeats", "0.1"]
    saved, clients = {}, []
    rng = random.Random(1)
    for kill in range(KILLS + 1):
        with serve("judge", folder, *arguments) as served:
            if not clients:
                clients = [served.enter(name) for name in names]
                for client in clients:
                    begin(client)
            host = next(iter(served.links.values())).split("/")[2]
            for client in clients:
                client.host = host
            threads = [
                threading.Thread(
                    target=judge_until_killed, args=(client, random.Random(f"{kill} {i}"), saved)
                )
                for i, client in enumerate(clients)
            ]
            for thread in threads:
                thread.start()
            if kill < KILLS:
                threads[0].join(rng.uniform(0.05, 0.7))
                served.stop(signal.SIGKILL)
            for thread in threads:
                thread.join()
            if kill == KILLS:
                assert served.stop() == 0
    rows = read_all(folder)
    found = {row["judgement_id"]: int(row["choice"]) for row in rows}
    assert len(found) == len(rows)
    assert {number: found.get(number) for number in saved} == saved
    assert len(rows) - len(saved) <= KILLS * PEOPLE  # answers of which nobody was told
    first = [(row["triplet_id"], row["user_id"]) for row in rows if not row.get("repeats")]
    assert len(first) == len({*first})
    judged = [triplet for triplet, _ in first]
    assert {judged.count(one) for one in {*judged}} == {3}
    assert len({*judged}) == 150
