"""What SandboxFusion's ``/run_code`` and ``/run_jupyter`` take and give, as its server has it."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "LANGUAGES",
    "CellResult",
    "CommandResult",
    "RunCodeAnswer",
    "RunCodeBody",
    "RunJupyterAnswer",
    "RunJupyterBody",
    "RunStatus",
]

# fmt: off
FusionLanguage: TypeAlias = Literal[
    "python", "python2", "cpp", "nodejs", "js", "go", "go_test", "java", "php", "csharp", "bash", "typescript", "ts",
    "sql", "rust", "cuda", "lua", "R", "perl", "D_ut", "ruby", "scala", "julia", "pytest", "junit", "kotlin_script",
    "jest", "verilog", "python_gpu", "lean", "swift", "racket", "gtest", "react",
]
# fmt: on

LANGUAGES = {"nodejs": "javascript", "js": "javascript", "ts": "typescript"}
"""SandboxFusion's names of languages that have another one here."""

RunStatus: TypeAlias = Literal["Success", "Failed", "SandboxError"]
Base64Files: TypeAlias = dict[str, str | None]


class RunCodeBody(BaseModel):
    """The body of ``/run_code``."""

    model_config = ConfigDict(strict=False, extra="ignore")

    code: str
    language: FusionLanguage
    compile_timeout: float = 10
    run_timeout: float = 10
    memory_limit_mb: int = Field(default=-1, alias="memory_limit_MB")
    stdin: str | None = None
    files: Base64Files = Field(default_factory=dict)
    fetch_files: list[str] = Field(default_factory=list)
    args: list[str] = Field(default_factory=list)


class RunJupyterBody(BaseModel):
    """The body of ``/run_jupyter``."""

    cells: list[str]
    cell_timeout: float = Field(default=0, ge=0)
    total_timeout: float = Field(default=45, gt=0)
    kernel: Literal["python3"] = "python3"
    files: Base64Files = Field(default_factory=dict)
    fetch_files: list[str] = Field(default_factory=list)


class CommandResult(BaseModel):
    """What came of one command."""

    status: Literal["Finished", "Error", "TimeLimitExceeded"]
    execution_time: float | None = None
    cpu_time: float | None = None
    return_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None


class CellResult(BaseModel):
    """What came of one cell."""

    stdout: str = ""
    stderr: str = ""
    display: list[dict[str, Any]] = Field(default_factory=list)
    error: list[dict[str, Any]] = Field(default_factory=list)


class RunCodeAnswer(BaseModel):
    """The answer of ``/run_code``."""

    status: RunStatus
    message: str = ""
    compile_result: CommandResult | None = None
    run_result: CommandResult | None = None
    executor_pod_name: str | None = None
    files: dict[str, str] = Field(default_factory=dict)


class RunJupyterAnswer(BaseModel):
    """The answer of ``/run_jupyter``."""

    status: RunStatus
    message: str = ""
    driver: CommandResult | None = None
    cells: list[CellResult] = Field(default_factory=list)
    executor_pod_name: str | None = None
    files: dict[str, str] = Field(default_factory=dict)
