"""Downloads from a server on this machine that behaves as badly as servers do."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scprism.errors import InputError, PrismError
from scprism.paper import fetch as fetch_module
from scprism.paper.download import RemoteFile, download
from scprism.paper.fetch import fetch_dataset, fetchable_table

CONTENT = {"FACS.zip": bytes(range(256)) * 4096, "annotations_facs.csv": b"cell,tissue\n", "facs.Robj": b"no"}


class Server(ThreadingHTTPServer):
    """Plays figshare's interface and its files; `behaviour` says how it fails."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = dict(CONTENT)
        self.behaviour: dict[str, int] = {}  # of cuts: how many times
        self.status = 200
        self.listing: bytes | None = None
        self.asked: list[str] = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def file(self, name):
        # what the list promises stays, whatever the server then sends
        content = CONTENT[name]
        return RemoteFile(name, f"{self.url}/files/{name}", len(content), hashlib.md5(content).hexdigest())  # noqa: S324

    def article(self):
        entries = [self.file(name) for name in CONTENT]
        return {
            "files": [{"name": e.name, "size": e.size, "download_url": e.url, "computed_md5": e.md5} for e in entries]
        }


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server, name = self.server, self.path.rsplit("/", 1)[1]
        server.asked.append(name)
        if self.path.startswith("/articles/"):
            content = server.listing or json.dumps(server.article()).encode()
            return self.answer(server.status, content)
        if server.behaviour.get("gone"):
            return self.answer(404, b"")
        if server.behaviour.get("busy", 0) > 0:
            server.behaviour["busy"] -= 1
            return self.answer(503, b"")
        return self.answer(200, server.content[name])

    def answer(self, status, content):
        cut = self.server.behaviour.get("cut", 0) > 0 and self.path.startswith("/files/")
        self.send_response(status)
        if not self.server.behaviour.get("no length"):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if cut:
            self.server.behaviour["cut"] -= 1
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = True


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setattr("pooch.core.time.sleep", lambda _: None)
    with Server() as running:
        monkeypatch.setattr(fetch_module, "FIGSHARE", running.url)
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(fetch_module, "FIGSHARE", "http://127.0.0.1:9")  # nobody listens there


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_is_downloaded_as_it_is(server, tmp_path):
    path = download(server.file("FACS.zip"), tmp_path / "new")
    assert path.read_bytes() == CONTENT["FACS.zip"]
    assert names(tmp_path) == ["FACS.zip"]


@pytest.mark.parametrize("length", [pytest.param({}, id="promised"), pytest.param({"no length": 1}, id="not promised")])
def test_a_dropped_connection_is_tried_again(server, tmp_path, length):
    server.behaviour |= {"cut": 2, **length}
    assert download(server.file("FACS.zip"), tmp_path).read_bytes() == CONTENT["FACS.zip"]
    assert len(server.asked) == 3
    assert names(tmp_path) == ["FACS.zip"]


def test_a_download_that_breaks_off_again_and_again_ends_and_leaves_nothing(server, tmp_path):
    server.behaviour["cut"] = 99
    with pytest.raises(PrismError, match="failed 5 times in a row.*Is this machine online"):
        download(server.file("FACS.zip"), tmp_path)
    assert names(tmp_path) == []


def test_a_file_that_is_gone_is_said_to_be(server, tmp_path):
    server.behaviour["gone"] = 1
    with pytest.raises(PrismError, match="FACS.zip.* failed 5 times in a row: 404"):
        download(server.file("FACS.zip"), tmp_path)


def test_bytes_are_told_as_they_come_and_end_with_the_whole(server, tmp_path):
    told = []
    download(server.file("FACS.zip"), tmp_path, progress=lambda *state: told.append(state))
    assert told[0] == ("FACS.zip", 2**16, 2**20)
    assert told[-1] == ("FACS.zip", 2**20, 2**20)


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.behaviour["busy"] = 3
    assert download(server.file("FACS.zip"), tmp_path).read_bytes() == CONTENT["FACS.zip"]


@pytest.mark.parametrize("sent", [pytest.param(b"x" * 2**20, id="corrupt"), pytest.param(b"x" * 2**21, id="too long")])
def test_a_file_that_is_not_the_promised_one_is_deleted(server, tmp_path, sent):
    (tmp_path / "FACS.zip").write_bytes(b"an older one")
    server.content["FACS.zip"] = sent
    with pytest.raises(PrismError, match="another checksum than FACS.zip should have"):
        download(server.file("FACS.zip"), tmp_path)
    assert (tmp_path / "FACS.zip").read_bytes() == b"an older one"
    assert names(tmp_path) == ["FACS.zip"]


def test_a_data_set_is_fetched_once(server, tmp_path):
    folder = fetch_dataset("tabula-muris", out=tmp_path)
    assert folder == tmp_path / "tabula-muris"
    assert names(folder) == ["FACS.zip", "annotations_facs.csv", "figshare-5829687.json", "figshare-5968960.json"]
    asked = len(server.asked)
    fetch_dataset("tabula-muris", out=tmp_path)
    assert len(server.asked) == asked


def test_what_is_there_needs_no_network(server, tmp_path, monkeypatch):
    fetch_dataset("tabula-muris", out=tmp_path)
    monkeypatch.setattr(fetch_module, "FIGSHARE", "http://127.0.0.1:9")
    fetch_dataset("tabula-muris", out=tmp_path)
    (tmp_path / "tabula-muris" / "FACS.zip").write_bytes(b"damaged")
    with pytest.raises(PrismError, match="figshare cannot be reached"):
        fetch_dataset("tabula-muris", out=tmp_path)


def test_a_damaged_file_is_fetched_again(server, tmp_path):
    folder = fetch_dataset("tabula-muris", out=tmp_path)
    (folder / "FACS.zip").write_bytes(b"x" * len(CONTENT["FACS.zip"]))
    fetch_dataset("tabula-muris", out=tmp_path)
    assert (folder / "FACS.zip").read_bytes() == CONTENT["FACS.zip"]


@pytest.mark.parametrize(
    ("status", "listing", "message"),
    [
        pytest.param(404, None, "does not list the files: .* says 404", id="no article"),
        pytest.param(202, b"", "does not list the files: .* says 202", id="a challenge for browsers"),
        pytest.param(200, b"<html>log in</html>", "is no list of files.*'<html>log in</html>'", id="a page"),
        pytest.param(200, b'{"files": []}', "lists no file to download", id="nothing"),
    ],
)
def test_a_list_that_is_none_is_refused(server, tmp_path, status, listing, message):
    server.status, server.listing = status, listing
    with pytest.raises(PrismError, match=message):
        fetch_dataset("tabula-muris", out=tmp_path)
    assert names(tmp_path) == []


def test_a_listed_name_cannot_leave_the_folder(server, tmp_path):
    listing = server.article()
    listing["files"] = [listing["files"][0] | {"name": "../../FACS.zip"}]
    server.listing = json.dumps(listing).encode()
    fetch_dataset("tabula-muris", out=tmp_path / "a" / "b")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.zip")] == ["a/b/tabula-muris/FACS.zip"]


def test_an_unknown_data_set_is_refused(tmp_path):
    with pytest.raises(InputError, match="`name` must be one of 'tabula-muris', got 'tabula-sapiens'"):
        fetch_dataset("tabula-sapiens", out=tmp_path)


def test_the_command_says_where_the_files_lie(server, tmp_path, command_line):
    status, output, messages = command_line("datasets", "fetch", "tabula-muris", "--out", tmp_path)
    assert status == 0
    assert output.strip() == str(tmp_path / "tabula-muris")
    assert "tabula-muris: FACS.zip, annotations_facs.csv" in messages


def test_the_command_says_what_to_do_offline(offline, tmp_path, command_line):
    status, output, messages = command_line("datasets", "fetch", "tabula-muris", "--out", tmp_path / "new")
    assert status == 2
    assert output == ""
    assert "Is this machine online" in messages
    assert "doi.org/10.6084/m9.figshare.5829687" in messages
    assert "Traceback" not in messages
    assert not (tmp_path / "new").exists()


def test_the_command_lists_what_can_be_fetched(command_line):
    status, output, _ = command_line("datasets", "list")
    assert status == 0
    assert "tabula-muris" in output
    assert fetchable_table()["articles"].tolist() == ["5829687, 5968960"]
