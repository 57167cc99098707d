"""Call everything in the quickstart with the unmodified `openai` package.

polyport serve examples/quickstart.py
python examples/openai_client.py
"""

import sys

from openai import NotFoundError, OpenAI


def main(url: str = "http://127.0.0.1:8400") -> None:
    # On loopback no key is asked for; the package wants one all the same.
    client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)

    print("names:", ", ".join(model.id for model in client.models.list()))

    # A model.
    answer = client.chat.completions.create(model="parrot", messages=[{"role": "user", "content": "Hello, 你好!"}])
    print("parrot:", answer.choices[0].message.content)

    # A function, under its name: the message carries its arguments.
    answer = client.chat.completions.create(model="add", messages=[{"role": "user", "content": '{"a": 1, "b": 2}'}])
    print("add:", answer.choices[0].message.content)

    # A knowledge base: the answer is taken from its documents, and says from where.
    answer = client.chat.completions.create(
        model="handbook", messages=[{"role": "user", "content": "How is travel by train booked?"}]
    )
    print("handbook:", answer.choices[0].message.content)
    titles = {annotation.url_citation.title for annotation in answer.choices[0].message.annotations or []}
    print("  from", ", ".join(sorted(titles)))

    # A pipeline, streamed.
    print("desk: ", end="")
    with client.chat.completions.create(
        model="desk", messages=[{"role": "user", "content": "When is lunch?"}], stream=True
    ) as chunks:
        for chunk in chunks:
            if chunk.choices:
                print(chunk.choices[0].delta.content or "", end="")
    print()

    # An agent, through the Responses API. The echo engine calls the tools that a message spells out.
    response = client.responses.create(model="helper", input='/tool add {"a": 20, "b": 22}')
    print("helper:", response.output_text)

    try:
        client.chat.completions.create(model="nobody", messages=[{"role": "user", "content": "?"}])
    except NotFoundError as error:
        print("nobody:", error.status_code, error.code)


if __name__ == "__main__":
    main(*sys.argv[1:2])
