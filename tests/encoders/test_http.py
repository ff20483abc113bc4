"""Embedding services as models: requests and answers of each form, patience, secrets, and what is refused."""

import base64
import io
import os
import re
import signal
import subprocess
import sys
import traceback
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from builders import call_cli, run_pytest
from embedding_service import EmbeddingService, to_base64
from PIL import Image

from kis_bench import datasets, embed, encoders
from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.http import OPEN_SERVICES, client
from kis_bench.encoders.http.forms import FORMS
from kis_bench.encoders.http.service import Service, read_service
from kis_bench.encoders.receivers import require_private
from kis_bench.errors import BadVector, KisBenchError, NotReady
from kis_bench.files.images import read_image
from kis_bench.measuring import measure_known_items
from kis_bench.records import Checkpoint
from kis_bench.results.provenance import unite_facts
from kis_bench.store import Store

COLOURS = ("red", "green", "blue", "yellow", "white")
EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\0anna-secret"
SECRET = "sk-very-secret-4711"
ELSEWHERE = "http:https://nowhere.invalid/v1?model=org/clip"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(client, "FIRST_PAUSE_S", 0.001)
    OPEN_SERVICES.clear()


@pytest.fixture
def colours():
    return encoders.load("colour-words")


@pytest.fixture
def service(colours):
    with EmbeddingService(colours) as found:
        yield found


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    return datasets.load("mine", write_dataset(tmp_path / "mine"))


def write_dataset(folder, n=5):
    (folder / "images").mkdir(parents=True)
    rows = ["query_id,item_id,label_set,text"]
    for i in range(n):
        colour = COLOURS[i % len(COLOURS)]
        picture = Image.new("RGB", (20 + i, 16), colour)
        picture.putpixel((i % 20, 3), (i, 255 - i, 7))  # no two are the same
        picture.save(folder / "images" / f"p{i:03d}.png")
        rows.append(f"q{i:03d},p{i:03d},short,the {colour} one")
    (folder / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder


def load(source, **settings):
    return encoders.load(encoders.find(source), **settings)


@pytest.mark.parametrize("form", FORMS)
def test_vectors_are_those_of_the_encoder_that_is_served(form, colours, mine, tmp_path):
    with EmbeddingService(colours, form=form) as service:
        remote = LazyEncoder(encoders.find(service.source(batch=2, in_flight=3)))
        found = measure_known_items(remote, mine, "short", Store(tmp_path / "store"))
        assert service.most_under_way <= 3
        batches = [len(service.read_inputs(asked)) for _, _, asked in service.log]
    own = measure_known_items(colours, mine, "short", Store(tmp_path / "own"))
    np.testing.assert_array_equal(found.ranks.rank, own.ranks.rank)
    np.testing.assert_allclose(found.ranks.target_score, own.ranks.target_score, atol=1e-6)
    assert found.to_frame()["truncated"].isna().all()  # nobody knows
    most = 1 if form in ("vllm",) else 2
    assert max(batches) == most
    about = found.provenance["models"]["http.tiny"]
    assert about["source"] == service.source(batch=2, in_flight=3)
    assert about["service"] == ("tiny" if form != "cohere" else "")
    assert (about["dim"], len(about["probes"])) == (12, 16)
    tokens = 0 if form == "cohere" else 10 * (5 + 5 + 5)  # pictures, texts, probes
    (counted,) = about["sent"].pop("counters").values()
    assert counted.items() < about["sent"].items()
    assert about["sent"] == {
        "to": f"http://127.0.0.1:{service.port}",
        "requests": len(batches),
        "pictures": 8,
        "texts": 7,
        "tokens": tokens,
        "repeated": 0,
    }


@pytest.mark.slow
def test_the_demo_model_served_ranks_as_it_does_here(mine, tmp_path):
    demo = encoders.load("demo")
    with EmbeddingService(demo) as service:
        remote = load(service.source())
        found = measure_known_items(remote, mine, "short", Store(tmp_path / "store"))
    own = measure_known_items(demo, mine, "short", Store(tmp_path / "own"))
    np.testing.assert_array_equal(found.ranks.rank, own.ranks.rank)
    np.testing.assert_allclose(found.ranks.target_score, own.ranks.target_score, atol=1e-5)


def test_pictures_arrive_upright_and_with_every_pixel(service):
    remote = load(service.source())
    pixels = np.random.default_rng(0).integers(0, 256, (9, 14, 3), np.uint8)
    stored = Image.fromarray(np.rot90(pixels).copy())  # to be turned clockwise
    stored.getexif()[0x0112] = 6
    got = []
    service.encoder = replace_images(service.encoder, got)
    remote.encode_images([stored])
    np.testing.assert_array_equal(np.asarray(got[0]), pixels)


def replace_images(encoder, got):
    class Keeping:
        def encode_images(self, images):
            got.extend(images)
            return encoder.encode_images(images)

    return Keeping()


def test_pictures_may_be_sent_smaller_and_as_jpeg_under_another_key(service):
    got, plain = [], load(service.source())
    small = load(service.source(picture="jpeg", max_side=32))
    service.encoder = replace_images(service.encoder, got)
    small.encode_images([Image.new("RGB", (640, 320), "red")])
    assert got[0].size == (32, 16)
    assert service.log[-1][2]["input"][0].startswith("data:image/jpeg;base64,")
    assert small.key != plain.key


@pytest.mark.parametrize("fields", [{}, {"picture": "jpeg"}, {"max_side": 8}])
def test_nothing_but_pixels_of_a_picture_is_sent(tmp_path, fields, service):
    kept = {"comment": b"anna-secret", "icc_profile": b"anna-secret", "exif": EXIF, "xmp": EXIF}
    picture = Image.radial_gradient("L").resize((12, 10)).convert("RGB")
    picture.save(tmp_path / "a.jpg", **kept)
    assert (tmp_path / "a.jpg").read_bytes().count(b"anna-secret") >= 3
    remote = load(service.source(**fields))
    opened = Image.open(tmp_path / "a.jpg")
    remote.encode_images([opened, read_image(tmp_path / "a.jpg")])
    for uri in service.log[-1][2]["input"]:
        sent = base64.b64decode(uri.partition(",")[2])
        assert b"anna-secret" not in sent
        found = Image.open(io.BytesIO(sent))
        assert {*found.info} <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        if not fields:
            np.testing.assert_array_equal(found, opened)


def test_order_is_by_index_and_numbers_may_be_base64(service, colours):
    texts = [f"{colour} thing" for colour in COLOURS]
    remote = load(service.source(batch=2, in_flight=4))
    service.faults.extend([to_base64] * 3)
    np.testing.assert_allclose(
        remote.encode_texts(texts)[0], colours.encode_texts(texts)[0], atol=1e-6
    )


def with_rows(change):
    return lambda answer: {**answer, "data": change(answer["data"])}


def with_vectors(change):
    return with_rows(lambda rows: [{**row, "embedding": change(row["embedding"])} for row in rows])


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (with_rows(lambda rows: rows[:1]), "index isn't 0 to 0, each once"),
        (with_rows(lambda rows: [{"embedding": rows[0]["embedding"]}]), "1 vectors for 2 inputs"),
        (with_rows(lambda rows: [{**row, "index": 0} for row in rows]), "index isn't 0 to 1"),
        (with_rows(lambda rows: None), "no list of vectors under data"),
        (with_vectors(lambda vector: vector[:-1]), "vectors of 11 numbers, and gave some of 12"),
        (with_vectors(lambda vector: [vector]), "an input has several vectors"),
        (with_vectors(lambda vector: [*vector[1:], None]), "a vector is no list of numbers"),
        (with_vectors(lambda vector: "no base64"), "not base64 of float32"),
        (with_vectors(lambda vector: []), "its vectors have 0 numbers"),
        (lambda answer: {**answer, "model": "other"}, "model 'other', and answered from 'tiny'"),
        (lambda answer: b"<html>busy</html>", "not JSON: <html>busy</html>"),
    ],
)
def test_wrong_answers_are_named(service, fault, told):
    remote = load(service.source())
    service.faults.append(fault)
    with pytest.raises(KisBenchError) as error:
        remote.encode_texts(["red", "blue"])
    assert told in str(error.value)
    assert service.url in str(error.value)


def test_vectors_without_length_are_named_by_their_text(service, mine, tmp_path):
    remote = load(service.source())
    service.faults.append(with_vectors(lambda vector: [float("nan"), *vector[1:]]))
    with pytest.raises(BadVector, match="text 'q000' has NaN"):
        embed.embed_texts(mine.queries("short"), remote, Store(tmp_path / "store"))
    service.faults.append(with_vectors(lambda vector: [0.0] * len(vector)))
    with pytest.raises(BadVector, match="text 'q000' has length zero"):
        embed.embed_texts(mine.queries("short"), remote, Store(tmp_path / "store"))


def test_what_is_busy_or_broken_for_a_moment_is_asked_again(service, colours):
    remote = load(service.source())
    service.faults.extend([(500, {}), (429, {"Retry-After": "1"}), (503, {"Retry-After": "soon"})])
    pauses = []
    remote.client.stopped.wait = lambda seconds: pauses.append(seconds)
    found, _ = remote.encode_texts(["red"])
    np.testing.assert_allclose(found, colours.encode_texts(["red"])[0], atol=1e-6)
    assert remote.describe_sent()["repeated"] == 3
    assert pauses[1] == 1
    assert len(pauses) == 3
    assert max(pauses[0], pauses[2]) < 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ((429, {"Retry-After": "3600"}), "asks to be left alone for 3600 seconds"),
        ((400, {}), "refuses the request (400); is it of the form that it wants (form=infinity)?"),
        ((413, {}), "write a smaller batch=N"),
        ((404, {}), "no such address or model"),
        ((307, {"Location": "https://elsewhere.invalid/v1"}), "https://elsewhere.invalid, which"),
    ],
)
def test_what_refuses_is_told_at_once(service, fault, told):
    remote = load(service.source())
    asked = len(service.log)
    service.faults.append(fault)
    with pytest.raises(KisBenchError) as error:
        remote.encode_texts(["red"])
    assert told in str(error.value)
    assert len(service.log) == asked + 1


def test_what_stays_broken_is_given_up(service):
    remote = load(service.source())
    service.faults.extend([(502, {})] * (client.MOST_REPEATS + 1))
    with pytest.raises(KisBenchError, match=r"still answers 502 after 6 repetitions.*run again"):
        remote.encode_texts(["red"])
    remote.encode_texts(["red"])  # it goes on


def test_pauses_end_together(service, monkeypatch):
    remote = load(service.source())
    monkeypatch.setattr(client, "MOST_REPEATING_S", 90.0)
    service.faults.extend([(503, {"Retry-After": "60"}), (503, {"Retry-After": "120"})])
    remote.client.stopped.wait = lambda seconds: None
    with pytest.raises(
        KisBenchError, match=r"hasn't answered for 2 minutes\. What was embedded is"
    ):
        remote.encode_texts(["red"])
    assert remote.describe_sent()["repeated"] == 2


def test_redirects_get_neither_pictures_nor_keys(service, colours, monkeypatch):
    monkeypatch.setenv("MY_KIS_KEY", SECRET)
    with EmbeddingService(colours) as other:
        service.faults.append((308, {"Location": f"{other.url}/embeddings"}))
        with pytest.raises(KisBenchError, match="redirects to http://127.0.0.1, which isn't"):
            load(service.source(key_variable="MY_KIS_KEY"))
        assert not other.log


def test_no_service_is_told_with_its_address(colours):
    with EmbeddingService(colours) as service:
        source = service.source()
    with pytest.raises(NotReady, match=f"no service at {service.url}: nothing answers there"):
        load(source)
    with pytest.raises(NotReady, match="no service at https://nowhere.invalid/v1: there is no"):
        load(ELSEWHERE)


def test_a_service_that_goes_away_costs_one_shard(colours, tmp_path, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    mine = datasets.load("mine", write_dataset(tmp_path / "mine", 80))
    store = Store(tmp_path / "store")
    with EmbeddingService(colours) as service:
        remote = load(service.source(batch=4, in_flight=2))
        n_probes = len(service.log)
        service.before_answer = lambda: stop_after(service, n_probes + 11)
        with pytest.raises(KisBenchError, match="still answers 500 after 6"):
            embed.embed_collection(mine.collection, remote, store)
        service.before_answer = lambda: None
        service.faults.clear()
        assert len([*store.path.glob("mine-*/*/images/*.arrow")]) == 1  # of 32
        found = embed.embed_collection(mine.collection, remote, store)
        assert len(found.ids) == 80
        assert sum(n - 1 for n in service.seen.values()) <= 32
    own = embed.embed_collection(mine.collection, colours, Store(tmp_path / "own"))
    np.testing.assert_allclose(found.vectors, own.vectors, atol=1e-6)


def stop_after(service, n):
    if len(service.log) > n:
        service.faults.extend([(500, {})] * 100)


@pytest.mark.slow
def test_a_killed_run_pays_for_at_most_one_shard_twice(colours, tmp_path):
    write_dataset(tmp_path / "mine", 150)
    environment = {
        **os.environ,
        "KIS_CACHE": str(tmp_path / "cache"),
        "KIS_STORE": str(tmp_path / "store"),
    }
    with EmbeddingService(colours) as service:
        arguments = ["embed", f"mine={tmp_path / 'mine'}", "--model", service.source(batch=4)]
        command = [sys.executable, "-m", "kis_bench.cli", *arguments]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

        def kill_late():
            if len(service.log) > 25:
                os.kill(process.pid, signal.SIGKILL)

        service.before_answer = kill_late
        said, _ = process.communicate(timeout=300)
        assert process.returncode == -signal.SIGKILL
        assert said.startswith(f"pictures and texts go to http://127.0.0.1:{service.port}\n")
        service.before_answer = lambda: None
        probes = Counter({what: n for what, n in service.seen.items() if n == 1})
        again = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300
        )
        assert again.returncode == 0, again.stderr
        assert "150 images" in again.stdout
        assert f"to http://127.0.0.1:{service.port}, " in again.stdout
        pictures = [n for (kind, _), n in service.seen.items() if kind == "picture"]
        assert len(pictures) == 150 + 3  # of the probes
        assert 1 <= sum(n - 1 for n in pictures) <= 32 + 3
        assert probes


def test_changed_services_are_refused_and_their_vectors_not_mixed(service, mine, tmp_path):
    store = Store(tmp_path / "store")
    images = embed.embed_collection(mine.collection, load(service.source()), store)
    OPEN_SERVICES.clear()
    service.encoder = mirror(service.encoder)
    embed.embed_collection(mine.collection, load(service.source()), store)  # nothing is lacking
    with pytest.raises(KisBenchError) as error:
        embed.embed_texts(mine.queries("short"), load(service.source()), store)
    assert "isn't what it was on 20" in str(error.value)
    assert "revision=20" in str(error.value)
    new = load(service.source(revision="2"))
    assert new.key != images.key
    again = embed.embed_collection(mine.collection, new, store)
    assert np.abs(again.vectors - images.vectors).max() > 0.1
    OPEN_SERVICES.clear()
    service.faults.append(lambda answer: {**answer, "model": "tiny-v2"})
    with pytest.raises(KisBenchError, match="answered from 'tiny-v2' before"):
        load(service.source())


def test_a_row_without_texts_is_compared_with_one_that_has_them(service, mine, tmp_path):
    store, row = Store(tmp_path / "store"), encoders.find(service.source())
    embed.embed_texts(["red"], encoders.load(row), store)
    OPEN_SERVICES.clear()
    service.encoder = mirror(service.encoder)
    with pytest.raises(KisBenchError, match="isn't what it was on .* the vector of picture"):
        embed.embed_collection(mine.collection, encoders.load(replace(row, image_only=True)), store)


def test_probes_without_length_are_refused(service):
    service.faults.append(with_vectors(lambda vector: [float("nan"), *vector[1:]]))
    with pytest.raises(BadVector, match=f"{service.url}: the vector of probe 'picture 1' has NaN"):
        load(service.source())


def test_what_is_not_a_number_is_a_change():
    now = np.ones((2, 1, 3), np.float32)
    before = now.copy()
    assert not embed.find_change(("m", before), ("m", now), ("a", "b"))
    before[1, 0, 2] = np.nan
    assert embed.find_change(("m", before), ("m", now), ("a", "b")).startswith("the vector of b")


@pytest.mark.parametrize(
    ("variable", "proxy"),
    [
        ("https_proxy", "socks5://me:{}@h:1"),
        ("all_proxy", "socks5://h:1"),
        ("https_proxy", "h:x{}"),
    ],
)
def test_proxies_that_cannot_be_used_are_named_by_their_variable(monkeypatch, variable, proxy):
    forget_proxies(monkeypatch)
    monkeypatch.setenv(variable, proxy.format(SECRET))
    with pytest.raises(KisBenchError, match=rf"the proxy in \${variable} can't be used") as error:
        load(ELSEWHERE)
    assert SECRET not in "".join(traceback.format_exception(error.value))


def test_proxies_need_no_scheme_and_may_be_for_all(monkeypatch):
    forget_proxies(monkeypatch)
    found = client.connect(read_service(encoders.find(ELSEWHERE)))
    assert found.proxy is None
    monkeypatch.setenv("all_proxy", "me:p%40w@proxy.invalid:3128")
    found = client.connect(read_service(encoders.find(ELSEWHERE)))
    assert (found.proxy.scheme, found.proxy.host, found.proxy.port) == (
        "http",
        "proxy.invalid",
        3128,
    )
    told = found.proxy_headers["proxy-authorization"].partition(" ")[2]
    assert base64.b64decode(told) == b"me:p@w"


def forget_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("host", ["ex ample", "a" * 64 + ".example"])
def test_what_is_no_address_is_told(host, monkeypatch):
    forget_proxies(monkeypatch)
    with pytest.raises(KisBenchError, match="that is no address; look at its host"):
        load(f"http:http://{host}/v1?model=m")


def test_what_a_service_says_is_not_shown_where_privacy_may_be(service):
    remote = load(service.source(under_privacy="yes"))
    service.faults.extend([(422, {}), lambda answer: b"red"])
    for told in (r"\(form=infinity\)\?$", "is not JSON$"):
        with pytest.raises(KisBenchError, match=told):
            remote.encode_texts(["red"])


def test_answers_nested_too_deeply_are_told(service):
    remote = load(service.source())
    service.faults.append(lambda answer: b"[" * 100_000)
    with pytest.raises(KisBenchError, match="is not JSON: "):
        remote.encode_texts(["red"])


def mirror(encoder):
    class Mirrored:
        def encode_images(self, images):
            return encoder.encode_images(images)[..., ::-1]

        def encode_texts(self, texts):
            vectors, cut = encoder.encode_texts(texts)
            return vectors[..., ::-1], cut

    return Mirrored()


def test_pictures_that_are_read_as_texts_are_found(service):
    class Reading:
        def embed(self, kind, content):
            found = np.random.default_rng(abs(hash(content)) % 2**32).normal(size=12)
            return found / np.linalg.norm(found)

    service.embed = Reading().embed
    with pytest.raises(KisBenchError, match="seems to read pictures as texts"):
        load(service.source())


def test_more_fields_go_into_requests_of_one_side(service):
    fields = {"texts.task": "retrieval.query", "pictures.dimensions": 12, "texts.truncate": "true"}
    load(service.source(**fields)).encode_texts(["red"])
    for _, _, asked in service.log:
        if asked["modality"] == "text":
            assert (asked["task"], asked["truncate"]) == ("retrieval.query", True)
        else:
            assert asked["dimensions"] == 12


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"https://me:{SECRET}@host.example/v1?model=m", "name and password before its host"),
        (f"https://host.example/v1?model=m&api_key={SECRET}", "a key doesn't belong into a URL"),
        (f"https://host.example/v1?model=m&key={SECRET}", "a key doesn't belong into a URL"),
        (f"https://host.example/v1?model=m&access_token={SECRET}", "doesn't belong into a URL"),
        (f"https://host.example/v1?model=m&texts.api_key={SECRET}", "doesn't belong into a URL"),
        (f"https://host.example/v1?model=m&key_variable={SECRET}", "key_variable has to be the"),
        ("https://host.example/v1", "doesn't say which model"),
        ("https://host.example/v1?model=m&form=soap", "form has to be one of infinity, jina"),
        ("https://host.example/v1?model=m&batch=0", "batch has to be a whole number"),
        ("https://host.example/v1?model=m&batsh=3", "did you mean batch?"),
        ("https://host.example/v1?model=m&batch=1&batch=2", "batch stands twice"),
        ("ftp://host.example/v1?model=m", "write http:URL?model=NAME"),
        ("https://[host/v1?model=m", "write http:URL?model=NAME"),
        ("http://host.example/v1?model=m&key_variable=MY_KEY", "is not encrypted, and a key"),
    ],
)
def test_urls_that_cannot_be_taken_say_why_and_keep_secrets(url, told):
    with pytest.raises(KisBenchError) as error:
        encoders.find(f"http:{url}")
    assert told in str(error.value)
    assert SECRET not in str(error.value)


def test_keys_come_from_the_environment_and_stand_in_no_message(service, monkeypatch):
    service.key = SECRET
    row = encoders.find(service.source(key_variable="MY_KIS_KEY"))
    monkeypatch.delenv("MY_KIS_KEY", raising=False)
    state = encoders.readiness(row)
    assert (state.ready, state.state) == (False, "no key")
    assert "set $MY_KIS_KEY" in state.remedy
    monkeypatch.setenv("MY_KIS_KEY", SECRET)
    assert "the key is in $MY_KIS_KEY" in encoders.readiness(row).remedy
    assert not service.log  # nobody was asked for that
    remote = encoders.load(row)
    assert SECRET not in repr(vars(remote)) + repr(vars(remote.client)) + remote.key
    assert service.log[-1][1]["Authorization"] == f"Bearer {SECRET}"
    service.key = "another"
    with pytest.raises(KisBenchError) as error:
        remote.encode_texts(["red"])
    assert "doesn't let us in (401); look at $MY_KIS_KEY" in str(error.value)
    assert "Bearer ***" in str(error.value)
    assert SECRET not in str(error.value)
    with pytest.raises(KisBenchError, match="name the variable that holds a key: key_variable="):
        load(service.source())


@pytest.mark.parametrize(
    "key", [f"{SECRET}\n{SECRET}", f"\u201c{SECRET}\u201d", f"{SECRET} {SECRET}"]
)
def test_what_no_header_can_hold_is_not_repeated(service, monkeypatch, key):
    source = service.source(key_variable="MY_KIS_KEY")
    monkeypatch.setenv("MY_KIS_KEY", SECRET)
    remote = load(source)
    monkeypatch.setenv("MY_KIS_KEY", key)
    for fail in (lambda: load(source), lambda: remote.encode_texts(["red"])):
        with pytest.raises(KisBenchError, match=r"\$MY_KIS_KEY holds no key: there are") as error:
            fail()
        assert SECRET not in "".join(traceback.format_exception(error.value))


def test_what_the_library_says_of_a_header_is_not_repeated(service, monkeypatch):
    remote = load(service.source())
    monkeypatch.setattr(Service, "key", f"{SECRET}\n{SECRET}")  # which no check was made of
    with pytest.raises(KisBenchError, match=r"can't be asked \(ValueError\)") as error:
        remote.encode_texts(["red"])
    assert SECRET not in "".join(traceback.format_exception(error.value))


def test_the_key_of_vectors_is_what_is_asked_not_how(service):
    def key(**fields):
        return LazyEncoder(encoders.find(service.source(**fields))).key

    assert re.fullmatch(r"http-tiny-[0-9a-f]{16}", key())  # a digest, and no host
    assert key() == key(batch=3, in_flight=1, under_privacy="yes")
    others = [{"model": "b"}, {"form": "uri"}, {"picture": "jpeg"}, {"texts.a": 1}, {"max_side": 9}]
    keys = {key(), *(key(**fields) for fields in others), key(revision="2")}
    assert len(keys) == 7
    row = encoders.find(service.source())
    assert LazyEncoder(replace(row, revision="2")).key not in keys


def test_services_are_for_private_pictures_only_with_a_yes():
    with pytest.raises(NotReady, match=r"go to https://nowhere.invalid, which --kis-privacy"):
        require_private(encoders.find(ELSEWHERE))
    require_private(encoders.find(f"{ELSEWHERE}&under_privacy=yes"))
    require_private(encoders.find("demo"))


def test_measuring_under_privacy_sends_nothing(service, mine, tmp_path):
    store, remote = Store(tmp_path / "store"), load(service.source())
    asked = len(service.log)
    for encoder in (remote, LazyEncoder(encoders.find(service.source()))):
        with pytest.raises(NotReady, match="which --kis-privacy forbids"):
            measure_known_items(encoder, mine, "short", store, privacy=True)
    assert len(service.log) == asked
    allowed = load(service.source(under_privacy="yes"))
    measure_known_items(allowed, mine, "short", store, privacy=True)


def test_names_and_what_is_public_hold_no_address():
    row = encoders.find(ELSEWHERE)
    assert row.name == "http.org.clip"
    assert row.origin.public == "http:org/clip"
    assert row.origin.folder is None
    assert encoders.find("http://127.0.0.1:1?model=m").name == "http.m"


def test_rows_of_a_table_name_services(tmp_path):
    file = tmp_path / "models.toml"
    file.write_text(f'[[model]]\nname = "ours"\nsource = "{ELSEWHERE}"\nrevision = "3"\n')
    (row,) = encoders.read_models(file)
    assert row == Checkpoint("ours", ELSEWHERE, revision="3")
    file.write_text('[[model]]\nname = "ours"\nsource = "http:https://a.example"\n')
    with pytest.raises(KisBenchError, match="model ours: the URL doesn't say which model"):
        encoders.read_models(file)


def test_unencrypted_addresses_are_said_to_be():
    state = encoders.readiness(encoders.find("http:http://gpu.example:7997?model=m"))
    assert state.remedy == "pictures and texts go to http://gpu.example:7997, unencrypted"


def test_prompts_share_the_service_and_its_pictures(service, mine, tmp_path):
    row = encoders.find(service.source())
    prompted = replace(row, name="prompted", prompts=("a photo of {}", "{}"))
    store = Store(tmp_path / "store")
    found = measure_known_items(LazyEncoder(prompted), mine, "short", store)
    plain = measure_known_items(LazyEncoder(row), mine, "short", store)
    pictures = [n for (kind, _), n in service.seen.items() if kind == "picture"]
    assert max(pictures) == 1
    assert ("text", "a photo of the red one") in service.seen
    assert found.provenance["models"]["prompted"]["key"].startswith(
        plain.provenance["models"][row.name]["key"]
    )


def test_what_is_sent_counts_for_one_model_of_one_process(service):
    row = encoders.find(service.source())
    prompted = replace(row, name="prompted", prompts=("a photo of {}",))
    first, other = encoders.load(row), encoders.load(prompted)
    first.encode_texts(["red"])
    before = first.describe_sent()
    first.encode_texts(["blue"])
    other.encode_texts(["red"])
    service.faults.append((400, {}))
    with pytest.raises(KisBenchError, match="model prompted: "):
        other.encode_texts(["green"])
    said, others = first.describe_sent(), other.describe_sent()
    assert (said["pictures"], said["texts"], said["requests"]) == (3, 2 + 2, 2 + 2)  # with probes
    assert (others["pictures"], others["texts"], others["requests"]) == (0, 2, 2)
    assert said["requests"] + others["requests"] == len(service.log)
    again = encoders.load(row)  # after its memory was given back, or in another process
    again.encode_texts(["white"])
    united = unite_facts({"sent": before}, {"sent": said})
    united = unite_facts(united, {"sent": again.describe_sent()})
    assert (united["sent"]["texts"], united["sent"]["tokens"]) == (5, 10 * 8)
    assert unite_facts(united, united) == united


def test_addresses_without_the_kind_of_model_are_told_how(service):
    with pytest.raises(KisBenchError, match="a service is named http:https://HOST") as error:
        encoders.find(f"https://host.example/v1?model=m&key={SECRET}")
    assert SECRET not in str(error.value)


def test_commands_say_where_pictures_go_and_ask_nobody(service, tmp_path):
    found = call_cli("models", service.source(), cwd=tmp_path)
    assert found.returncode == 0
    assert f"pictures and texts go to http://127.0.0.1:{service.port}" in found.stdout
    assert not service.log


SUITE = """
def test_search(model, dataset, query_set, known_item_search):
    known_item_search(model, dataset, query_set)
"""


@pytest.mark.slow
def test_sessions_with_a_service(colours, tmp_path):
    """Up, then down with all stored, down with something lacking, and under privacy."""
    write_dataset(tmp_path / "mine")
    (tmp_path / "test_ours.py").write_text(SUITE)
    (tmp_path / "conftest.py").write_text(
        "from kis_bench.records import Checkpoint\n"
        "import os\n"
        "def pytest_kis_models(config):\n"
        "    return [Checkpoint('declared', os.environ['SOURCE'])] if 'SOURCE' in os.environ else []\n"
    )

    def run(*arguments, store="store", **variables):
        return run_pytest(
            f"--kis-dataset=mine={tmp_path / 'mine'}",
            f"--kis-store={tmp_path / store}",
            f"--kis-report={tmp_path / 'reports'}",
            *arguments,
            cwd=tmp_path,
            drawn=False,
            KIS_CACHE=str(tmp_path / "cache"),
            MY_KIS_KEY=SECRET,
            **variables,
        )

    with EmbeddingService(colours, key=SECRET) as service:
        source, host = service.source(key_variable="MY_KIS_KEY"), f"http://127.0.0.1:{service.port}"
        refused = run(f"--kis-model={source}", "--kis-privacy")
        assert refused.returncode == 2
        assert "go to its service, which --kis-privacy forbids" in refused.stdout + refused.stderr
        assert not service.log
        first = run(f"--kis-model={source}")
        assert first.returncode == 0, first.stdout
        assert f"kis-bench: pictures and texts go to {host} (http.tiny)" in first.stdout
        sent = f"sent for http.tiny: 8 pictures and 7 texts in 4 requests to {host}, 150 tokens"
        assert sent in " ".join(first.stdout.split())
        private = f"{source}&under_privacy=yes"
        allowed = run(f"--kis-model={private}", "--kis-privacy", store="private")
        assert allowed.returncode == 0, allowed.stdout
        newest = max((tmp_path / "reports").glob("2*"))
        assert "127.0.0.1" not in (newest / "run.json").read_text("utf-8")
        junit = tmp_path / "junit.xml"
        skipped = run("--kis-privacy", "--junitxml", str(junit), SOURCE=source)
        assert "its service, which --kis-privacy forbids" in junit.read_text("utf-8")
        assert "127.0.0.1" not in junit.read_text("utf-8")
        assert "skipped 1: model declared" in skipped.stdout
    stored = run(f"--kis-model={source}")
    assert stored.returncode == 0, stored.stdout
    down = run(f"--kis-model={source}", store="other")
    assert down.returncode == 2
    assert f"no service at {service.url}: nothing answers there" in down.stdout + down.stderr
    declared = run(store="other", SOURCE=source)
    assert "skipped 1: model declared: no service at" in " ".join(declared.stdout.split())
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(written) > 10
    assert not [file for file in written if SECRET.encode() in file.read_bytes()]
    for session in (refused, first, allowed, skipped, stored, down, declared):
        assert SECRET not in session.stdout + session.stderr
