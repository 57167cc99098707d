"""The same calls with no server: the gateway runs inside this process."""

from polyport import App, Client, FunctionError

app = App("embedded")


@app.function
def divide(dividend: float, divisor: float) -> float:
    """Divide one number by another."""
    if divisor == 0:
        # The message of a FunctionError reaches the caller; any other exception's stays in the log.
        raise FunctionError("Nothing can be divided by zero.")
    return dividend / divisor


app.model("parrot", engine="echo")


def main() -> None:
    with Client(app) as client:
        print("divide:", client.functions.call("divide", dividend=1, divisor=4))
        print("parrot:", client.chat("parrot", "Hello!").choices[0].message.content)
        try:
            client.functions.call("divide", dividend=1, divisor=0)
        except FunctionError as error:
            print("refused:", error.message)


if __name__ == "__main__":
    main()
