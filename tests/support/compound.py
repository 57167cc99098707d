"""Writes compound files (MS-CFB), the container of Outlook's messages and of Office's older formats."""

from __future__ import annotations

import struct

__all__ = ["compound"]

_SECTOR, _MINI, _CUTOFF = 512, 64, 4096
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def compound(tree):
    """Return a compound file; a folder is a dict of its entries, a stream is bytes."""
    entries, streams = [], []
    _add(entries, streams, "Root Entry", tree, 5)
    fat, sectors, mini_fat, mini = [], [], [], b""

    def chain(data):
        count = -(-len(data) // _SECTOR)
        start = len(sectors)
        sectors.extend(data[i * _SECTOR : (i + 1) * _SECTOR].ljust(_SECTOR, b"\0") for i in range(count))
        fat.extend([*range(start + 1, start + count), _END] if count else [])
        return start if count else _END

    for index, data in streams:
        if len(data) >= _CUTOFF:
            entries[index]["start"] = chain(data)
        elif data:
            count, start = -(-len(data) // _MINI), len(mini) // _MINI
            mini += data.ljust(count * _MINI, b"\0")
            mini_fat += [*range(start + 1, start + count), _END]
            entries[index]["start"] = start
    entries[0].update(start=chain(mini), size=len(mini))
    packed_mini_fat = struct.pack(f"<{len(mini_fat)}L", *mini_fat)
    packed_mini_fat += b"\xff" * (-len(packed_mini_fat) % _SECTOR)
    first_mini_fat = chain(packed_mini_fat)
    directory = b"".join(_packed(entry) for entry in entries)
    first_directory = chain(directory.ljust(-(-len(directory) // _SECTOR) * _SECTOR, b"\0"))
    fat_sectors = 1
    while (len(fat) + fat_sectors) * 4 > fat_sectors * _SECTOR:
        fat_sectors += 1
    places = range(len(sectors), len(sectors) + fat_sectors)
    fat += [_FAT] * fat_sectors
    packed = struct.pack(f"<{len(fat)}L", *fat)
    packed += b"\xff" * (fat_sectors * _SECTOR - len(packed))
    header = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH6xLLLLLLLLL",
        0x3E, 3, 0xFFFE, 9, 6, 0, fat_sectors, first_directory, 0, _CUTOFF, first_mini_fat,
        len(packed_mini_fat) // _SECTOR, _END, 0)  # fmt: skip
    header += struct.pack("<109L", *[*places, *[_FREE] * (109 - fat_sectors)])
    return header + b"".join(sectors) + packed


def _add(entries, streams, name, value, kind):
    index = len(entries)
    entries.append({"name": name, "kind": kind, "child": _FREE, "left": _FREE, "right": _FREE, "start": 0, "size": 0})
    if kind == 2:
        entries[index].update(size=len(value), start=_END)
        streams.append((index, value))
        return index
    children = sorted(value.items(), key=lambda item: (len(item[0]), item[0].upper()))
    numbers = [_add(entries, streams, key, inner, 1 if isinstance(inner, dict) else 2) for key, inner in children]
    entries[index]["child"] = _balanced(entries, numbers)
    return index


def _balanced(entries, numbers):
    if not numbers:
        return _FREE
    middle = len(numbers) // 2
    entries[numbers[middle]].update(
        left=_balanced(entries, numbers[:middle]), right=_balanced(entries, numbers[middle + 1 :])
    )
    return numbers[middle]


def _packed(entry):
    name = entry["name"].encode("utf-16-le")
    return name.ljust(64, b"\0") + struct.pack(
        "<HBBLLL16xL16xLQ", len(name) + 2, entry["kind"], 1, entry["left"], entry["right"], entry["child"], 0,
        entry["start"], entry["size"],
    )  # fmt: skip
