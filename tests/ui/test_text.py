"""Text that a terminal shows: sizes, durations, hostile output, cells."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbuild.ui.text import clean, clip, clock, duration, size, width


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1234, "1.2 kB"),
        (9_960, "10 kB"),
        (999_600, "1.0 MB"),
        (123_456_789, "123 MB"),
        (5_500_000_000, "5.5 GB"),
        (10**16, "10000 TB"),
    ],
)
def test_sizes(count, text):
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0s"), (0.04, "0.0s"), (3.21, "3.2s"), (9.96, "10s"), (59.4, "59s"), (59.6, "1m00s"), (125, "2m05s"), (3725, "1h02m")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_the_clock_counts_minutes_on():
    assert [clock(0), clock(12.9), clock(3665)] == ["0:00", "0:12", "61:05"]


@pytest.mark.parametrize(
    ("dirty", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;ZXZpbA==\x1b\\text", "text"),
        ("\x1b]8;;http://evil never ended", "8;;http://evil never ended"),
        ("\x1b\x1b[31m[2J", "[2J"),
        ("a\x9b31mb\x07\x08\x00", "a31mb"),
        ("\x1bc\x1b(0text", "text"),
        ("user\u202egnp.exe\u2066", "usergnp.exe"),
        ("one\u2028two", "onetwo"),
        ("a\tb", "a       b"),
        ("\udcff", "\ufffd"),
        ("日本語 é ✓", "日本語 é ✓"),
    ],
)
def test_hostile_output_becomes_harmless_text(dirty, shown):
    assert clean(dirty) == shown


@given(st.text(st.sampled_from("\x1b[]0;mK\x07\\P a\x9b\u202e日\n\r\t")))
def test_clean_text_has_no_control_characters_and_stays_clean(text):
    cleaned = clean(text)
    assert not {unicodedata.category(char) for char in cleaned} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert clean(cleaned) == cleaned


def test_a_long_hostile_line_is_cleaned_in_linear_time():
    for piece in ("\x1b[", "\x1b]", "\x1b[0;", "\x1b ", "\x1bP0"):
        clean(piece * 200_000)


@given(st.text(st.sampled_from("ab 日本e\u0301✓")), st.integers(0, 30))
def test_clipped_text_fits_and_is_a_beginning(text, cells):
    clipped = clip(clean(text), cells)
    assert width(clipped) <= cells
    assert clipped == clean(text) or clipped == "" or (clipped.endswith("…") and clean(text).startswith(clipped[:-1]))


def test_wide_characters_take_two_cells():
    assert width("日本") == 4
    assert clip("日本語", 5) == "日本…"
    assert clip("日本語", 4) == "日…"
    assert clip("日本語", 6) == "日本語"
