from __future__ import annotations

import gzip
import http.server
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence

import pytest

from polyport.errors import (
    BadRequestError,
    CallError,
    DeadlineExceededError,
    NotFoundError,
    PayloadTooLargeError,
    ServiceUnavailableError,
    UpstreamError,
)
from polyport_gateway.knowledge.ingestion.sources import AddressRefusedError, GuardedNetwork, Loaded, Web, WebPage
from polyport_gateway.knowledge.ingestion.sources.guard import is_public
from polyport_gateway.knowledge.ingestion.sources.web import page_key

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


class Site:
    """A web server on this machine; what it answers is set by path."""

    def __init__(self) -> None:
        self.pages: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                site.pages.get(self.path, plain(404, b""))(self)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.address = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


def plain(status: int, body: bytes, **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.fixture(scope="module")
def running() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture
def site(running: Site) -> Site:
    running.pages.clear()
    running.asked.clear()
    return running


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web(["127.0.0.0/8"], largest=1 << 20)
    yield made
    made.close()


def fetched(web: Web, address: str, stamp: str | None = None) -> Loaded:
    found = web.fetch(address, stamp)
    assert found is not None
    return found


def test_a_page_is_fetched(site: Site, web: Web) -> None:
    site.pages["/%E8%8C%B6.html?x=1"] = plain(200, "<p>茶".encode(), Content_Type="text/html")
    found = fetched(web, f"{site.address}/茶.html?x=1#part")
    assert (found.data, found.name, found.stamp) == ("<p>茶".encode(), "茶.html", None)
    assert site.asked[0][1]["host"] == f"127.0.0.1:{site.port}"
    assert "cookie" not in site.asked[0][1]


def test_only_what_has_changed_is_sent_again(site: Site, web: Web) -> None:
    def page(handler: http.server.BaseHTTPRequestHandler) -> None:
        same = handler.headers.get("If-None-Match") == '"1"'
        plain(304 if same else 200, b"" if same else b"tea", ETag='"1"', Last_Modified="yesterday")(handler)

    site.pages["/tea.txt"] = page
    source = WebPage(f"{site.address}/tea.txt", web)
    (item,) = source.list().items
    first = item.load(None)
    assert first is not None
    assert item.load(first.stamp) is None
    assert site.asked[1][1]["if-modified-since"] == "yesterday"
    assert item.load('"no stamp of a page"') is not None
    assert source.label == item.key == f"{site.address}/tea.txt"


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        ("/a/report.pdf", {"Content_Type": "application/pdf"}, "report.pdf"),
        ("/a/report", {"Content_Type": "application/pdf"}, "report.pdf"),
        ("/page.php", {"Content_Type": "text/html; charset=utf-8"}, "page.php.html"),
        ("/", {"Content_Type": "text/html"}, "127.0.0.1.html"),
        ("/get?id=1", {"Content_Disposition": 'attachment; filename="../../x.docx"'}, "x.docx"),
        ("/get", {"Content_Disposition": "attachment; filename*=UTF-8''%E8%8C%B6.pdf"}, "茶.pdf"),
    ],
)
def test_a_page_gets_a_files_name(site: Site, web: Web, path: str, headers: dict[str, str], name: str) -> None:
    site.pages[path] = plain(200, b"x", **headers)
    assert fetched(web, site.address + path).name == name


def test_packed_pages_are_unpacked(site: Site, web: Web) -> None:
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    forms = {
        "/gzip": (gzip.compress(b"tea" * 999), "gzip"),
        "/deflate": (zlib.compress(b"tea" * 999), "deflate"),
        "/raw": (raw.compress(b"tea" * 999) + raw.flush(), "deflate"),
    }
    for path, (body, encoding) in forms.items():
        site.pages[path] = plain(200, body, Content_Encoding=encoding)
        assert fetched(web, site.address + path).data == b"tea" * 999
    site.pages["/br"] = plain(200, b"x", Content_Encoding="br")
    site.pages["/half"] = plain(200, gzip.compress(b"tea" * 999)[:-9], Content_Encoding="gzip")
    for path in ("/br", "/half"):
        with pytest.raises(UpstreamError):
            web.fetch(site.address + path)


def test_a_page_must_not_be_too_large(site: Site, web: Web) -> None:
    site.pages["/large"] = plain(200, b"x" * (2 << 20))
    site.pages["/bomb"] = plain(200, gzip.compress(b"\0" * (64 << 20)), Content_Encoding="gzip")
    for path in ("/large", "/bomb"):
        with pytest.raises(PayloadTooLargeError, match=path):
            web.fetch(site.address + path)


def test_a_page_must_not_take_too_long(site: Site) -> None:
    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        try:
            for _ in range(1000):
                handler.wfile.write(b"x")
                handler.wfile.flush()
                time.sleep(0.02)
        except OSError:
            handler.close_connection = True

    site.pages["/drip"] = drip
    web = Web(["127.0.0.1"], deadline_s=0.2)
    began = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        web.fetch(f"{site.address}/drip")
    assert time.monotonic() - began < 5
    web.close()


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (404, NotFoundError, "page_missing"),
        (410, NotFoundError, "page_removed"),
        (403, NotFoundError, "page_refused"),
        (503, ServiceUnavailableError, "service_unavailable"),
        (500, UpstreamError, "upstream_error"),
        (304, UpstreamError, "upstream_error"),
    ],
)
def test_what_a_server_refuses(site: Site, web: Web, status: int, kind: type[CallError], code: str) -> None:
    site.pages["/x"] = plain(status, b"")
    with pytest.raises(kind) as caught:
        web.fetch(f"{site.address}/x")
    assert caught.value.code == code


def test_a_server_that_is_not_there_or_breaks_off(site: Site, web: Web) -> None:
    def cut(handler: http.server.BaseHTTPRequestHandler) -> None:
        plain(200, b"x", Content_Length="1000")(handler)
        handler.close_connection = True

    site.pages["/cut"] = cut
    for address in (f"{site.address}/cut", "http://127.0.0.1:1/"):
        with pytest.raises(UpstreamError, match="can't be fetched"):
            web.fetch(address)


def test_redirects_are_followed_and_each_is_checked(site: Site, web: Web) -> None:
    site.pages["/one"] = plain(302, b"", Location="/two#x")
    site.pages["/two"] = plain(308, b"", Location=f"{site.address}/three.txt")
    site.pages["/three.txt"] = plain(200, b"tea")
    found = fetched(web, f"{site.address}/one")
    assert (found.data, found.name) == (b"tea", "three.txt")
    site.pages["/round"] = plain(302, b"", Location="/round")
    site.pages["/file"] = plain(302, b"", Location="file:///etc/passwd")
    site.pages["/user"] = plain(302, b"", Location="http://user:secret@example.org/")
    site.pages["/nowhere"] = plain(302, b"", Location="http://[")
    for path in ("/round", "/file", "/user", "/nowhere"):
        with pytest.raises(BadRequestError):
            web.fetch(site.address + path)
    site.pages["/inside"] = plain(302, b"", Location="http://[::1]/")
    with pytest.raises(AddressRefusedError):
        web.fetch(f"{site.address}/inside")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x",
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://",
        "http://a:99999/",
        "http://u:p@example.org/",
        "//x",
    ],
)
def test_what_is_no_address(web: Web, address: str) -> None:
    with pytest.raises(BadRequestError):
        web.fetch(address)


def test_an_address_as_a_key() -> None:
    assert page_key(" HTTPS://Example.ORG#x ") == "https://example.org/"
    assert page_key("http://Bücher.example:8080/A?b=C#d") == "http://bücher.example:8080/A?b=C"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "::", "::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "2002:7f00:1::", "64:ff9b::a9fe:a9fe", "2001:0:4136:e378:8000:63bf:80ff:fffe", "198.18.0.1", "no address",
    ],
)  # fmt: skip
def test_addresses_of_ones_own(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254"])
def test_ones_own_network_is_refused_however_it_is_written(site: Site, host: str) -> None:
    web = Web()
    with pytest.raises((AddressRefusedError, UpstreamError)):
        web.fetch(f"http://{host}:{site.port}/x")
    web.close()
    assert site.asked == []


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1"])
def test_odd_ways_to_write_an_address_are_refused(site: Site, host: str) -> None:
    # As the C library reads them; it is not asked, for it is taken for the network here.
    network = GuardedNetwork(look_up=lambda host, port: [socket.inet_ntoa(socket.inet_aton(host))])
    web = Web(network=network)
    with pytest.raises(AddressRefusedError):
        web.fetch(f"http://{host}:{site.port}/x")
    web.close()


def test_a_name_that_leads_elsewhere_the_second_time(site: Site) -> None:
    """DNS rebinding: what is checked is what is connected to, for every connection."""
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])

    def look_up(host: str, port: int) -> Sequence[str]:
        return next(answers)

    network = GuardedNetwork(look_up=look_up)
    assert network._may("x.example", look_up("x.example", 80)[0])
    web = Web(network=network)
    with pytest.raises(AddressRefusedError, match=r"x\.example is no address of the public internet"):
        web.fetch(f"http://x.example:{site.port}/x")
    web.close()
    assert site.asked == []


@pytest.mark.parametrize("allowed", ["intranet.example", "*.example", "127.0.0.0/8", "127.0.0.1"])
def test_hosts_that_are_allowed(site: Site, allowed: str) -> None:
    site.pages["/x"] = plain(200, b"tea")
    web = Web(network=GuardedNetwork([allowed], look_up=lambda host, port: ["10.255.255.1", "127.0.0.1"][-1:]))
    assert fetched(web, f"http://intranet.example:{site.port}/x").data == b"tea"
    assert site.asked[0][1]["host"] == f"intranet.example:{site.port}"
    web.close()
    other = Web(network=GuardedNetwork(["other.test", "10.0.0.0/8"], look_up=lambda host, port: ["127.0.0.1"]))
    with pytest.raises(AddressRefusedError):
        other.fetch(f"http://intranet.example:{site.port}/x")
    other.close()


def test_a_host_that_is_not_there() -> None:
    def nobody(host: str, port: int) -> Sequence[str]:
        raise OSError("unknown")

    web = Web(network=GuardedNetwork(look_up=nobody))
    with pytest.raises(UpstreamError, match="no such host"):
        web.fetch("http://nowhere.example/")
    web.close()
