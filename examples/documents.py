"""Files read as documents and cut into chunks: by a client, by path, and as an agent's tool. Runs offline."""

import tempfile
from pathlib import Path

from polyport import App, Client
from polyport.errors import BadRequestError, NotFoundError

PRICES = """<h1>Prices</h1>
<table>
  <tr><th>Drink</th><th>Small</th><th>Large</th></tr>
  <tr><th>Tea</th><td>2</td><td>3</td></tr>
  <tr><th>Coffee</th><td colspan="2">sold out</td></tr>
</table>
<h2>Hours</h2>
<p>We open at eight. We close when the last guest has left.</p>
"""


def main(folder: Path) -> None:
    (folder / "prices.html").write_text(PRICES, encoding="utf-8")
    app = App("library")
    app.documents(folders=[folder])

    with Client(app) as client:
        found = client.documents.read(folder / "prices.html")
        print(found.text)
        if found.receipt is not None:
            print(f"{found.receipt.blocks} blocks, {found.receipt.tables} table, left out: {found.receipt.skipped}")

        for chunk in client.documents.chunk(folder / "prices.html", with_="ByHeading() | Sentences()").data:
            print(f"chunk {chunk.index}: {' › '.join(chunk.heading_path)}")

        # What an agent does: the tool reads by path, in the folders that the app names and nowhere else.
        part = client.functions.call("read_document", path="prices.html", to="text", max_characters=200)
        print("tool:", part["total_characters"], "characters, next:", part["next_offset"])
        try:
            client.functions.call("read_document", path="../../etc/passwd")
        except NotFoundError as error:
            print("refused:", error.code)
        try:
            client.documents.read(b"PK\x03\x04 and no more", name="broken.docx")
        except BadRequestError as error:
            print("refused:", error.code)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder))
