"""Try a new image out where it will be used: in the hardened sandbox itself."""

from __future__ import annotations

from polyport_sandbox.errors import SandboxError
from polyport_sandbox.types import Language, Limits

from .recipe import Recipe

__all__ = ["try_out"]

_PYTHON = """
import json, os, sqlite3, ssl, zoneinfo
assert os.path.realpath("/mnt/data") == os.getcwd() == "/work", os.getcwd()
for folder in ("/mnt/data", "/home/user", "/home/sandbox"):
    open(os.path.join(folder, "x"), "w").close()
"""
# Warnings are errors: a missing glyph is one.
_MATPLOTLIB = """
import warnings
warnings.simplefilter("error")
import matplotlib.pyplot as plt
plt.title("Umsatz, 销售额, −1")
plt.plot([1, 2])
plt.savefig("/tmp/x.png")
"""
_IMPORTS = {"matplotlib": _MATPLOTLIB, "numpy": "import numpy", "pandas": "import pandas", "scipy": "import scipy"}


def _programs(recipe: Recipe) -> list[tuple[Language, str]]:
    python = Language("python", "main.py", ("python3", "-u", "main.py"))
    known = [_IMPORTS[name] for name in recipe.python if name in _IMPORTS]
    programs = [(python, "\n".join([_PYTHON, *known])), (Language("bash", "main.sh", ("bash", "main.sh")), "cd ~")]
    if "nodejs" in recipe.debian:
        programs.append((Language("javascript", "main.js", ("node", "main.js")), 'require("fs"); new Intl.Collator()'))
    return programs


async def try_out(image: str, recipe: Recipe, *, socket: str) -> None:
    """Run a few lines of each language.

    Raises:
        SandboxError: If they don't run, with what was said.
    """
    from polyport_sandbox.sandbox import Sandbox

    limits = Limits(wall_s=120, memory_mb=1024)
    programs = _programs(recipe)
    languages = tuple(language for language, _ in programs)
    async with Sandbox("docker", image=image, socket=socket, pool_size=0, languages=languages) as box:
        for language, code in programs:
            result = await box.run(code, language=language.name, limits=limits)
            if result.status != "ok" or result.stderr:  # a complaint at each start would be everybody's
                said = result.stderr_text.strip()[-800:] or result.detail or "it said nothing"
                raise SandboxError(f"The new image fails its trial in {language.name} ({result.status}): {said}")
