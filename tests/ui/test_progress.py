"""The displays, as a terminal shows them and as a log holds them."""

import io
import itertools
import os

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbuild.ui.progress import is_terminal, progress, wants_color
from graphbuild.ui.terminal import size_of
from graphbuild.ui.together import Together
from graphbuild.values.events import (
    ActionFinished,
    ActionOutput,
    ActionProgress,
    ActionStarted,
    ActionWaiting,
    BuildFinished,
    BuildStarted,
    Exported,
    Failure,
    Message,
)

FAILURE = Failure("web/build.yaml:12", "pip install -r x\npip check", 1, tuple(f"line {n}" for n in range(30)), "/store/log/x.log")
STARTED = BuildStarted(1, "/ws", ("//web:web",), 4, 40)


class Stream(io.StringIO):
    """A stream of an encoding that may be a terminal. (StringIO's own `encoding` is None.)"""

    encoding = "utf-8"

    def __init__(self, *, tty=False):
        super().__init__()
        self.tty = tty

    def isatty(self):
        return self.tty


class Terminal(Stream):
    """A stream shown by an emulator, in place of a terminal. `lines` is the screen and what scrolled off it."""

    def __init__(self, columns=60, rows=10):
        super().__init__(tty=True)
        self.size = (columns, rows)
        self.screen = pyte.HistoryScreen(columns, rows, history=1000)
        self.screen.set_mode(pyte.modes.LNM)  # as a terminal's driver does: \n is \r\n
        self.emulator = pyte.Stream(self.screen)
        self.writes = 0

    def write(self, text):
        self.writes += 1
        self.emulator.feed(text)
        return super().write(text)

    def lines(self):
        rows = ["".join(row[column].data for column in range(self.size[0])).rstrip() for row in self.screen.history.top]
        rows += [row.rstrip() for row in self.screen.display]
        while rows and not rows[-1]:
            rows.pop()
        return rows


def live(terminal, *, color=False):
    return progress("tty", terminal, color=color, terminal=lambda: terminal.size, environ={})


def feed(display, *events, now=0.0):
    for event in events:
        display.handle(event, now)


def text_of(mode, *events, color=False):
    stream = Stream()
    display = progress(mode, stream, color=color, terminal=lambda: (80, 24), environ={})
    feed(display, *events)
    display.tick(1)
    display.close()
    return stream.getvalue()


def test_the_live_region_shows_what_runs():
    terminal = Terminal()
    display = live(terminal)
    feed(display, STARTED, *(ActionFinished(f"//base:{n}", "layer", "cached") for n in range(5)))
    feed(display, ActionStarted("//web:deps", "run", 0.0, 1), ActionStarted("//web:code", "run", 1.0, 2))
    feed(display, ActionStarted("//web:fetch", "get", 1.5, 3), ActionStarted("//:site", "run", 2.0, 4))
    feed(display, ActionOutput("//web:deps", "run", "Collecting a\n\x1b[31mCollecting\x1b[0m b\n\n"))
    feed(display, ActionProgress("//web:fetch", "get", 12_000_000, 48_000_000, "download"))
    feed(display, ActionWaiting("//:site", "run", "another build makes it"))
    display.tick(12.0)
    assert terminal.lines() == [
        "[5/40] 4 running · 5 cached · 0:12",
        "  //web:deps run 12s │ Collecting b",
        "  //web:code run 11s",
        "  //web:fetch get 10s │ download 12 MB of 48 MB (25%)",
        "  //:site run 10s │ waits: another build makes it",
    ]


def test_what_was_built_scrolls_away_and_nothing_else_stays():
    terminal = Terminal(rows=6)
    display = live(terminal)
    feed(display, STARTED)
    for number in range(20):
        label = f"//web:s{number}"
        feed(display, ActionStarted(label, "run", number, 1), now=number)
        display.tick(number + 0.5)
        feed(display, ActionFinished(label, "run", "built", seconds=0.5), now=number + 0.6)
    feed(display, Exported("//web:web", "dist", "oci", 1, ""), BuildFinished("ok", 20, 0, 0, 0, 20), now=20)
    display.close()
    assert terminal.lines() == [f"✓ //web:s{number} run 0.5s" for number in range(20)]


def test_more_running_actions_than_rows_are_counted():
    terminal = Terminal(rows=5)
    display = live(terminal)
    feed(display, STARTED, *(ActionStarted(f"//web:s{n}", "run", 0.0, n) for n in range(9)))
    display.tick(1)
    assert terminal.lines() == ["[0/40] 9 running · 0:01", "  //web:s0 run 1.0s", "  //web:s1 run 1.0s", "  … and 7 more"]
    display.close()
    assert terminal.lines() == []


def test_it_is_drawn_at_most_ten_times_a_second_and_not_at_all_for_a_quick_build():
    terminal = Terminal()
    display = live(terminal)
    feed(display, STARTED, ActionStarted("//:a", "run", 0.0, 1), now=0.01)
    assert terminal.writes == 0
    for number in range(1000):
        feed(display, ActionOutput("//:a", "run", f"{number}\n"), now=number / 1000)
    assert terminal.writes <= 10
    quick = Terminal()
    display = live(quick)
    feed(display, STARTED, ActionFinished("//:a", "run", "cached"), BuildFinished("ok", 0, 1, 0, 0, 0.02), now=0.02)
    display.close()
    assert quick.getvalue() == ""


def test_lines_follow_a_terminal_that_is_resized():
    terminal = Terminal(columns=60, rows=12)
    display = live(terminal)
    feed(display, STARTED, ActionStarted("//web:deps", "run", 0.0, 1), ActionOutput("//web:deps", "run", "x" * 200 + "\n"))
    display.tick(1)
    assert terminal.lines()[1] == "  //web:deps run 1.0s │ " + "x" * 34 + "…"
    narrow = Terminal(columns=30, rows=12)  # what a terminal that wraps makes of it: 2 lines of 59 and 24 cells in 3 rows
    narrow.emulator.feed("[0/40] 1 running · 0:01\n" + terminal.lines()[1][:30] + terminal.lines()[1][30:] + "\n")
    terminal.screen, terminal.emulator, terminal.size = narrow.screen, narrow.emulator, narrow.size
    display.tick(2)
    assert terminal.lines() == ["[0/40] 1 running · 0:02", "  //web:deps run 2.0s │ xxxx…"]


def test_wide_characters_do_not_wrap():
    terminal = Terminal(columns=31, rows=6)
    display = live(terminal)
    feed(display, STARTED, ActionStarted("//日本:語", "run", 0.0, 1), ActionOutput("//日本:語", "run", "全角文字の長い出力\r"))
    for now in (1, 2, 3):
        display.tick(now)
    assert len(terminal.lines()) == 2
    assert terminal.lines()[1].endswith("…")


def test_a_terminal_of_no_size_is_taken_for_a_usual_one():
    terminal = Terminal(columns=80, rows=24)
    display = progress("tty", terminal, color=False, terminal=lambda: (0, 0), environ={})
    feed(display, STARTED, ActionStarted("//:a", "run", 0.0, 1))
    display.tick(1)
    assert terminal.lines() == ["[0/40] 1 running · 0:01", "  //:a run 1.0s"]


FAILED = [
    "✗ //web:deps run failed after 3.2s",
    "  declared at web/build.yaml:12",
    "  command: pip install -r x",
    "           pip check",
    "  exit code 1: no earlier run",
    "  last lines of output:",
    *(f"  │ line {n}" for n in range(10, 30)),
    "  all output: /store/log/x.log",
    "  look inside: graphbuild shell //web:deps",
]


def failed(**changes):
    fields = {"seconds": 3.2, "reason": "no earlier run", "failure": FAILURE, **changes}
    return ActionFinished(fields.pop("label", "//web:deps"), "run", "failed", **fields)


@pytest.mark.parametrize("mode", ["tty", "plain", "quiet"])
def test_a_failure_says_where_what_why_and_how_to_look_inside(mode):
    terminal = Terminal(rows=40)
    display = progress(mode, terminal, color=False, terminal=lambda: terminal.size, environ={})
    feed(display, failed())
    display.close()
    assert terminal.lines() == FAILED


def test_a_failure_of_which_little_is_known():
    assert text_of("quiet", failed(reason="", failure=None)).splitlines() == ["✗ //web:deps run failed after 3.2s"]


def test_a_failure_quotes_a_label_that_the_shell_would_take_apart():
    assert text_of("quiet", failed(label="//a b:c[os=x]")).endswith("  look inside: graphbuild shell '//a b:c[os=x]'\n")


def test_a_long_command_is_cut_and_a_known_exit_code_said_once():
    failure = Failure(command="\n".join(f"step {n}" for n in range(10)), exit_code=2, output=("last",))
    lines = text_of("quiet", failed(reason="exit code 2", failure=failure)).splitlines()
    assert lines[1:9] == [
        "  command: step 0",
        *(f"           step {n}" for n in range(1, 5)),
        "           (5 more lines)",
        "  exit code 2",
        "  last lines of output:",
    ]


def test_plain_has_a_line_for_each_start_and_end_and_all_output():
    assert text_of(
        "plain",
        STARTED,
        ActionFinished("//base:b", "layer", "cached"),
        ActionStarted("//web:deps", "run", 0.0, 1),
        ActionWaiting("//web:deps", "run", "another build makes it"),
        ActionOutput("//web:deps", "run", "one\r\n\ntw"),
        ActionOutput("//web:deps", "run", "o\n10%\r20%\r"),
        ActionOutput("//web:deps", "run", "\x1b[1mno newline"),
        ActionFinished("//web:deps", "run", "built", seconds=3.2),
        ActionFinished("//web:web", "image", "skipped"),
        Message("warning", "a disk is nearly full\nmake room"),
    ).splitlines() == [
        "[2/40] //web:deps run started",
        "//web:deps waits: another build makes it",
        "//web:deps | one",
        "//web:deps | ",
        "//web:deps | two",
        "//web:deps | 10%",
        "//web:deps | 20%",
        "//web:deps | no newline",
        "✓ //web:deps run 3.2s",
        "warning: a disk is nearly full",
        "  make room",
    ]


@settings(deadline=None)  # an emulated terminal on a busy machine
@given(st.text(st.sampled_from("ab\r\n"), max_size=30), st.lists(st.integers(0, 30), max_size=5))
def test_plain_loses_no_output_however_it_is_cut(output, cuts):
    cuts = sorted({0, len(output), *(cut for cut in cuts if cut < len(output))})
    pieces = [output[one:other] for one, other in itertools.pairwise(cuts)]
    shown = text_of(
        "plain",
        ActionStarted("//:a", "run", 0.0, 1),
        *(ActionOutput("//:a", "run", piece) for piece in pieces),
        ActionFinished("//:a", "run", "cached"),
    ).splitlines()[1:]
    assert "".join(line.removeprefix("//:a | ") for line in shown) == output.replace("\r", "").replace("\n", "")
    assert all(line.startswith("//:a | ") for line in shown)


def test_a_line_that_never_ends_is_cut_not_kept():
    shown = text_of("plain", ActionStarted("//:a", "run", 0.0, 1), ActionOutput("//:a", "run", "x" * 200_000))
    assert shown.count("x") == 196_608
    assert max(map(len, shown.splitlines())) < 70_000


def test_quiet_says_errors_only():
    events = (
        ActionStarted("//:a", "run", 0.0, 1),
        ActionFinished("//:a", "run", "built"),
        Message("warning", "w"),
        Message("error", "the store is full"),
    )
    assert text_of("quiet", *events) == "error: the store is full\n"


@pytest.mark.parametrize("mode", ["plain", "quiet"])
def test_hostile_text_reaches_no_terminal(mode):
    evil = "\x1b[2J\x1b]0;x\x07\x9b\u202e"
    events = (
        ActionStarted(f"//{evil}:a", "run", 0.0, 1),
        ActionWaiting(f"//{evil}:a", "run", evil),
        ActionOutput(f"//{evil}:a", "run", evil + "\n"),
        failed(label=f"//{evil}:a", reason=evil, failure=Failure(evil, evil, 1, (evil,), evil)),
        Message("error", evil),
    )
    assert not set(text_of(mode, *events)) & set("\x1b\x07\x9b\u202e")


def test_hostile_text_changes_nothing_in_the_live_region():
    terminal = Terminal()
    display = live(terminal)
    feed(
        display, STARTED, ActionStarted("//:\x1b[5Aa", "run\x1b[2J", 0.0, 1), ActionOutput("//:\x1b[5Aa", "run\x1b[2J", "\x1b[H\x1b[2Jx\n")
    )
    display.tick(1)
    display.tick(2)
    assert terminal.lines() == ["[0/40] 1 running · 0:02", "  //:a run 2.0s │ x"]


def test_colours_only_where_asked():
    assert "\x1b[32m✓\x1b[0m //:a run" in text_of("plain", ActionFinished("//:a", "run", "built"), color=True)
    assert "\x1b" not in text_of("plain", STARTED, ActionFinished("//:a", "run", "built"), failed())


def test_a_live_region_without_colours_moves_the_cursor_only():
    terminal = Terminal()
    display = live(terminal)
    feed(display, STARTED, ActionStarted("//:a", "run", 0.0, 1), failed())
    display.tick(1)
    display.close()
    assert "m" not in {sequence.lstrip("0123456789")[:1] for sequence in terminal.getvalue().split("\x1b[")[1:]}


@pytest.mark.parametrize(
    ("tty", "environ", "terminal", "color"),
    [
        (True, {"TERM": "xterm"}, True, True),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, True, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        (True, {"TERM": "dumb"}, False, False),
        (True, {}, False, False),
        (False, {"TERM": "xterm"}, False, False),
    ],
)
def test_what_counts_as_a_terminal(tty, environ, terminal, color):
    stream = Stream(tty=tty)
    assert (is_terminal(stream, environ), wants_color(stream, environ)) == (terminal, color)
    display = progress("auto", stream, color=False, terminal=lambda: (80, 24), environ=environ)
    feed(display, STARTED, ActionStarted("//:a", "run", 0.0, 1))
    display.tick(1)
    assert ("\x1b" in stream.getvalue()) == terminal
    assert ("started" in stream.getvalue()) != terminal


@pytest.mark.parametrize("mode", ["tty", "plain", "quiet"])
def test_a_stream_that_breaks_does_not_stop_the_build(mode):
    reader, descriptor = os.pipe()
    os.close(reader)
    stream = os.fdopen(descriptor, "w", encoding="utf-8")
    display = progress(mode, stream, color=False, terminal=size_of(stream), environ={})
    feed(display, STARTED, failed(), failed())
    display.tick(1)
    display.close()
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_several_listeners_hear_the_same():
    streams = [Stream(), Stream()]
    both = Together(*(progress("plain", stream, color=False, terminal=lambda: (80, 24), environ={}) for stream in streams))
    feed(both, ActionFinished("//:a", "run", "built", seconds=1))
    both.tick(1)
    both.close()
    assert [stream.getvalue() for stream in streams] == ["✓ //:a run 1.0s\n"] * 2


def test_an_encoding_without_the_marks_gets_ascii():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    display = progress("plain", stream, color=False, terminal=lambda: (80, 24), environ={})
    feed(display, ActionFinished("//日本:a", "run", "built", seconds=1))
    assert stream.buffer.getvalue() == b"ok //\\u65e5\\u672c:a run 1.0s\n"


@settings(deadline=None)  # an emulated terminal on a busy machine
@given(
    st.lists(
        st.tuples(st.sampled_from(["start", "out", "built", "failed", "tick"]), st.integers(0, 6), st.floats(0, 0.3)),
        max_size=40,
    ),
    st.integers(12, 60),
    st.integers(4, 12),
)
def test_the_screen_is_always_the_log_and_then_the_region(steps, columns, rows):
    """Whatever happens, nothing of an old region stays, and no line that scrolled away is lost."""
    terminal = Terminal(columns, rows)
    display = live(terminal)
    feed(display, STARTED)
    now, running, ended = 0.0, set(), []
    for what, number, passed in steps:
        now += passed
        label = f"//:s{number}"
        if what == "start":
            running.add(label)
            feed(display, ActionStarted(label, "run", now, 1), now=now)
        elif what == "out":
            feed(display, ActionOutput(label, "run", "日本x" * 20 + "\n"), now=now)
        elif what in ("built", "failed") and label in running:
            running.remove(label)
            ended.append(f"✓ {label} run" if what == "built" else f"✗ {label} run")
            feed(display, ActionFinished(label, "run", what), now=now)
        display.tick(now)
        assert sum(line.startswith("[") for line in terminal.lines()) <= 1
    display.close()
    assert [line[:10] for line in terminal.lines() if line[:1] in "✓✗"] == [line[:10] for line in ended]
    assert not any(line.startswith("[") for line in terminal.lines())
