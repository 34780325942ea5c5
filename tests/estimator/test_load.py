"""Models from folders, zip files, addresses and by name; zip files that would do harm are refused."""

import hashlib
import shutil
import stat
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

import scprism
from scprism.errors import BundleError, InputError, PrismError
from scprism.estimator import archive
from scprism.read.synthetic import make_cells

pytestmark = pytest.mark.filterwarnings("ignore:The query is unlike")  # cells of another seed are another tissue


@pytest.fixture(scope="module")
def model():
    cells = make_cells(rng=0)
    trained = scprism.Prism(units="raw", genes="all", organism="human", hidden_size=8, max_epochs=1, rng=0).fit(cells)
    return trained.index(cells, labels="cell_type")


@pytest.fixture
def folder(model, tmp_path):
    model.save(tmp_path / "mine")
    return tmp_path / "mine"


@pytest.fixture
def zipped(folder, tmp_path):
    return shutil.make_archive(str(tmp_path / "model"), "zip", tmp_path, "mine")


@pytest.fixture
def server(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache" / name)

    class Handler(SimpleHTTPRequestHandler):
        asked: list[str] = []  # noqa: RUF012

        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(tmp_path / "site"))

        def log_message(self, *_):
            self.asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        running.url = f"http://127.0.0.1:{running.server_address[1]}"
        running.folder, running.asked = tmp_path / "site", Handler.asked
        yield running
        running.shutdown()


def sha(path):
    with open(path, "rb") as file:  # noqa: PTH123
        return hashlib.file_digest(file, "sha256").hexdigest()


def same(one, other):
    cells = make_cells(rng=1)
    return one.fingerprint == other.fingerprint and one.label(cells).table.equals(other.label(cells).table)


def test_a_zip_file_holds_a_model_in_a_folder_or_at_its_top(model, folder, zipped, tmp_path):
    assert same(scprism.load(zipped), model)
    flat = shutil.make_archive(str(tmp_path / "flat"), "zip", folder)
    assert same(scprism.load(flat), model)
    assert same(scprism.load(flat, checksum=f"sha256:{sha(flat)}"), model)
    with pytest.raises(BundleError, match="has another checksum than the one given"):
        scprism.load(flat, checksum="0" * 64)
    with pytest.raises(InputError, match="`checksum` is that of a zip file"):
        scprism.load(folder, checksum="0" * 64)


def evil(tmp_path, folder, name, *, content=b"x", mode=0o644, again=False):
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as file:
        for part in folder.iterdir():
            file.write(part, f"mine/{part.name}")
        member = zipfile.ZipInfo(name)
        member.external_attr = mode << 16
        file.writestr(member, content)
    return path


@pytest.mark.parametrize(
    ("name", "mode", "reason"),
    [
        ("../outside.txt", 0o644, "a path that leads out of its folder"),
        ("/etc/outside.txt", 0o644, "a path that leads out of its folder"),
        ("mine/../../outside.txt", 0o644, "a path that leads out of its folder"),
        ("..\\outside.txt", 0o644, "a path that leads out of its folder"),
        ("C:\\outside.txt", 0o644, "a path that leads out of its folder"),
        ("mine/link", stat.S_IFLNK | 0o777, "it holds a link"),
        ("other/units.json", 0o644, "files of several folders"),
    ],
)
def test_zip_files_that_lead_elsewhere_are_refused_and_nothing_is_written(folder, tmp_path, name, mode, reason):
    path = evil(tmp_path, folder, name, content=b"/etc/passwd", mode=mode)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BundleError, match=reason):
        scprism.load(path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_name_that_comes_twice_is_refused(folder, tmp_path):
    with pytest.raises(BundleError, match="'log.csv' more than once"):
        scprism.load(evil(tmp_path, folder, "mine/log.csv"))


def test_what_a_zip_file_unpacks_to_is_known_before_it_is_unpacked(zipped, monkeypatch):
    monkeypatch.setattr(archive, "MOST_BYTES", 1000)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(BundleError, match="and no model takes more"):
        scprism.load(zipped)


def test_files_that_are_no_zip_file_of_a_model_are_refused(zipped, tmp_path):
    (tmp_path / "text.zip").write_text("no zip file")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("notes.txt", "x")
    content = bytearray((tmp_path / "model.zip").read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "flipped.zip").write_bytes(bytes(content))
    for name, reason in {
        "text.zip": "nor a zip file of one that can be read",
        "other.zip": "where model.json and the files beside it should be",
        "flipped.zip": "nor a zip file of one that can be read|is no zip file|truncated or was edited",
        "nothing.zip": "is not a model folder",
    }.items():
        with pytest.raises(BundleError, match=reason):
            scprism.load(tmp_path / name)


def test_a_model_comes_from_an_address_once_and_only_with_its_checksum(model, zipped, server):
    shutil.copy(zipped, server.folder / "model.zip")
    address = f"{server.url}/model.zip"
    assert same(scprism.load(f"{address}#sha256={sha(zipped)}"), model)
    assert same(scprism.load(address, checksum=f"sha256:{sha(zipped)}"), model)
    assert server.asked == ["/model.zip"]
    with pytest.raises(InputError, match="needs a checksum, the SHA-256 of the file"):
        scprism.load(address)
    with pytest.raises(InputError, match="must be a SHA-256, 64 hexadecimal digits, got 'abc'"):
        scprism.load(address, checksum="abc")
    with pytest.raises(BundleError, match="has another checksum than the one given, and was deleted"):
        scprism.load(address, checksum="0" * 64)
    with pytest.raises(PrismError, match="could not be downloaded: 404"):
        scprism.load(f"{server.url}/gone.zip", checksum="1" * 64)


def test_a_model_comes_with_the_package_by_its_name(model, zipped, monkeypatch, tmp_path):
    (tmp_path / "models").mkdir()
    shutil.copy(zipped, tmp_path / "models" / "tiny.zip")
    monkeypatch.setattr("scprism._bundled._data", lambda: tmp_path)
    assert same(scprism.load("tiny"), model)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()  # a folder of that name is meant before
    with pytest.raises(BundleError, match="is not a model folder"):
        scprism.load("tiny")
