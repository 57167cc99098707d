"""Untrusted code, run where it can do no harm. It needs Docker and the sandbox's image (polyport sandbox build)."""

from polyport import App, Client, FunctionError

app = App("sandboxed")
app.sandbox("docker", code_mode=True, limits={"wall_s": 10, "memory_mb": 256})


@app.function
def price(product: str) -> float:
    """Look up the price of a product."""
    return {"tea": 3.5, "cake": 4.0}[product]


@app.function(sandboxed=True, limits={"wall_s": 5})
def evaluate(formula: str, values: dict[str, float]) -> float:
    """Work out a formula that somebody typed in."""
    # Each call is alone in a container without network: whatever the formula does, it does to nobody else.
    try:
        return float(eval(formula, {}, dict(values)))
    except SyntaxError as error:
        raise FunctionError(f"That is no formula: {error.msg}") from error


def main() -> None:
    with Client(app) as client:
        result = client.sandbox.run("print(open('in.txt').read().upper())", files={"in.txt": "hello"})
        print("run:", result.status, result.stdout.strip())

        with client.sandbox.session() as session:
            session.run("import math\nradius = 2")
            print("session:", session.run("round(math.pi * radius ** 2, 2)").result)

        stopped = client.sandbox.run("while True: pass", limits={"wall_s": 1})
        print("endless:", stopped.status)

        print("sandboxed function:", client.functions.call("evaluate", formula="a * b + 1", values={"a": 6, "b": 7}))

        code = "from polyport_tools import price\nprint(sum(price(product=p) for p in ('tea', 'cake')))"
        print("code mode:", client.functions.call("run_code_with_tools", code=code)["stdout"].strip())


if __name__ == "__main__":
    main()
