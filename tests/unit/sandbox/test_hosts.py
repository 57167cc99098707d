from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyport_sandbox import InvalidRunError
from polyport_sandbox.network.addresses import is_public
from polyport_sandbox.network.hosts import AllowedHost, check_allow_hosts, normal_host, parse_allow_hosts


@pytest.mark.parametrize(
    ("entry", "written"),
    [
        ("example.org", "example.org"), ("Example.ORG.", "example.org"), ("*.example.org", "*.example.org"),
        ("example.org:8443", "example.org:8443"), ("*.example.org:81", "*.example.org:81"), ("intranet", "intranet"),
        ("bücher.example", "xn--bcher-kva.example"), ("8.8.8.8", "8.8.8.8"), ("8.8.8.8:53", "8.8.8.8:53"),
        ("2606:4700:4700::1111", "[2606:4700:4700::1111]"),
        ("[2606:4700:4700::1111]:8443", "[2606:4700:4700::1111]:8443"),
        ("_dmarc.example.org", "_dmarc.example.org"),
    ],
)  # fmt: skip
def test_a_list_is_brought_to_its_normal_form(entry: str, written: str):
    assert check_allow_hosts([entry, entry]) == (written,)
    assert check_allow_hosts([written]) == (written,)


@pytest.mark.parametrize(
    "entry",
    ["", "*", "*.", "*.org", "a*.example.org", "*.*.example.org", "http://example.org", "example.org/path",
     "10.0.0.0/8", "example.org:", "example.org:0", "example.org:65536", "example.org:x", "example.org:80:80",
     "example org", "example.org\n", "user@example.org", "-a.example.org", "a..example.org", "x" * 64 + ".org",
     "localhost", "app.localhost", "127.0.0.1", "10.1.2.3:80", "169.254.169.254", "[::1]", "fd00::1", "0.0.0.0",
     "*.8.8.8.8", "127.1", "2130706433", "0x7f.1", "0x7f000001", "[8.8.8.8]", "::ffff:8.8.8.8", None, 5,
     b"example.org"],
)  # fmt: skip
def test_what_is_no_host_is_refused(entry: object):
    with pytest.raises(InvalidRunError) as caught:
        check_allow_hosts([entry])  # type: ignore[list-item]
    assert caught.value.param == "allow_hosts"


def test_a_list_is_a_list_and_bounded():
    with pytest.raises(InvalidRunError, match="one text"):
        check_allow_hosts("example.org")
    with pytest.raises(InvalidRunError, match="65 entries"):
        check_allow_hosts([f"h{n}.example.org" for n in range(65)])


def test_what_an_entry_lets_through():
    exact, under, port = parse_allow_hosts(["example.org", "*.example.org", "example.net:8443"])
    assert exact == AllowedHost("example.org")
    assert exact.allows("example.org", 443)
    assert exact.allows("example.org", 80)
    assert not exact.allows("example.org", 22)
    assert not exact.allows("a.example.org", 443)
    assert under.allows("a.b.example.org", 443)
    assert not under.allows("example.org", 443)
    assert not under.allows("badexample.org", 443)
    assert port.allows("example.net", 8443)
    assert not port.allows("example.net", 443)


@given(st.text(max_size=30))
def test_a_normal_host_stays_as_it_is(text: str):
    host = normal_host(text)
    if host is not None:
        assert normal_host(host) == host
        assert host.isascii()
        assert not set(host) & set("/@*[] \r\n\0")


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1",
     "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
     "198.51.100.7",
     "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
     "::", "::1", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "::8.8.8.8", "64:ff9b::8.8.8.8", "64:ff9b::a9fe:a9fe",
     "64:ff9b:1::1", "100::1", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::",
     "2002:808:808::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "4000::1"],
)  # fmt: skip
def test_addresses_that_are_somebody_s_own(address: str):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "2a00::1"]
)
def test_addresses_that_are_everybody_s(address: str):
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses())
def test_nothing_public_is_private_by_python_s_own_account(address: ipaddress.IPv4Address | ipaddress.IPv6Address):
    if is_public(address):
        assert address.is_global
        assert not any((address.is_private, address.is_loopback, address.is_link_local, address.is_multicast))
