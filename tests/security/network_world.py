"""A world of its own for the attacks over a network: ``unshare --net --mount python -m tests.security.network_world SOCKET RUNTIME``.

A network namespace with nothing but loopback: no interface, no route, no way out. On it stand a metadata service, a bridge's
gateway, a gateway's port and private services, all of which note every connection; two public stand-ins; and a name server
one of whose names changes its address with every look-up. The sandbox's proxy runs in this process, with the settings it
always has, and so can reach nothing but these.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from polyport_sandbox import Limits, Sandbox

from .network_programs import PROGRAMS

PUBLIC, SECOND_PUBLIC = "93.184.215.14", "93.184.215.15"
PRIVATE = {
    "metadata": "169.254.169.254",
    "other metadata": "100.100.100.200",
    "bridge": "172.17.0.1",
    "lan": "10.1.2.3",
}
NAMES = {
    "public.example.com": [PUBLIC],
    "second.example.com": [SECOND_PUBLIC],
    "sub.public.example.com": [PUBLIC],
    "evilpublic.example.com": [SECOND_PUBLIC],
    "sneaky.example.com": ["169.254.169.254"],
    "bridge.example.com": ["172.17.0.1"],
    "loop.example.com": ["127.0.0.1"],
    "lan.example.com": ["10.1.2.3"],
    "both.example.com": ["10.1.2.3", PUBLIC],
    "shared.example.com": ["100.100.100.200"],
}


class World:
    """The stand-ins, and who was connected to."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        self.heads: list[bytes] = []
        self.hellos: list[bytes] = []
        self.asked = 0

    async def private(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A service that nobody may reach."""
        self.reached.append(str(writer.get_extra_info("sockname")))
        body = b"PRIVATE-SECRET"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        await self._end(writer)

    async def public(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A service that may be reached: it notes heads, and redirects where it is asked to."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            self.heads.append(head)
            target = head.split(b" ")[1]
            if b"/to/" in target:
                where = target.split(b"/to/", 1)[1]
                writer.write(
                    b"HTTP/1.1 302 Found\r\nLocation: http://%s/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    % where
                )
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nPUBLIC")
        await self._end(writer)

    async def tls(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Port 443: notes the first message and hangs up."""
        with contextlib.suppress(OSError, TimeoutError):
            self.hellos.append(await asyncio.wait_for(reader.read(4096), 5))
        await self._end(writer)

    @staticmethod
    async def _end(writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await writer.drain()
            writer.close()


class Names(asyncio.DatagramProtocol):
    """A name server: A records only, and one name that changes with every look-up."""

    def __init__(self, world: World) -> None:
        self.world = world

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]])
            at += 1 + data[at]
        question, (kind, _) = data[12 : at + 5], struct.unpack(">HH", data[at + 1 : at + 5])
        name = b".".join(labels).decode().lower()
        found = NAMES.get(name, [])
        if name == "rebind.example.com" and kind == 1:
            self.world.asked += 1
            found = [PUBLIC if self.world.asked % 2 else "169.254.169.254"]
        if kind != 1:
            found = []
        code = 0 if found or name in NAMES or name.startswith("rebind") else 3
        answers = b"".join(struct.pack(">HHHIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(one) for one in found)
        head = data[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(found), 0, 0)
        self.transport.sendto(head + question + answers, address)


def make_namespace() -> None:
    """Give this process's network namespace its loopback and addresses, and its own name server."""

    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=20)

    links = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True, timeout=20).stdout
    names = {line.split(":")[1].strip().split("@")[0] for line in links.splitlines()}
    if names - {"lo", "tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0"}:
        raise RuntimeError(f"not a namespace of its own: it has {sorted(names)}")
    ip("link", "set", "lo", "up")
    for address in (PUBLIC, SECOND_PUBLIC, *PRIVATE.values()):
        ip("address", "add", f"{address}/32", "dev", "lo")
    ip("address", "add", "fd00:ec2::254/128", "dev", "lo")
    routes = subprocess.run(["ip", "route"], check=True, capture_output=True, text=True, timeout=20).stdout
    if routes.strip():
        raise RuntimeError(f"there is a way out: {routes}")
    folder = Path(tempfile.mkdtemp(prefix="polyport-names-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name, text in (
        ("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"),
        ("hosts", "127.0.0.1 localhost\n"),
    ):
        (folder / name).write_text(text)
        subprocess.run(["mount", "--bind", str(folder / name), f"/etc/{name}"], check=True, timeout=20)


async def serve(world: World) -> None:
    """Start every stand-in."""
    for address in (PUBLIC, SECOND_PUBLIC):
        await asyncio.start_server(world.public, address, 80)
        await asyncio.start_server(world.tls, address, 443)
    for address in (*PRIVATE.values(), "127.0.0.1", "::1", "fd00:ec2::254"):
        for port in (80, 443, 8400):
            await asyncio.start_server(world.private, address, port)
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: Names(world), local_addr=("127.0.0.1", 53))


async def main(docker_socket: str, runtime: str) -> dict[str, Any]:
    """Run every program, and tell what it printed and what was reached."""
    world, told = World(), {}
    await serve(world)
    gvisor: Any = "require" if runtime == "runsc" else "never"
    async with Sandbox("docker", socket=docker_socket, pool_size=1, max_running=2, gvisor=gvisor) as box:
        for name, (hosts, code) in PROGRAMS.items():
            world.reached, world.heads, world.hellos, world.asked = [], [], [], 0
            result = await box.run(code, allow_hosts=hosts, limits=Limits(wall_s=60))
            told[name] = {
                "status": result.status,
                "stdout": result.stdout_text[-6000:],
                "stderr": result.stderr_text[-1000:],
                "detail": result.detail,
                "reached": world.reached,
                "heads": [head.decode("latin-1") for head in world.heads],
                "hellos": [hello.hex() for hello in world.hellos],
                "asked": world.asked,
            }
    return told


if __name__ == "__main__":
    out = os.dup(1)
    os.dup2(2, 1)
    make_namespace()
    answer = asyncio.run(main(sys.argv[1], sys.argv[2]))
    os.write(out, json.dumps(answer).encode())
