"""What can be read and written of the machine."""

from __future__ import annotations

from .case import READ, Attack

__all__ = ["HOST_SECRETS"]

NETWORK = "about the network, which is left out for others: the daemons here have none to give"

HOST_SECRETS = [
    Attack(
        "the kernel's memory, addresses and keys",
        "empty or closed",
        READ + "look('/proc/kcore', '/proc/keys', '/proc/sched_debug', '/proc/timer_list', '/proc/config.gz',\n"
        "     '/proc/slabinfo', '/proc/modules', '/etc/shadow', '/dev/mem', '/dev/kmsg', '/proc/vmallocinfo')",
    ),
    Attack("kallsyms", "empty or closed", READ + "look('/proc/kallsyms', '/boot/System.map')"),
    Attack(
        "/sys: firmware, kernel, modules, power",
        "empty or closed",
        READ
        + "import os\nfor top in ('/sys/firmware', '/sys/kernel', '/sys/module', '/sys/devices/virtual/powercap'):\n"
        "    print('TRIED', top)\n    try: names = os.listdir(top)\n    except OSError: continue\n"
        "    if names: print('BREACH', top, names[:5])\nlook('/sys/kernel/notes', '/sys/firmware/dmi/tables/DMI')",
    ),
    Attack(
        "writing to the root, /proc and /sys",
        "refused everywhere",
        "for p in /x /etc/x /usr/x /dev/x /run/x /var/x /proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches"
        " /sys/fs/cgroup/x /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/release_agent; do\n"
        "  echo TRIED; test -e $p || test $(basename $p) = x || continue\n"
        "  if (: >> $p) 2>/dev/null; then echo BREACH $p; fi; done; true",
        language="bash",
    ),
    Attack(
        "making cgroups, for their release_agent",
        "none can be made, and none has an agent that can be set",
        "for d in /sys/fs/cgroup /sys/fs/cgroup/*; do echo TRIED; mkdir $d/x 2>/dev/null && echo BREACH $d && rmdir $d/x\n"
        "  test -w $d/release_agent && echo BREACH $d/release_agent; done; true",
        language="bash",
    ),
    Attack(
        "docker.sock and other sockets of the host",
        "there are none",
        "find / -xdev -type s 2>/dev/null | sed 's/^/BREACH /'; test -e /var/run/docker.sock && echo BREACH; echo TRIED",
        language="bash",
    ),
    Attack(
        "device nodes",
        "none can be made, and no disk is there",
        "mknod /tmp/sda b 8 0 2>/dev/null && echo BREACH block && rm /tmp/sda\nmknod /tmp/mem c 1 1 2>/dev/null && echo BREACH char\n"
        "find /dev -type b | sed 's/^/BREACH /'; echo TRIED",
        language="bash",
    ),
    Attack(
        "mounts of the host",
        "nothing of the host's is mounted, the root can't be written",
        "import os\nprint('TRIED')\nfor line in open('/proc/mounts'):\n    device, where, kind, options = line.split()[:4]\n"
        "    if where == '/' and 'ro' not in options.split(','): print('BREACH the root is writable')\n"
        "    names = where in ('/etc/hostname', '/etc/hosts', '/etc/resolv.conf')  # Docker's own, of this container\n"
        "    if kind in ('ext4', 'xfs', 'btrfs') and where != '/' and not names: print('BREACH', where)\n"
        "    if names and os.access(where, os.W_OK): print('BREACH', where, 'is writable')",
    ),
    Attack(
        "environment",
        "nothing of the host's or the service's",
        "import os\nprint('TRIED')\nwelcome = {'PATH', 'HOME', 'TMPDIR', 'LANG', 'PYTHONDONTWRITEBYTECODE', 'LC_CTYPE',"
        " 'PYTHONUNBUFFERED', 'HOSTNAME', 'MPLBACKEND', 'MPLCONFIGDIR'}\n"
        "rest = {n for n in os.environ if n not in welcome and not n.startswith('POLYPORT_TOOL')}\nif rest: print('BREACH', rest)",
    ),
    Attack(
        "a network",
        "no interface but loopback, no route",
        "import os\nprint('TRIED', flush=True)\n"
        "names = [l.split(':')[0].strip() for l in open('/proc/net/dev').readlines()[2:]]\n"
        "if set(names) - {'lo'}: print('BREACH', names)\n"
        "if len(open('/proc/net/route').readlines()) > 1: print('BREACH route')",
        own=NETWORK,
    ),
    Attack(
        "routes to the metadata address, a bridge's gateway and a resolver",
        "there are none (looked up only: connecting a UDP socket sends nothing)",
        "import socket\nfor family, address in ((2, '169.254.169.254'), (2, '172.17.0.1'), (2, '192.168.65.2'), (2, '10.0.2.2'),\n"
        "        (10, 'fd00:ec2::254')):\n    print('TRIED', address)\n"
        "    try:\n        socket.socket(family, 2).connect((address, 53))\n        print('BREACH', address)\n    except OSError: pass",
        own=NETWORK,
    ),
    Attack(
        "abstract sockets of the host",
        "none can be seen",
        "import os\nprint('TRIED')\nif len(open('/proc/net/unix').readlines()) > 1: print('BREACH')",
    ),
]
