"""An engine of your own: a model that answers in Morse, served like any other."""

from collections.abc import AsyncIterator

from polyport import App
from polyport.events import Finish, TextDelta, Usage
from polyport_gateway.call import Call, CallEvent, Chat, Operation
from polyport_gateway.engines.base import BaseEngine

ALPHABET = """
A.- B-... C-.-. D-.. E. F..-. G--. H.... I.. J.--- K-.- L.-.. M-- N-. O--- P.--. Q--.- R.-. S... T- U..- V...-
W.-- X-..- Y-.-- Z--..
"""
CODE = {entry[0]: entry[1:] for entry in ALPHABET.split()}


class MorseEngine(BaseEngine):
    """Turns the last message into Morse, one letter at a time."""

    operations = frozenset({Operation.CHAT})
    # What a request may ask for besides the messages: nothing. A request with `tools` or `n` gets a clear 400.
    features: frozenset[str] = frozenset()

    async def chat(self, call: Call, chat: Chat) -> AsyncIterator[CallEvent]:
        """Answer letter by letter, so that it streams."""
        question = chat.messages()[-1].content
        letters = [CODE[letter] for letter in question.upper() if letter in CODE]
        for letter in letters:
            yield TextDelta(letter + " ")
        yield Usage(prompt_tokens=len(question.split()), completion_tokens=len(letters))
        yield Finish()


app = App("custom engine")
app.model("morse", engine=MorseEngine(), description="Answers in Morse code.")

if __name__ == "__main__":
    app.serve()
