"""A real Milvus server: one for all tests here, which asks for a token."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import uuid
from datetime import date

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from helpers import ImageStore, ingest, like, list_images, near
from helpers.collection import columns
from helpers.collection.filters import Where
from helpers.dates import period

from .support.interruption import kill_and_rerun
from .support.processes import ROOT, TOKEN
from .support.rows import MODEL, ODD_NAMES, row
from .support.server import Server, main

AXIS = np.eye(8, dtype=np.float32)[0]


@pytest.mark.parametrize(
    ("token", "told"), [("", "no token was given"), ("root:wrong", "not right")]
)
def test_a_server_that_wants_another_token_says_so(server, monkeypatch, token, told):
    monkeypatch.setenv("MILVUS_TOKEN", token)
    with pytest.raises(PermissionError, match=rf"{told}.* MILVUS_TOKEN|MILVUS_TOKEN.* {told}") as e:
        ImageStore(server.address)
    assert "wrong" not in str(e.value)


def test_the_right_token_opens_a_server(server, monkeypatch):
    monkeypatch.setenv("MILVUS_TOKEN", TOKEN)
    with ImageStore(server.address, "right_token") as store:
        assert store.count() == 0


def test_a_port_or_a_folder_in_use_is_named(server, tmp_path):
    with pytest.raises(OSError, match=r"cannot be used .* choose another port"):
        Server(tmp_path, server.ports[0]).start()
    with pytest.raises(OSError, match="another Milvus server works in"):
        Server(server.data_dir).start()


@pytest.mark.parametrize(
    "banner", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"]
)
def test_a_port_that_is_no_milvus_is_a_connection_error(banner):
    with socket.create_server(("127.0.0.1", 0)) as other:
        kept = []

        def answer():
            kept.append(other.accept()[0])
            kept[0].sendall(banner)

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(ConnectionError, match="is the address right"):
            ImageStore(f"http://127.0.0.1:{other.getsockname()[1]}")
        kept[0].close()


@pytest.fixture
def mortal(server, tmp_path):
    """A server that a test may kill, and a store on it with five rows."""
    with Server(tmp_path / "server") as started, ImageStore(started.address, "mortal") as store:
        store.open_for(MODEL, tmp_path)
        store.upsert([row(name) for name in ODD_NAMES])
        assert store.count() == 5
        yield started, store
        started.process.kill()


def test_a_server_that_is_killed_is_a_connection_error_and_the_store_goes_on_after_a_restart(
    mortal, capfd
):
    server, store = mortal
    started, told = threading.Event(), []

    def search_until_it_fails():
        with contextlib.suppress(OSError):
            while True:
                store.search(AXIS, limit=1)
                started.set()
        try:
            store.search(AXIS, limit=1)
        except ConnectionError as error:
            told.append(str(error))

    searching = threading.Thread(target=search_until_it_fails)
    searching.start()
    started.wait()
    server.process.kill()
    server.process.wait()  # until then it keeps some of its ports
    searching.join()
    assert "could not be searched at http://127.0.0.1" in told[0]
    assert "is the server running" in told[0]
    server.start()
    assert store.count() == 5
    assert len(store.search(AXIS, limit=9)) == 5
    assert capfd.readouterr().err == ""


def test_an_ingestion_killed_on_a_server_is_finished_by_the_next_run(server, drawings, monkeypatch):
    monkeypatch.setenv("MILVUS_TOKEN", TOKEN)
    [outcome] = kill_and_rerun(drawings, server.address, batch_size=4, kills=1)
    assert outcome["kept"] >= min(4 * outcome["acknowledged"], 50), outcome
    assert outcome["unchanged"], outcome
    assert (outcome["count"], outcome["keys"]) == (50, True), outcome
    assert outcome["cosine"] > 0.999, outcome


@pytest.fixture
def ctrl_c():
    """Let Ctrl-C reach what is started here: a shell's background jobs inherit that it does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("digests", [True, False], ids=["", "a collection from before digests"])
def test_photos_that_moved_are_known_on_a_server(
    server, drawings, encoder, tmp_path, monkeypatch, digests
):
    monkeypatch.setenv("MILVUS_TOKEN", TOKEN)
    folder = shutil.copytree(drawings, tmp_path / "images")
    with ImageStore(server.address, f"moved_{uuid.uuid4().hex}") as store:
        with monkeypatch.context() as patched:
            if not digests:
                without = [column for column in columns.COLUMNS if column.name != "digest"]
                patched.setattr(columns, "COLUMNS", without)
            ingest(folder, encoder, store, progress=False)
        (folder / "red star").rename(folder / "2019")
        for path in list_images(folder):
            os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))
        report = ingest(folder, encoder, store, progress=False)
        known = (report.unchanged, report.moved, report.removed)
        assert known == ((40, 10, 0) if digests else (0, 0, 0))
        (folder / "2019").rename(folder / "2020")
        halves = [ingest(folder, encoder, store, shard=(i, 2), progress=False) for i in (1, 0)]
        assert sum(half.moved for half in halves) == 10
        ingest(folder, encoder, store, prune="all", progress=False)
        assert store.count() == 50


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send one process Ctrl-C")
def test_the_command_says_how_to_use_it_and_ends_cleanly_with_ctrl_c(server, tmp_path, ctrl_c):
    """`server` is here to skip this where none can run."""
    ports = Server(tmp_path / "other").ports
    command = [sys.executable, "-m", "tests.support.server", "--port", str(ports[0])]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command += ["--data-dir", tmp_path / "ü"]
    with subprocess.Popen(command, cwd=ROOT, **pipes) as running:
        said = []
        for line in running.stdout:  # to its end, if it fails
            said.append(line)
            if "Ctrl-C stops it" in line:
                break
        with ImageStore(f"http://127.0.0.1:{ports[0]}") as store:
            assert store.count() == 0
        running.send_signal(signal.SIGINT)
        rest, errors = running.communicate()
    assert said[0].startswith(f"Milvus answers at http://127.0.0.1:{ports[0]}, its data is in ")
    assert f"-p milvus_uri http://127.0.0.1:{ports[0]}" in "".join(said)
    assert (running.returncode, rest, errors) == (0, "", "")


def test_a_missing_package_is_an_error_that_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "milvus", None)
    monkeypatch.setattr(sys, "argv", ["server", "--data-dir", str(tmp_path)])
    assert main() == 1
    assert "pip install milvus==2.3.5" in capsys.readouterr().err


PHOTOS = [
    ("paris/tour.jpg", "2019-06-15 14:30", "iPhone 12", 48.8584, 2.2945),
    ("paris/louvre.jpg", "2019-06-30 23:59:59", "iPhone 12", 48.8606, 2.3376),
    ("orly.jpg", "2019-07-01", "X100V", 48.7262, 2.3652),
    ("sydney/a_1.jpg", "2020-02-29 12:00", "", -33.8568, 151.2153),
    ("taveuni/100%.jpg", "1969-12-31 23:59:59", "NIKON D90", -16.85, 179.97),
    ("taveuni/ä\\.jpg", "9999", 'the "best"', -16.85, -179.97),
    ("pole.jpg", "1826", "Camera obscura", 90.0, 0.0),
    ("equator.jpg", None, "X100V", 0.001, 0.0),
    ("undated/a*b.jpg", None, "", None, None),
    ("undated/ax1.jpg", None, "iphone 12", None, None),
]


@pytest.fixture(scope="module", params=["made now", "made before photos told anything"])
def filed_and_served(request, server, tmp_path_factory):
    """The same photos in a local file and on a server; in old collections the facts are dynamic."""
    old = [c for c in columns.COLUMNS if c.name in ("filepath", "label", "width", "height", "size")]
    rows = []
    for path, taken, camera, *place in PHOTOS:
        told = {"taken": taken and period(taken)[0], "camera": camera or None}
        told |= dict(zip(("latitude", "longitude"), place, strict=True))
        known = {name: value for name, value in told.items() if value is not None}
        if request.param == "made now":
            rows.append(row(path, **known))
        else:
            rows.append({k: v for k, v in row(path).items() if k not in told} | known)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MILVUS_TOKEN", TOKEN)
        database = tmp_path_factory.mktemp("filed") / "milvus.db"
        name = f"filtered_{uuid.uuid4().hex}"
        with ImageStore(database) as filed, ImageStore(server.address, name) as served:
            for store in (filed, served):
                with patched.context() as before:
                    if request.param != "made now":
                        before.setattr(columns, "COLUMNS", old)
                    store.open_for(MODEL, database.parent)
                store.upsert(rows)
            yield filed, served


def expected(where):
    """Return the photos that fulfil conditions, told without a word of Milvus's language."""

    def holds(photo, name, value):
        path, taken, camera, latitude, longitude = photo
        if isinstance(value, list):
            return any(holds(photo, name, each) for each in value)
        if name == "place":
            if latitude is None:
                return False
            a, b = (
                np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
                for lat, lon in np.radians(
                    [(latitude, longitude), (value.latitude, value.longitude)]
                )
            )
            return 6371.0088 * 2 * np.arcsin(np.linalg.norm(a - b) / 2) <= value.km + 1e-6
        known = {"filepath": path, "taken": taken, "camera": camera or None, "latitude": latitude}
        known = known[name]
        if known is None:
            return False
        if isinstance(value, like):
            return re.fullmatch(".*".join(map(re.escape, value.pattern.split("*"))), known, re.S)
        low, high = value if isinstance(value, tuple) else (value, value)
        if name == "taken":
            known = period(known)[0]
            low, high = low and period(low)[0], high and period(high)[1]
        return (low is None or low <= known) and (high is None or known <= high)

    return sorted(
        photo[0] for photo in PHOTOS if all(holds(photo, *each) for each in where.items())
    )


def found(store, where):
    read = Where(where)
    asked = {"filter": read.expression, "within": read.within}
    return sorted(hit["filepath"] for hit in store.search(AXIS, 99, **asked))


DATES = st.dates(date(1969, 1, 1), date(2021, 1, 1)) | st.integers(1969, 2021)
DATES |= st.sampled_from(["2019-06", "2019-07", "2019-06-15", "2019-06-15 14", "1826", "9999"])
SPANS = st.tuples(DATES | st.none(), DATES | st.none()).filter(
    lambda span: None in span or period(span[0])[0] <= period(span[1])[1]
)
PLACES = st.builds(
    near,
    st.sampled_from([photo[3] for photo in PHOTOS if photo[3]]) | st.floats(-90, 90),
    st.sampled_from([photo[4] for photo in PHOTOS if photo[4]]) | st.floats(-180, 180),
    st.sampled_from([0, 1, 10, 500, 10_000, 25_000]) | st.floats(0.001, 21_000),
)
NAMES = st.sampled_from(
    [part[:i] for photo in PHOTOS for part in (photo[0], photo[2]) for i in range(9)]
)
PREFIXES = NAMES.map(lambda name: like(name.replace("*", "") + "*"))
CAMERAS = st.sampled_from([photo[2] for photo in PHOTOS if photo[2]])
LATITUDES = st.tuples(st.none() | st.floats(-90, 0), st.none() | st.floats(0, 90))


def or_several(values):
    return values | st.lists(values, min_size=1, max_size=3)


CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "taken": or_several(DATES | SPANS),
        "place": or_several(PLACES),
        "filepath": or_several(PREFIXES),
        "camera": or_several(CAMERAS | PREFIXES),
        "latitude": LATITUDES,
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(where=CONDITIONS)
@example(where={"taken": ("2019-06", "2019-06")})
@example(where={"taken": (None, None)})
@example(where={"place": near(-16.85, 180, km=5)})
@example(where={"place": [near(-90, 0, km=1e9), near(89.99, 120, km=2)]})
@example(where={"filepath": like("taveuni/100%*"), "camera": like("*")})
@example(where={"filepath": [like("taveuni/a*"), like("sydney/a_*")]})
def test_a_filter_finds_the_same_in_a_file_and_on_a_server(filed_and_served, where):
    right = expected(where)
    assert [found(store, where) for store in filed_and_served] == [right, right]


@pytest.mark.parametrize("pattern", ["*/a*", "*.jpg", "t*/*%*", "*\\*", "*a_1*", "*A*", "p*s/*e*g"])
def test_a_pattern_that_an_old_server_does_not_know_is_said(filed_and_served, pattern):
    filed, served = filed_and_served
    assert found(filed, {"filepath": like(pattern)}) == expected({"filepath": like(pattern)})
    with pytest.raises(ValueError, match=r"only patterns with one \* at the end; Milvus 2.4 knows"):
        found(served, {"filepath": like(pattern)})
