"""The command line's grammar where argparse would read it otherwise than people do."""

import pytest

from graphbuild.cli.parser import parse


def test_a_pattern_that_takes_away_is_no_option():
    assert parse(["run", "//...", "-//slow:x", "-:y"]).labels == ["//...", "-//slow:x", "-:y"]


def test_labels_may_come_after_options():
    options = parse(["run", "//a", "-j", "3", "//b", "-k", "-//c:d"])
    assert (options.labels, options.jobs, options.keep_going) == (["//a", "//b", "-//c:d"], 3, True)


def test_no_cache_takes_a_label_only_with_an_equals_sign():
    options = parse(["run", "--no-cache", ":web"])
    assert (options.labels, options.no_cache) == ([":web"], [""])
    assert parse(["run", "--no-cache=:deps", ":web"]).no_cache == [":deps"]


def test_what_follows_two_dashes_is_left_alone():
    assert parse(["shell", ":deps", "--", "find", "-//x", "--no-cache"]).words == ["find", "-//x", "--no-cache"]
    options = parse(["shell", ":deps", "--before", "--", "ls", "--", "-l"])
    assert (options.label, options.before, options.words) == (":deps", True, ["ls", "--", "-l"])


@pytest.mark.parametrize("arguments", [["run", "--nope"], ["cache", "stats", "x"], ["shell", ":a", "-z"], ["run", "-x:y"]])
def test_what_nobody_knows_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err
