"""Links let in once; cookies outlive a restart; neither can be read from the database."""

import pytest

from kis_bench.errors import KisBenchError
from kis_bench.labelling.people import PEOPLE_SQL, People, Person
from kis_bench.labelling.truth import Truth


@pytest.fixture
def truth(tmp_path):
    made = Truth(tmp_path / "a.sqlite", kind="notes", tables=PEOPLE_SQL, backup="")
    yield made
    made.close()


def test_a_link_lets_in_once(truth):
    people = People(truth)
    secret = people.invite("Ada", owner=True)
    assert people.find_invited(secret) == people.find_invited(secret) == Person(1, "Ada", True)
    cookie = people.accept(secret)
    assert People(truth).recognise(cookie) == Person(1, "Ada", True)
    assert people.accept(secret) is None
    assert people.find_invited(secret) is None
    assert [people.recognise(wrong) for wrong in ("", secret, cookie[:-1])] == [None] * 3


def test_a_new_link_ends_the_one_before_and_not_the_browsers(truth):
    people = People(truth)
    old = people.invite("Ada")
    cookie = people.accept(people.invite("Ada"))
    assert people.accept(old) is None
    people.invite("Ada")
    assert people.recognise(cookie) == Person(1, "Ada")


def test_an_owner_stays_one(truth):
    people = People(truth)
    people.invite("Ada", owner=True)
    people.invite("Ada")
    people.invite("Ben")
    assert people.list_all() == [Person(1, "Ada", True), Person(2, "Ben")]


def test_secrets_are_not_kept(truth, tmp_path):
    people = People(truth)
    secret = people.invite("Ada")
    cookie = people.accept(secret)
    second = people.invite("Ben")
    truth.close()
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"Ada" in content
    assert not any(each.encode() in content for each in (secret, cookie, second))


@pytest.mark.parametrize("name", ["", " Ada", "a\nb", "x" * 61, "a/b", "\u202eadA", "a\0b"])
def test_what_is_no_name(truth, name):
    with pytest.raises(KisBenchError, match="annotator"):
        People(truth).invite(name)
