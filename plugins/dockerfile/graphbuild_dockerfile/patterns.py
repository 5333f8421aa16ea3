"""Shell patterns inside `${…}`: `*` any text on one line, `?` one character, `\\` before `*`, `?` or itself; no brackets.

BuildKit turns them into regular expressions that never backtrack; Python's do, so here all but the last star are atomic:
its leftmost match ends where the same match of BuildKit's ends, in time that many stars do not multiply. A bad escape is
returned as ValueError, not raised: it is the caller who knows what to say.
"""

import re


def without_prefix(pattern: str, value: str, *, greedy: bool) -> str | ValueError:
    """The value without what the pattern matches at its start: the longest such part if greedy, else the shortest."""
    expression = _expression(pattern, greedy=greedy)
    if isinstance(expression, ValueError):
        return expression
    found = expression.match(value)
    return value[found.end() :] if found else value


def without_suffix(pattern: str, value: str, *, greedy: bool) -> str | ValueError:
    """The same at the end, by reversing both."""
    result = without_prefix(_reversed(pattern), value[::-1], greedy=greedy)
    return result if isinstance(result, ValueError) else result[::-1]


def replaced(pattern: str, value: str, replacement: str, *, every: bool) -> str | ValueError:
    """The value with the first match, or every match, of the pattern replaced."""
    expression = _expression(pattern, greedy=True)
    if isinstance(expression, ValueError):
        return expression
    if every:
        return _every(expression, value, replacement)
    return expression.sub(lambda _: replacement, value, count=1)


def _every(expression: re.Pattern[str], value: str, replacement: str) -> str:
    """As Go's ReplaceAllString: `$0` is the match, and an empty match right behind another one is none."""
    result, end = "", -1
    copied = 0
    for found in expression.finditer(value):
        if found.end() > end:
            result += value[copied : found.start()] + _filled(replacement, found[0])
            copied = end = found.end()
    return result + value[copied:]


_TEMPLATE = re.compile(r"\$(?:(\$)|\{([0-9A-Za-z_]+)\}|([0-9A-Za-z_]+))")


def _filled(template: str, match: str) -> str:
    return _TEMPLATE.sub(lambda part: "$" if part[1] else match if (part[2] or part[3]) == "0" else "", template)


def _expression(pattern: str, *, greedy: bool) -> re.Pattern[str] | ValueError:
    parts = _parts(pattern)
    if isinstance(parts, ValueError):
        return parts
    first, *rest = parts
    if not rest:
        return re.compile(first)
    star = ".*" if greedy else ".*?"
    return re.compile(first + "".join(f"(?>.*?{part})" for part in rest[:-1]) + star + rest[-1])


def _parts(pattern: str) -> list[str] | ValueError:
    """What stands between the stars, as regular expressions without stars; neighbouring stars are one."""
    parts = [""]
    at = 0
    while at < len(pattern):
        char, following = pattern[at], pattern[at + 1 : at + 2]
        at += 1
        if char == "*":
            if len(parts) == 1 or parts[-1]:
                parts.append("")
        elif char == "?":
            parts[-1] += "."
        elif char != "\\":
            parts[-1] += re.escape(char)
        elif not following or following not in "}/":
            if not following or following not in "*?\\":
                return ValueError(f"invalid escape '\\{following}'")
            parts[-1] += re.escape(following)
            at += 1
    return parts


def _reversed(pattern: str) -> str:
    """The pattern backwards, with its escapes still before what they escape."""
    return "".join(reversed(re.findall(r"\\.|.", pattern, re.DOTALL)))
