from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from polyport.errors import BadRequestError, CallError, ConflictError, NotFoundError, PayloadTooLargeError
from polyport_gateway.knowledge.ingestion.sources import (
    UPLOADS,
    Folder,
    Listing,
    Loaded,
    Origin,
    SingleFile,
    SourceFailedError,
    Upload,
    Uploads,
    Web,
    WebPage,
    open_sources,
)
from polyport_gateway.storage.blobs import FolderBlobs


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    write(folder, "guide.md", "tea")
    write(folder, "多语言/茶.txt", "茶")
    write(folder, "deep/er/notes.TXT", "deep")
    return folder


def write(folder: Path, path: str, text: str) -> Path:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    settle(file)
    return file


def settle(file: Path) -> None:
    """Make it look as if it had not been changed this very moment."""
    os.utime(file, (time.time() - 60,) * 2)


def keys(listing: Listing) -> list[str]:
    return sorted(item.key for item in listing.items)


def loaded(listing: Listing, key: str) -> Loaded:
    (item,) = [item for item in listing.items if item.key == key]
    found = item.load(None)
    assert found is not None
    return found


def test_a_folder_with_all_below_it(docs: Path) -> None:
    listing = Folder(docs, "docs").list()
    assert keys(listing) == ["docs/deep/er/notes.TXT", "docs/guide.md", "docs/多语言/茶.txt"]
    assert loaded(listing, "docs/多语言/茶.txt").data == "茶".encode()
    assert loaded(listing, "docs/guide.md").name == "guide.md"
    assert (listing.problems, listing.unseen, listing.note) == ((), (), None)


def test_keys_stay_where_the_folder_moves(docs: Path, tmp_path: Path) -> None:
    before = keys(Folder(docs, "docs").list())
    docs.rename(tmp_path / "elsewhere")
    assert keys(Folder(tmp_path / "elsewhere", "docs").list()) == before


def test_hidden_files_and_junk_are_passed_over(docs: Path) -> None:
    for name in (".hidden", ".git/config", "~$guide.docx", "x.tmp", "node_modules/a.md", "Thumbs.db", "a.md~"):
        write(docs, name, "x")
    os.mkfifo(docs / "pipe")
    assert len(Folder(docs, "docs").list().items) == 3


@pytest.mark.parametrize(
    ("include", "exclude", "wanted"),
    [
        (["*.md"], [], ["guide.md"]),
        (["*.txt"], [], ["deep/er/notes.TXT", "多语言/茶.txt"]),
        (["**/*.txt", "guide.*"], [], ["deep/er/notes.TXT", "guide.md", "多语言/茶.txt"]),
        (["**/*.md"], [], ["guide.md"]),
        ([], ["deep"], ["guide.md", "多语言/茶.txt"]),
        ([], ["*.TXT"], ["guide.md"]),
        (["多语言"], [], ["多语言/茶.txt"]),
    ],
)
def test_patterns(docs: Path, include: list[str], exclude: list[str], wanted: list[str]) -> None:
    assert keys(Folder(docs, "docs", include, exclude).list()) == [f"docs/{path}" for path in wanted]


def test_links_stay_in_the_folder(docs: Path, tmp_path: Path) -> None:
    secret = write(tmp_path, "secret.txt", "secret")
    (docs / "out.txt").symlink_to(secret)
    (docs / "outside").symlink_to(tmp_path)
    (docs / "in.md").symlink_to(docs / "guide.md")
    (docs / "round").symlink_to(docs)
    (docs / "nowhere").symlink_to(docs / "gone")
    listing = Folder(docs, "docs").list()
    assert keys(listing) == ["docs/deep/er/notes.TXT", "docs/guide.md", "docs/in.md", "docs/多语言/茶.txt"]
    assert {(problem.key, problem.code) for problem in listing.problems} == {
        ("docs/out.txt", "link_refused"),
        ("docs/outside", "link_refused"),
    }


def test_a_file_that_becomes_a_link_out_is_not_read(docs: Path, tmp_path: Path) -> None:
    secret = write(tmp_path, "secret.txt", "secret")
    (item,) = [item for item in Folder(docs, "docs").list().items if item.key == "docs/guide.md"]
    (docs / "guide.md").unlink()
    (docs / "guide.md").symlink_to(secret)
    with pytest.raises(NotFoundError, match="leads out"):
        item.load(None)
    (docs / "guide.md").unlink()
    os.mkfifo(docs / "guide.md")
    with pytest.raises(NotFoundError):
        item.load(None)


@pytest.mark.parametrize("swapped", ["deep", "deep/er", "deep/er/notes.TXT"])
def test_what_becomes_a_link_at_the_last_moment_is_not_followed(
    docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    write(tmp_path, "outside/er/notes.TXT", "secret")
    write(tmp_path, "outside/notes.TXT", "secret")
    (item,) = [item for item in Folder(docs, "docs").list().items if item.key == "docs/deep/er/notes.TXT"]
    real = Path.resolve

    def resolve(self: Path, strict: bool = False) -> Path:
        found = real(self, strict)
        place = docs / swapped
        if self.name == "notes.TXT" and not place.is_symlink():
            place.rename(tmp_path / "aside")
            place.symlink_to(tmp_path / "outside" / ("er/notes.TXT" if swapped.endswith("TXT") else ""))
        return found

    monkeypatch.setattr(Path, "resolve", resolve)
    with pytest.raises(NotFoundError):
        item.load(None)


def test_a_stamp_says_what_has_changed(docs: Path) -> None:
    folder = Folder(docs, "docs")
    first = {item.key: item for item in folder.list().items}
    again = {item.key: item for item in folder.list().items}
    assert {key: item.stamp for key, item in first.items()} == {key: item.stamp for key, item in again.items()}
    item = first["docs/guide.md"]
    assert item.load(item.stamp) is None
    status = (docs / "guide.md").stat()
    (docs / "guide.md").write_text("TEA")
    os.utime(docs / "guide.md", ns=(status.st_atime_ns, status.st_mtime_ns))
    (changed,) = [item for item in folder.list().items if item.key == "docs/guide.md"]
    assert changed.stamp != item.stamp, "the same size and times as before, yet another file"
    found = changed.load(item.stamp)
    assert found is not None
    assert found.data == b"TEA"


def test_a_file_that_was_changed_this_moment_has_no_stamp_to_trust(docs: Path) -> None:
    (docs / "guide.md").write_text("now")
    assert loaded(Folder(docs, "docs").list(), "docs/guide.md").stamp is None


def test_a_file_that_is_being_written_is_left(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (item,) = [item for item in Folder(docs, "docs").list().items if item.key == "docs/guide.md"]
    real = os.fdopen

    def slow(descriptor: int, mode: str):  # type: ignore[no-untyped-def]
        file = real(descriptor, mode)
        read = file.read

        class Slow:
            def __enter__(self) -> Slow:
                return self

            def __exit__(self, *error: object) -> None:
                file.close()

            def read(self, size: int) -> bytes:
                data = read(size)
                with (docs / "guide.md").open("a") as writer:
                    writer.write("more")
                return data

        return Slow()

    monkeypatch.setattr(os, "fdopen", slow)
    with pytest.raises(ConflictError, match="being written"):
        item.load(None)


def test_a_large_file_is_refused_before_it_is_read(docs: Path) -> None:
    with (docs / "huge.bin").open("wb") as file:
        file.truncate(1 << 40)
    (item,) = [item for item in Folder(docs, "docs").list().items if item.key == "docs/huge.bin"]
    with pytest.raises(PayloadTooLargeError, match="huge"):
        item.load(None)


def test_a_name_that_is_no_text(docs: Path) -> None:
    (docs / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"x")
    listing = Folder(docs, "docs").list()
    assert "docs/caf%E9.txt" in keys(listing)
    assert loaded(listing, "docs/caf%E9.txt").data == b"x"


def test_a_folder_that_is_missing_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SourceFailedError, match=r"no folder .*gone"):
        Folder(tmp_path / "gone", "gone").list()
    write(tmp_path, "file", "")
    with pytest.raises(SourceFailedError, match="is no folder"):
        Folder(tmp_path / "file", "file").list()


def test_an_empty_folder_is_an_empty_base_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    listing = Folder(tmp_path / "empty", "empty").list()
    assert listing.items == ()
    assert listing.note is not None


def test_a_folder_that_was_emptied_is_told_from_a_disk_that_is_not_mounted(docs: Path) -> None:
    folder = Folder(docs, "docs")
    known = [Origin("docs", None, folder.list().root)]
    for path in docs.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert folder.list(known).items == ()
    docs.rename(docs.with_name("mounted elsewhere"))
    docs.mkdir()
    with pytest.raises(SourceFailedError, match="not be mounted"):
        folder.list(known)
    assert folder.list().items == (), "nothing came from it"


def test_a_folder_within_that_cannot_be_read_is_not_gone(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def refusing(path: str):  # type: ignore[no-untyped-def]  # root, who runs tests too, may read all that really is
        if Path(path) == docs / "deep":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    listing = Folder(docs, "docs").list()
    assert keys(listing) == ["docs/guide.md", "docs/多语言/茶.txt"]
    assert not listing.is_gone("docs/deep/er/notes.TXT")
    assert listing.problems[0].code == "unreadable_folder"


def test_what_was_not_seen_is_not_gone() -> None:
    listing = Listing((), unseen=("docs/deep/", "docs/a"))
    assert not listing.is_gone("docs/deep/x")
    assert not listing.is_gone("docs/a")
    assert listing.is_gone("docs/deeper")
    assert listing.is_gone("docs/ab")


def test_a_single_file(docs: Path) -> None:
    source = SingleFile(docs / "guide.md", "guide.md")
    assert loaded(source.list(), "guide.md").data == b"tea"
    (docs / "guide.md").unlink()
    with pytest.raises(SourceFailedError, match=r"guide\.md"):
        source.list()


def test_sources_from_what_a_base_names(docs: Path, tmp_path: Path) -> None:
    write(tmp_path, "other/docs/x.md", "x")
    web = Web()
    found = open_sources(
        ["docs", "docs/**/*.md", "other/docs", "docs/guide.md", "missing", "HTTP://Example.org/a#b", "docs"],
        web,
        base=tmp_path,
    )
    web.close()
    kinds = [(type(source), source.label) for source in found]
    assert kinds[0] == (Folder, "docs")
    assert kinds[2] == (Folder, "other/docs")
    assert kinds[3] == (SingleFile, "guide.md")
    assert kinds[4] == (Folder, "missing")
    assert kinds[5] == (WebPage, "http://example.org/a")
    assert len({label for _, label in kinds}) == len(kinds) == 6
    assert [item.key.rpartition("/")[2] for item in found[1].list().items] == ["guide.md"]


def test_uploads(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    one, two = blobs.put(b"one").key, blobs.put(b"two").key
    uploads = [
        Upload("a.txt", one),
        Upload("a.txt", two, metadata={"year": 2025}, tags=("x",)),
        Upload("b.md", one, "k"),
    ]
    source = Uploads([Upload.load(upload.dump()) for upload in uploads], blobs)
    listing = source.list()
    assert source.label == UPLOADS
    assert not source.complete
    assert keys(listing) == ["a.txt", "k"]
    (item,) = [item for item in listing.items if item.key == "a.txt"]
    found = item.load(one)
    assert found is not None
    assert (found.data, found.name, item.metadata, item.tags) == (b"two", "a.txt", {"year": 2025}, ("x",))
    assert item.load(two) is None
    blobs.delete(two)
    with pytest.raises(CallError):
        item.load(None)


@pytest.mark.parametrize("name", ["", "  ", "x" * 1001, "a\0b"])
def test_an_upload_needs_a_name(name: str) -> None:
    with pytest.raises(BadRequestError):
        Upload(name, "0" * 64)


def test_an_origin_is_kept_as_json() -> None:
    origin = Origin("docs", "stamp", "1:2")
    assert Origin.load(origin.dump()) == origin
    assert Origin.load(None) is None
    assert Origin.load({"reader": "x"}) is None
