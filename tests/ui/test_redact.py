"""Secrets' values leave no trace in text, in whatever pieces it arrives."""

from hypothesis import given
from hypothesis import strategies as st

from graphbuild.values.redact import MASK, Redactor, redact

values = st.lists(st.text(st.sampled_from("abcd"), max_size=6), max_size=4)


def test_values_are_masked_the_longest_first():
    assert redact("token=s3cret! s3", ["s3", "s3cret!"]) == "token=*** ***"


def test_empty_values_mask_nothing():
    assert redact("text", ["", "\n"]) == "text"


def test_a_value_of_lines_is_found_through_a_terminal_and_line_by_line():
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----\n"
    shown = redact("\r\n".join(key.split("\n")) + "tail MIIEvQIBADANBg", [key])
    assert "MIIE" not in shown
    assert "BEGIN" not in shown
    assert redact(key, [key]) == MASK


def test_a_value_whose_newline_was_stripped_is_found():
    assert redact("Bearer hunter2;", ["hunter2\n"]) == "Bearer ***;"


@given(values, st.lists(st.text(st.sampled_from("abcdx"), max_size=8), max_size=8))
def test_a_stream_in_pieces_is_redacted_as_the_whole(secrets, pieces):
    redactor = Redactor(secrets)
    shown = b"".join([*(redactor.feed(piece.encode()) for piece in pieces), redactor.close()])
    assert shown.decode() == redact("".join(pieces), secrets)


def test_nothing_is_held_back_that_starts_no_value():
    redactor = Redactor(["secret"])
    assert redactor.feed(b"a line\n") == b"a line\n"
    assert redactor.feed(b"a sec") == b"a "
    assert redactor.feed(b"ond") == b"second"
    assert redactor.close() == b""


def test_a_large_secret_does_not_make_the_stream_slow():
    redactor = Redactor(["ab" * 20_000])
    assert redactor.feed(b"ac" * 500_000) == b"ac" * 500_000


def test_bytes_that_are_no_text_pass():
    assert Redactor(["x"]).feed(b"\xff\x00x") == b"\xff\x00***"
