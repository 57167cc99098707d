"""Score OCR on drawn and real pages: ``python -m tests.benchmarks.ocr [--data FOLDER] [--dpi 150 …] [--json FILE]``.

It prints the accuracy of characters (1 − edit distance ÷ length, blanks not counted), the share of words found where
the text has blanks, and milliseconds a page, by the clock and of processor time. Tesseract runs beside it where it is
on PATH (Debian: tesseract-ocr and tesseract-ocr-chi-sim). FOLDER is the documents folder whose ``ocr`` holds the real
scans. Drawing needs the package pylopdf-fonts-zh-cn.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from polyport_gateway.knowledge.layout import PageContent, arrange, block_of
from polyport_gateway.knowledge.ocr import recognise
from tests.support.drawn import page_of

ENGLISH = """Every file that a person has becomes one document that has lost nothing
and knows where each piece came from. Tables keep their real grid: row and
column spans, header rows, captions and number formats. In 2026 the share of
scanned pages was 12.5 %, or 4,318 of 34,544; 97 of them were upside down.
Write to j.smith-lee@example-mail.org, or call +1 (415) 555-0134, ext. 77.
The quick brown fox jumps over the lazy dog while five wizards box jovially.
"How much is it?" she asked. "It's $3,450.75 (VAT included)," he replied.
A reader holds no state between two files, and it reaches no network at all.""".splitlines()
CHINESE = """本合同由甲乙双方在平等自愿的基础上签订，自二〇二六年三月一日起生效。
人工智能技术正在改变世界，我们需要认真对待数据安全和个人隐私问题。
根据相关法律法规的规定，任何一方不得擅自变更或者解除本合同。
北京市海淀区中关村大街甲二十七号，邮政编码一零零零八零，联系电话如下。
本季度营业收入为三千四百五十六万元，比上年同期增长百分之十二点五。
系统支持多种文件格式的解析，包括表格、图片、公式以及扫描件的识别。
床前明月光，疑是地上霜；举头望明月，低头思故乡。春眠不觉晓，处处闻啼鸟。
请仔细阅读用户手册，按照步骤安装软件，遇到问题时联系技术支持人员。""".splitlines()
MIXED = """使用 Python 3.11 及以上版本，运行 pip install polyport 即可完成安装。
客户张伟（Tel: 138-0013-8000）于 2026-03-15 下单，金额 1,234.56 元。
模型 Qwen3-8B 在 4 张 A100 GPU 上训练，batch size 为 256，共 3 个 epoch。
GDP 同比增长 5.2%，CPI 上涨 0.3%，PMI 为 50.8，均符合市场预期。""".splitlines()
TEXTS = {"English": ENGLISH, "Chinese": CHINESE, "mixed": MIXED}
SCAN = "Docling bundles PDF document conversion to JSON and Markdown in an easy self contained package"
POINTS = 10.5


@dataclass(frozen=True)
class Case:
    """A page and what it says."""

    name: str
    image: Image.Image
    dpi: float
    text: str


def drawn(dpis: list[int]) -> Iterator[Case]:
    """A4 pages in two faces, clean and as a bad scanner gives them, and one of each on its side."""
    for dpi in dpis:
        size = round(8.27 * dpi), round(11.69 * dpi)
        pixels = round(POINTS * dpi / 72)
        for name, lines in TEXTS.items():
            repeated = lines * (32 // len(lines))
            page = page_of(repeated, size=size, pixels=pixels, step=1.5, serif=name != "mixed")
            yield Case(f"{name}, {dpi} dpi", page, dpi, "\n".join(repeated))
            yield Case(f"{name}, {dpi} dpi, poor scan", worn(page), dpi, "\n".join(repeated))
    page = page_of(ENGLISH, size=(1240, 1754), pixels=22)
    yield Case("English, 150 dpi, on its side", page.rotate(90, expand=True), 150, "\n".join(ENGLISH))


def worn(page: Image.Image) -> Image.Image:
    """Blur, slant, grey and noise."""
    page = page.rotate(1.3, Image.Resampling.BICUBIC, fillcolor="white").filter(ImageFilter.GaussianBlur(0.8))
    noise = np.random.default_rng(3).normal(0, 18, (page.height, page.width, 1))
    return Image.fromarray(np.clip(np.asarray(page) * 0.8 + 30 + noise, 0, 255).astype(np.uint8))


def scans(folder: Path) -> Iterator[Case]:
    """The real ones."""
    import pypdfium2

    for path in sorted((folder / "ocr").glob("ocr_test*.pdf")):
        page = pypdfium2.PdfDocument(path)[0].render(scale=200 / 72).to_pil()
        yield Case(path.name, page, 200, SCAN)


def ours(case: Case) -> str:
    """Recognise and arrange, as the reader does."""
    found = recognise(case.image, dpi=case.dpi)
    regions = arrange(PageContent(found.width, found.height, found.words, found.rulings))
    return "\n".join(block_of(region).text or "" for region in regions)


def tesseract(case: Case) -> str:
    """Tesseract, as it is started from a shell; ``--psm 1`` turns pages."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.png"
        case.image.save(path, dpi=(case.dpi, case.dpi))
        command = ["tesseract", str(path), "-", "-l", "chi_sim+eng", "--psm", "1"]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False).stdout


def plain(text: str) -> str:
    """Take blanks away, and what full and half width part."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def distance(one: str, other: str) -> int:
    """Return the edit distance (Levenshtein), a row at a time."""
    codes = np.array([ord(character) for character in other])
    row = np.arange(len(other) + 1)
    ramp = np.arange(len(other) + 1)
    for number, character in enumerate(one, 1):
        changed = np.minimum(row[:-1] + (codes != ord(character)), row[1:] + 1)
        row = np.minimum.accumulate(np.concatenate(([number], changed)) - ramp) + ramp
    return int(row[-1])


def score(case: Case, read: Callable[[Case], str]) -> dict[str, object]:
    """Read a page, and compare."""
    began, used = time.perf_counter(), _processor_seconds()
    text = read(case)
    seconds, used = time.perf_counter() - began, _processor_seconds() - used
    wanted, found = plain(case.text), plain(text)
    words, there = Counter(case.text.split()), Counter(text.split())
    spaced = sum(len(word) for word in words) / len(words) < 12
    return {
        "page": case.name,
        "accuracy": round(max(0.0, 1 - distance(wanted, found) / len(wanted)), 4),
        "words": round((words & there).total() / words.total(), 4) if spaced else None,
        "ms": round(1000 * seconds),
        "cpu_ms": round(1000 * used),
    }


def _processor_seconds() -> float:
    """Of this process and of those that it started."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    """Score every page with every reader that is there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, help="the documents folder")
    parser.add_argument("--dpi", type=int, nargs="*", default=[150, 200, 300])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    readers: dict[str, Callable[[Case], str]] = {"polyport": ours}
    if shutil.which("tesseract"):
        readers["tesseract"] = tesseract
    cases = [*drawn(given.dpi), *(scans(given.data) if given.data else ())]
    ours(cases[0])  # the models are loaded once a process
    rows: list[dict[str, object]] = []
    print(f"{'page':36}{'reader':12}{'accuracy':>9}{'words':>8}{'ms':>8}{'cpu ms':>8}")
    for case in cases:
        for name, read in readers.items():
            row = {"reader": name, **score(case, read)}
            rows.append(row)
            words = "–" if row["words"] is None else f"{row['words']:.4f}"
            print(
                f"{case.name:36}{name:12}{row['accuracy']:>9.4f}{words:>8}{row['ms']:>8}{row['cpu_ms']:>8}", flush=True
            )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
