"""Office formats, read from their own XML with the standard library alone.

Only the binary XLS needs a package (xlrd), and what is protected by a password (msoffcrypto-tool, cryptography).

docling's backends were measured and not taken. Its converter (docling-slim 2.143) imports torch; its backends alone
take 1.7 s and 130 MiB to import. And they lose what must stay: the second row of a marked header, number formats and
dates as shown, cells whose formula has no stored result, which sheets are hidden, hidden text.
"""
