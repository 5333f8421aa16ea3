"""What is said of a failed action: where it was declared, what it did, its last words, where all of them are, how to look inside."""

from graphbuild.ui.terminal import Line
from graphbuild.ui.text import clean, duration
from graphbuild.values.events import ActionFinished, Failure

_TAIL = 20  # lines of output shown
_COMMAND = 6  # lines of the command shown


def failure_block(event: ActionFinished, bad: str, bar: str) -> list[Line]:
    """The lines for a failed action. `bad` and `bar` are the marks in front of the title and the output."""
    failure = event.failure or Failure()
    title: Line = (("bad", f"{bad} {clean(event.label)} {clean(event.action)}"), ("", f" failed after {duration(event.seconds)}"))
    lines: list[Line] = [title]
    if failure.declared:
        lines.append((("", f"  declared at {clean(failure.declared)}"),))
    if failure.text:
        lines.append((("", f"  instruction: {clean(failure.text)}"),))
    lines += _command(failure.command)
    first, *others = failure.problems or (event.reason,)
    lines += [(("", f"  {why}"),) for why in (_why(first, failure.exit_code), *map(clean, others)) if why]
    tail = failure.output[-_TAIL:]
    if tail:
        lines.append((("", "  last lines of output:"),))
        lines += [(("dim", f"  {bar} "), ("", clean(line))) for line in tail]
    if failure.log:
        lines.append((("", f"  all output: {clean(failure.log)}"),))
    if failure.command:
        lines.append((("", f"  look inside: graphbuild shell {_word(clean(event.label))}"),))
    return lines


def _command(command: str) -> list[Line]:
    texts = [clean(text) for text in command.strip("\n").split("\n")] if command.strip() else []
    if len(texts) > _COMMAND:
        texts = [*texts[: _COMMAND - 1], f"({len(texts) - _COMMAND + 1} more lines)"]
    return [(("", f"  {'command:' if not number else '        '} {text}"),) for number, text in enumerate(texts)]


def _why(reason: str, exit_code: int | None) -> str:
    known = f"exit code {exit_code}" if exit_code is not None else ""
    if known in reason:
        return clean(reason)
    return f"{known}: {clean(reason)}" if reason else known


def _word(label: str) -> str:
    """The label as one word of a shell."""
    return label if not set(label) & set("[]*?$`\"'\\ ;&|<>(){}!#~") else "'" + label.replace("'", "'\\''") + "'"
