from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from polyport.errors import ConfigurationError, NotFoundError, PayloadTooLargeError
from polyport_gateway.storage.blobs import Blob, FolderBlobs


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


def files(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "blobs").rglob("*") if path.is_file() and path.name != "lock"]


def age(tmp_path: Path, seconds: float) -> None:
    for path in files(tmp_path):
        os.utime(path, (time.time() - seconds,) * 2)


def nothing(keys: list[str]) -> list[str]:
    return []


def test_bytes_come_back_by_their_hash(blobs: FolderBlobs) -> None:
    data = "茶 tea".encode()
    kept = blobs.put(data)
    assert kept == Blob(hashlib.sha256(data).hexdigest(), len(data))
    assert blobs.get(kept.key) == data
    assert blobs.size(kept.key) == len(data)
    assert list(blobs.keys()) == [kept.key]


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, (3 << 20) + 7])
def test_pieces_and_files_are_kept_as_the_same_bytes(blobs: FolderBlobs, size: int) -> None:
    data = os.urandom(size)
    kept = {
        blobs.put(data),
        blobs.put(io.BytesIO(data)),
        blobs.put(data[start : start + 100_000] for start in range(0, size, 100_000)),
    }
    assert kept == {Blob(hashlib.sha256(data).hexdigest(), size)}
    assert b"".join(blobs.stream(kept.pop().key, piece=77_777)) == data


def test_the_same_bytes_are_kept_once(blobs: FolderBlobs, tmp_path: Path) -> None:
    for _ in range(3):
        blobs.put(b"once")
    assert len(files(tmp_path)) == 1


def test_part_of_a_blob_can_be_read(blobs: FolderBlobs) -> None:
    with blobs.open(blobs.put(b"0123456789").key) as file:
        file.seek(4)
        assert file.read(3) == b"456"


def test_only_this_user_may_read(blobs: FolderBlobs, tmp_path: Path) -> None:
    blobs.put(b"secret")
    assert {path.stat().st_mode & 0o077 for path in files(tmp_path)} == {0}
    assert (tmp_path / "blobs" / "incoming").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("key", ["", "..", "../lock", "a" * 63, "A" * 64, "a" * 64 + "\n", "aa/../../x", "\0" * 64])
def test_what_is_no_key_is_not_there(blobs: FolderBlobs, key: str) -> None:
    for use in (blobs.get, blobs.open, blobs.size, blobs.delete, lambda key: list(blobs.stream(key))):
        with pytest.raises(NotFoundError):
            use(key)


def test_a_blob_that_is_gone(blobs: FolderBlobs) -> None:
    key = blobs.put(b"x").key
    assert blobs.delete(key)
    assert not blobs.delete(key)
    assert blobs.size(key) is None
    with pytest.raises(NotFoundError, match=key):
        blobs.get(key)


def test_too_many_bytes_leave_nothing(blobs: FolderBlobs, tmp_path: Path) -> None:
    for data in (b"123456", io.BytesIO(b"123456"), [b"123", b"456"]):
        with pytest.raises(PayloadTooLargeError, match="5 bytes"):
            blobs.put(data, limit=5)
    assert files(tmp_path) == []
    assert blobs.put(b"12345", limit=5).size == 5


def test_a_sender_that_breaks_off_leaves_nothing(blobs: FolderBlobs, tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        blobs.put(pieces())
    assert files(tmp_path) == []


def test_damage_is_seen_and_mended(blobs: FolderBlobs, tmp_path: Path) -> None:
    key = blobs.put(b"right").key
    (path,) = files(tmp_path)
    path.write_bytes(b"wrong")
    with pytest.raises(NotFoundError, match="damaged"):
        blobs.get(key)
    path.write_bytes(b"")  # what a power cut may leave on some file systems
    blobs.put(b"right")
    assert blobs.get(key) == b"right"


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    # A real one, as far as the kernel lets an ordinary user have it: a limit on the size of files.
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from polyport.errors import ServiceUnavailableError\n"
        "from polyport_gateway.storage.blobs import FolderBlobs\n"
        "blobs = FolderBlobs(Path(sys.argv[1]))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "try:\n"
        "    blobs.put(b'x' * 9000)\n"
        "except ServiceUnavailableError as error:\n"
        "    print(error.code, error)\n"
        "print(blobs.put(b'small').size)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "blobs")], capture_output=True, text=True, check=True
    )
    assert "disk_full" in done.stdout
    assert "is full" in done.stdout
    assert done.stdout.endswith("5\n")
    assert [path.stat().st_size for path in files(tmp_path)] == [5]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="blobs"):
        FolderBlobs(tmp_path / "file" / "blobs")


def test_what_nothing_names_is_swept(blobs: FolderBlobs, tmp_path: Path) -> None:
    named, unnamed = blobs.put(b"named").key, blobs.put(b"unnamed").key
    assert blobs.sweep(nothing) == 0, "both are young"
    age(tmp_path, 7200)
    assert blobs.sweep(lambda keys: [key for key in keys if key == named]) == 1
    assert set(blobs.keys()) == {named}
    assert blobs.size(unnamed) is None


def test_what_is_put_again_is_young_again(blobs: FolderBlobs, tmp_path: Path) -> None:
    key = blobs.put(b"again").key
    age(tmp_path, 7200)
    blobs.put(b"again")
    assert blobs.sweep(nothing) == 0

    def put_meanwhile(keys: list[str]) -> list[str]:
        blobs.put(b"again")
        return []

    age(tmp_path, 7200)
    assert blobs.sweep(put_meanwhile) == 0
    assert blobs.get(key) == b"again"


def test_what_a_killed_writer_left_is_swept_and_what_a_living_one_writes_is_not(
    blobs: FolderBlobs, tmp_path: Path
) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from polyport_gateway.storage.blobs import FolderBlobs\n"
        "def pieces():\n"
        "    yield b'half'\n"
        "    print('half', flush=True)\n"
        "    time.sleep(60)\n"
        "FolderBlobs(Path(sys.argv[1])).put(pieces())\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "blobs")], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        age(tmp_path, 60)
        assert blobs.sweep(nothing) == 0
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert blobs.sweep(nothing) == 1
    finally:
        writer.kill()
        writer.wait()
        assert writer.stdout is not None
        writer.stdout.close()
    assert files(tmp_path) == []


def test_many_writers_and_a_sweeper(blobs: FolderBlobs, tmp_path: Path) -> None:
    data = [f"{number}".encode() * 1000 for number in range(20)]
    over = threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            for _ in range(15):
                for item in data:
                    kept = blobs.put(item)
                    assert blobs.get(kept.key) == item
        except BaseException as error:
            failures.append(error)

    def sweep() -> None:
        while not over.is_set():
            blobs.sweep(nothing, older_than_s=30)

    threads = [threading.Thread(target=write) for _ in range(4)]
    sweeper = threading.Thread(target=sweep)
    for thread in (*threads, sweeper):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    sweeper.join()
    assert failures == []
    assert len(files(tmp_path)) == 20
