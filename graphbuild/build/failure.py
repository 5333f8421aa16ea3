"""Failures of actions: what a step that failed says."""

import shlex

from graphbuild.sandbox.job import Outcome
from graphbuild.values.errors import EXIT_FAILED, GraphbuildError, Problem

_SIGNALS = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM"}


def step_failed(argv: tuple[str, ...], outcome: Outcome, timeout: float) -> GraphbuildError:
    """The error of a step that ended otherwise than with exit code 0."""
    return GraphbuildError(Problem(_why(outcome, timeout), notes=(f"command: {shlex.join(argv)}", *outcome.notes)), exit_code=EXIT_FAILED)


def _why(outcome: Outcome, timeout: float) -> str:
    if outcome.reason == "timeout":
        return f"timed out after {timeout:g} s"
    if outcome.reason == "memory":
        return "ran out of the memory it is allowed"
    if outcome.exit_code > 128 and (signal := _SIGNALS.get(outcome.exit_code - 128)):
        return f"exit code {outcome.exit_code} ({signal})"
    meaning = {126: " (found, but not executable)", 127: " (command not found)"}.get(outcome.exit_code, "")
    return f"exit code {outcome.exit_code}{meaning}"
