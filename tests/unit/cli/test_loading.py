import pytest

from polyport.errors import ConfigurationError, DeclarationError, MissingDependencyError
from polyport_gateway.cli.loading import load_app, watched_folder

HEAD = "from polyport import App\napp = App('demo')\n"


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(tmp_path, text, name="app.py"):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("target", [None, "app.py", "app.py:app", "./app.py", "app", "app:app"])
def test_ways_to_name_an_app(tmp_path, target):
    write(tmp_path, HEAD)
    assert load_app(target).name == "demo"


def test_a_file_may_import_its_neighbours_and_be_named_like_a_module(tmp_path):
    write(tmp_path, "VALUE = 'from next door'", "sub/neighbour_of_app.py")
    write(tmp_path, "from polyport import App\nfrom neighbour_of_app import VALUE\napp = App(VALUE)", "sub/json.py")
    assert load_app("sub/json.py").name == "from next door"
    import json

    assert json.loads("1") == 1


def test_an_alias_is_the_same_app(tmp_path):
    write(tmp_path, HEAD + "application = app\n")
    assert load_app("app.py").name == "demo"


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("def f(:\n    pass\n", "app.py", "app.py, line 1: invalid syntax\n    def f(:\n          ^"),
        ("a = 1\n", "app.py", 'app.py has no App; write app = App("name")'),
        (HEAD + "b = App('x')\n", "app.py", "several apps; name one: app.py:app, app.py:b"),
        (HEAD, "app.py:nope", "app.py has no 'nope'; its apps are: app"),
        (HEAD + "n = 3\n", "app.py:n", "'n' in app.py is a int, not an App; its apps are: app"),
        ("import nosuchthing\n", "app.py", "ModuleNotFoundError: No module named 'nosuchthing'"),
        ("import nosuchthing\n", "app", "ModuleNotFoundError: No module named 'nosuchthing'"),
        ("def g():\n    raise ValueError('no luck')\ng()\n", "app.py", "in g\n    raise ValueError('no luck')"),
        ("import sys\nsys.exit(1)\n", "app.py", "ends the program"),
        (HEAD, "missing.py", "there is no file missing.py"),
        (HEAD, "missing", "there is no module 'missing'"),
        (HEAD, ".", ". is a folder"),
        (HEAD, "./app.txt", "there is no file app.txt"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, target, message):
    write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        load_app(target)
    assert message in str(caught.value)
    assert "importlib" not in str(caught.value)
    assert "polyport_gateway" not in str(caught.value)


def test_a_syntax_error_next_door_names_that_file(tmp_path):
    write(tmp_path, "x = (\n", "broken_neighbour.py")
    write(tmp_path, "import broken_neighbour\n")
    with pytest.raises(ConfigurationError, match=r"broken_neighbour.py, line 1"):
        load_app("app.py")


def test_a_wrong_registration_says_where(tmp_path):
    body = "@app.function\ndef f(): ...\n@app.function('f')\ndef g(): ...\n"
    write(tmp_path, HEAD + body)
    with pytest.raises(DeclarationError, match=r"app.py, line 5: the name 'f' is registered already"):
        load_app("app.py")


def test_a_missing_extra_keeps_its_pip_line(tmp_path):
    write(tmp_path, "from polyport import MissingDependencyError\nraise MissingDependencyError('x', extra='litellm')\n")
    with pytest.raises(MissingDependencyError, match=r"polyport\[litellm\]"):
        load_app("app.py")


def test_no_app_named_and_none_there():
    with pytest.raises(ConfigurationError, match=r"neither app.py nor polyport_app.py"):
        load_app(None)


def test_interrupting_an_import_interrupts(tmp_path):
    write(tmp_path, "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_app("app.py")


def test_watched_folder(tmp_path):
    write(tmp_path, HEAD, "sub/app.py")
    assert watched_folder("sub/app.py:app") == tmp_path / "sub"
    assert watched_folder("package.module:app") == tmp_path
