"""What every Sandbox does, the fake as well as the real one in each of its forms."""


def test_what_a_command_writes_is_in_the_upper_directory(run):
    answer = run("write", "/made", "text")
    assert (answer["code"], answer["reason"]) == (0, "exited")
    assert answer["upper"]["made"][3] == "text"


def test_the_exit_code_is_the_commands(run):
    assert run("fail", "42")["code"] == 42


def test_output_is_handed_on(run):
    assert run("say", "hello")["output"] == "hello\n"


def test_stderr_goes_its_own_way_where_it_is_asked_to(run):
    answer = run("complain", "hello", apart=True)
    assert (answer["output"], answer["errors"]) == ("", "hello\n")
    answer = run("say", "hello", apart=True)
    assert (answer["output"], answer["errors"]) == ("hello\n", "")
    assert run("complain", "hello")["output"] == "hello\n"


def test_output_beyond_the_limit_is_dropped_with_one_line(run):
    assert run("say", "x" * 100, limits={"output": 10})["output"] == "x" * 10 + "\n[graphbuild: output beyond 10 bytes is dropped]\n"


def test_a_command_that_is_not_there(run):
    answer = run("no-such-command")
    assert answer["code"] == 127
    assert "not found in PATH" in answer["output"]
    assert answer["upper"] == {}


def test_time_is_up(run):
    answer = run("sleep", "20", timeout=0.2)
    assert answer["reason"] == "timeout"
    assert answer["seconds"] < 0.2 + 0.5


def test_cancelled(run):
    answer = run("sleep", "20", cancel_after=0.2)
    assert answer["reason"] == "cancelled"
    assert answer["seconds"] < 0.2 + 0.5


def test_nothing_is_left_behind(run):
    for answer in (run("write", "/made", "text"), run("fail", "1"), run("sleep", "9", timeout=0.1)):
        assert answer["left"] == []
