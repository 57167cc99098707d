"""What a caller asks, as readers and chunkers take it."""

import pytest

from polyport import App
from polyport.declarations import DocumentsDeclaration
from polyport.errors import ConfigurationError, DeclarationError, UnsupportedParameterError
from polyport_gateway.knowledge import Auto, ByHeading, Pipeline, Sentences
from polyport_gateway.knowledge.chunkers.spec import ChunkerSpecError
from polyport_gateway.reading.options import chunker_of, read_options
from polyport_gateway.reading.plan import make_plan
from polyport_gateway.settings import Settings


def test_options_that_were_left_out_are_the_readers_own():
    assert read_options(strict=None, password="x", encoding=None).password == "x"
    with pytest.raises(UnsupportedParameterError, match="no option 'warp'"):
        read_options(warp=9)
    with pytest.raises(UnsupportedParameterError):
        read_options(read=print)


def test_a_limit_goes_where_none_is_said():
    assert chunker_of(None, max_tokens=99) == Auto(max_tokens=99)
    step = chunker_of("ByHeading() | Sentences() | Sentences(max_tokens=20)", max_tokens=99)
    assert step == Pipeline((ByHeading(), Sentences(max_tokens=99), Sentences(max_tokens=20)))
    with pytest.raises(ChunkerSpecError, match="too small"):
        chunker_of("Sentences()", max_tokens=1)


def test_a_model_goes_to_the_steps_that_name_none():
    class Owl:
        name = "owl"

        def complete(self, prompts):
            return list(prompts)

    step = chunker_of("ByHeading() | Summary()", model="owl", models={"owl": Owl()})
    assert step.steps[1].model.name == "owl"
    with pytest.raises(ChunkerSpecError, match="needs model"):
        chunker_of("Summary()", models={"owl": Owl()})
    with pytest.raises(ChunkerSpecError, match="no model"):
        chunker_of("Summary()", model="crow", models={"owl": Owl()})


def test_a_tokenizer_counts_for_steps_that_have_none():
    from polyport_gateway.knowledge import read

    document = read(b"# Tea\n\nHot.", "tea.md").document
    step = chunker_of("ByHeading()", tokenizer="estimate")
    assert step.counter().name.startswith("estimate")
    plain = ByHeading().chunk(document)
    counted = step.chunk(document)
    assert [chunk.text for chunk in counted] == [chunk.text for chunk in plain]
    assert counted[0].tokens == step.counter().count(counted[0].text)
    with pytest.raises(ChunkerSpecError, match="no tokenizer"):
        chunker_of("Sentences()", tokenizer="/etc/passwd")


def test_the_operators_settings_win(tmp_path):
    declared = DocumentsDeclaration(folders=(str(tmp_path),), workers=3, tools=False)
    assert make_plan(None, Settings()) is None
    assert make_plan(declared, Settings(documents=False)) is None
    assert make_plan(declared, Settings(documents="none")) is None
    plan = make_plan(declared, Settings(documents_workers=5))
    assert (plan.workers, plan.tools, plan.folders, plan.memory_mb) == (5, False, (tmp_path.resolve(),), 2048)
    assert make_plan(None, Settings(documents="true", documents_folders=f"{tmp_path},{tmp_path}")).folders
    with pytest.raises(ConfigurationError, match="is no folder"):
        make_plan(None, Settings(documents=True, documents_folders=(str(tmp_path / "nothing"),)))


def test_a_declaration_that_cant_be():
    app = App("x")
    with pytest.raises(DeclarationError, match="list of folders"):
        app.documents(folders="docs")
    with pytest.raises(DeclarationError, match="workers is 0"):
        app.documents(workers=0)
    app.documents()
    with pytest.raises(DeclarationError, match="already"):
        app.documents()
