"""What is tried over a network from inside, by name: the hosts that the run was allowed, and the program."""

from __future__ import annotations

__all__ = ["PROGRAMS"]

ASK = """
import socket, time
def ask(data, wait=6):
    s = socket.create_connection(("127.0.0.1", 3128), 5); s.settimeout(wait)
    got = b""
    try:
        s.sendall(data)
        while part := s.recv(65536): got += part
    except OSError: pass
    finally: s.close()
    return got
def get(url, host=None):
    host = host or url.split("/")[2]
    return ask(f"GET {url} HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode())
def connect(target): return ask(f"CONNECT {target} HTTP/1.1\\r\\nHost: {target}\\r\\n\\r\\nGET / HTTP/1.0\\r\\n\\r\\n".encode(), 3)
def tried(what, got):
    print("TRIED", what, got.split(b"\\r\\n")[0][:60])
    if b"PRIVATE" in got: print("BREACH", what)
def must_reach():
    got = get("http://public.example.com/")
    if b"PUBLIC" not in got: print("NOT REACHED", got[:300])
"""
NAMES = (
    "public.example.com",
    "sneaky.example.com",
    "bridge.example.com",
    "loop.example.com",
    "lan.example.com",
    "both.example.com",
    "shared.example.com",
)
PORTS = (*NAMES, *(f"{name}:8400" for name in NAMES))
NOTATIONS = (
    "0x7f.0.0.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "0", "0.0.0.0",
    "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "0xa9.0xfe.0xa9.0xfe", "169.254.43518", "169.254.169.254.",
    "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[::169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]",
    "[fd00:ec2::254]", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:ffff:7f00:1]", "[::1%25lo]", "localhost", "LOCALHOST.",
    "%31%36%39.254.169.254", "169%2e254.169.254", "\\u0031\\u0036\\u0039.254.169.254", "169\\u3002254\\u3002169\\u3002254", "\\uff11\\uff16\\uff19.254.169.254",
    "10.1.2.3", "172.17.0.1", "100.100.100.200", "169.254.169.254",
)  # fmt: skip

PROGRAMS: dict[str, tuple[tuple[str, ...], str]] = {
    "the allowed host": (("public.example.com",), ASK + "got = get('http://public.example.com/x')\nprint('TRIED', got)"),
    "hosts that are not allowed": (
        ("public.example.com", "*.public.example.com"),
        ASK + "must_reach()\nfor host in ('second.example.com', 'evilpublic.example.com', 'public.example.com.second.example.com',\n"
        "        '93.184.215.14', '93.184.215.15', 'example.com', 'sneaky.example.com', 'public.example.com:8400', 'public.example.com:22'):\n"
        "    for got in (get(f'http://{host}/'), connect(host if ':' in host else host + ':443')):\n        tried(host, got)\n"
        "        if b' 200' in got.split(b'\\r\\n')[0]: print('BREACH', host, got[:100])",
    ),
    "the metadata address": (
        PORTS,
        ASK + "must_reach()\nfor host in ('sneaky.example.com', 'shared.example.com', '169.254.169.254', '[fd00:ec2::254]', '100.100.100.200'):\n"
        "    tried(host, get(f'http://{host}/latest/meta-data/'))\n    tried(host, connect(f'{host}:80')); tried(host, connect(f'{host}:443'))",
    ),
    "the bridge's gateway": (
        PORTS,
        ASK + "must_reach()\nfor host in ('bridge.example.com', '172.17.0.1', 'lan.example.com', '10.1.2.3'):\n"
        "    tried(host, get(f'http://{host}/'))\n    tried(host, connect(f'{host}:443')); tried(host, connect(f'{host}:8400'))",
    ),
    "the gateway's own port": (
        PORTS,
        ASK + "must_reach()\nfor host in ('loop.example.com', '127.0.0.1', 'localhost', '[::1]', '0.0.0.0'):\n"
        "    tried(host, get(f'http://{host}:8400/v1/models'))\n    tried(host, connect(f'{host}:8400'))\n"
        "for port in (8400, 80, 53):\n    try:\n        socket.create_connection(('127.0.0.1', port), 1)\n        print('BREACH direct', port)\n    except OSError: print('TRIED', port)",
    ),
    "private addresses in every notation": (
        PORTS,
        ASK + "must_reach()\nfor host in (" + ", ".join(f"'{one}'" for one in NOTATIONS) + "):\n"
        "    try:\n        tried(host, get(f'http://{host}/')); tried(host, connect(f'{host}:80'))\n        tried(host, get(f'http://{host}/', 'public.example.com'))\n"
        "    except UnicodeError: pass",
    ),
    "a name with a public and a private address": (
        ("public.example.com", "both.example.com"),
        ASK + "must_reach()\nfor _ in range(5): tried('both', get('http://both.example.com/'))",
    ),
    "a name that changes its address": (
        ("public.example.com", "rebind.example.com"),
        ASK + "must_reach()\nfor _ in range(12): tried('rebind', get('http://rebind.example.com/'))\nfor _ in range(6): tried('rebind', connect('rebind.example.com:80'))",
    ),
    "redirects to private addresses": (
        PORTS,
        ASK + "import urllib.request\nmust_reach()\nfor where in ('169.254.169.254', 'sneaky.example.com', '127.0.0.1:8400', 'loop.example.com:8400', '10.1.2.3', '2852039166', '[::1]:8400'):\n"
        "    try:\n        got = urllib.request.urlopen(f'http://public.example.com/to/{where}', timeout=6).read()\n    except Exception as error: got = repr(error).encode()\n"
        "    tried(where, got)",
    ),
    "requests that mean two things": (
        PORTS,
        ASK + "must_reach()\nPRIVATE = '169.254.169.254'\nfor data in (\n"
        "    'GET http://public.example.com@169.254.169.254/ HTTP/1.1\\r\\nHost: public.example.com\\r\\n\\r\\n',\n"
        "    'GET http://169.254.169.254#@public.example.com/ HTTP/1.1\\r\\nHost: public.example.com\\r\\n\\r\\n',\n"
        "    'GET http://169.254.169.254\\\\@public.example.com/ HTTP/1.1\\r\\nHost: public.example.com\\r\\n\\r\\n',\n"
        "    'GET http://public.example.com:80:8400/ HTTP/1.1\\r\\nHost: public.example.com\\r\\n\\r\\n',\n"
        "    'GET http://public.example.com/ HTTP/1.1\\r\\nHost: 169.254.169.254\\r\\n\\r\\n',\n"
        "    'GET http://public.example.com/ HTTP/1.1\\r\\nHost: public.example.com\\r\\nHost: 169.254.169.254\\r\\n\\r\\n',\n"
        "    'GET / HTTP/1.1\\r\\nHost: 169.254.169.254\\r\\n\\r\\n',\n"
        "    'CONNECT public.example.com:443 HTTP/1.1\\r\\nHost: 169.254.169.254:80\\r\\n\\r\\n',\n"
        "    'CONNECT http://169.254.169.254/ HTTP/1.1\\r\\nHost: public.example.com\\r\\n\\r\\n',\n"
        "    'CONNECT public.example.com:443@169.254.169.254:80 HTTP/1.1\\r\\n\\r\\n',\n"
        "    'CONNECT public.example.com:443\\0.169.254.169.254:80 HTTP/1.1\\r\\n\\r\\n',\n"
        "    'CONNECT 169.254.169.254:80 HTTP/1.1\\r\\nHost: public.example.com:443\\r\\n\\r\\n',\n"
        "    'GET http://public.example.com/ HTTP/1.1\\r\\nHost: public.example.com\\r\\n\\r\\nGET http://169.254.169.254/ HTTP/1.1\\r\\nHost: 169.254.169.254\\r\\n\\r\\n',\n"
        "    'POST http://public.example.com/ HTTP/1.1\\r\\nHost: public.example.com\\r\\nContent-Length: 0\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\nGET http://169.254.169.254/ HTTP/1.1\\r\\n\\r\\n',\n"
        "    'GET gopher://169.254.169.254/ HTTP/1.1\\r\\nHost: public.example.com\\r\\n\\r\\n', 'GET file:///etc/passwd HTTP/1.1\\r\\nHost: public.example.com\\r\\n\\r\\n',\n"
        "):\n    got = ask(data.encode('latin-1'), 4); tried(data[:50], got)\n    if b'root:' in got: print('BREACH file')",
    ),
    "headers injected": (
        ("public.example.com",),
        ASK + "must_reach()\nfor line in ('X: a\\nInjected: yes', 'X: a\\rInjected: yes', 'X\\0: a\\r\\n Injected: yes', 'X : a', 'Injected\\t: yes', ': x', 'X: a\\r\\n\\tInjected: yes'):\n"
        "    got = ask(f'GET http://public.example.com/ HTTP/1.1\\r\\nHost: public.example.com\\r\\n{line}\\r\\n\\r\\n'.encode())\n    tried(repr(line), got)\n"
        "for path in ('/a\\r\\nInjected: yes', '/a\\nInjected: yes', '/a\\0b'):\n"
        "    tried(repr(path), ask(f'GET http://public.example.com{path} HTTP/1.1\\r\\nHost: public.example.com\\r\\n\\r\\n'.encode()))",
    ),
    "another server's name in TLS": (
        ("public.example.com",),
        ASK + "import ssl\ndef hello(name):\n    s = socket.create_connection(('127.0.0.1', 3128), 5); s.settimeout(6)\n"
        "    s.sendall(b'CONNECT public.example.com:443 HTTP/1.1\\r\\nHost: public.example.com:443\\r\\n\\r\\n')\n    first = s.recv(200)\n"
        "    c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE\n"
        "    try: c.wrap_socket(s, server_hostname=name)\n    except (OSError, ssl.SSLError) as error: return first + repr(error).encode()\n    return first\n"
        "must_reach()\nfor name in ('second.example.com', 'sneaky.example.com', 'public.example.com.evil.example', 'PUBLIC.example.com.', 'public.example.com'):\n    tried(name, hello(name))",
    ),
    "a flood of connections to the proxy": (
        ("public.example.com",),
        ASK + "held = []\nfor _ in range(300):\n    try:\n        s = socket.socket(); s.settimeout(0.05); s.connect(('127.0.0.1', 3128)); s.send(b'GET http://'); held.append(s)\n"
        "    except OSError: break\nprint('TRIED', len(held))\nfor s in held: s.close()\ntime.sleep(2)\nmust_reach()\n"
        "tried('long head', ask(b'GET http://public.example.com/' + b'a' * 200_000 + b' HTTP/1.1\\r\\n\\r\\n'))\n"
        "tried('many headers', ask(b'GET http://public.example.com/ HTTP/1.1\\r\\nHost: public.example.com\\r\\n' + b'A: b\\r\\n' * 20_000 + b'\\r\\n'))\nmust_reach()",
    ),
    "names and packets past the proxy": (
        ("public.example.com",),
        ASK + "must_reach()\nfor host in ('public.example.com', 'sneaky.example.com'):\n    try:\n        socket.getaddrinfo(host, 80)\n        print('BREACH', host)\n    except OSError: print('TRIED', host)\n"
        "for address in ('93.184.215.14', '169.254.169.254', '172.17.0.1'):\n    try:\n        socket.socket(2, 2).connect((address, 53))\n        print('BREACH', address)\n    except OSError: print('TRIED', address)\n"
        "names = [l.split(':')[0].strip() for l in open('/proc/net/dev').readlines()[2:]]\nif set(names) - {'lo'}: print('BREACH', names)",
    ),
}  # fmt: skip
