"""The last words of a build, as they are printed."""

from graphbuild.ui.summary import Results, outputs, summary
from graphbuild.values.events import ActionFinished, BuildFinished, CriticalAction, Exported, Message

DIGEST = "sha256:" + "ab" * 32


def test_a_build_that_did_something():
    results = Results()
    for event in (
        Message("info", "x"),
        Exported("//web:web", "web/dist/web.tar", "docker", 1_234_567, DIGEST),
        ActionFinished("//:a", "run", "built"),
        Exported("//web:web", "web/dist/日本", "oci", 999, ""),
        BuildFinished("ok", 2, 38, 0, 0, 3.21, 70),
    ):
        results.handle(event, 0)
    assert summary(results.events) == (
        f"web/dist/web.tar  1.2 MB  {DIGEST}\n"
        "web/dist/日本     999 B\n"
        "ok in 3.2s: 2 built, 38 cached (the cache saved 1m10s)\n"
    )  # fmt: skip


def test_an_all_cached_build_is_one_short_line():
    exported = Exported("//web:web", "dist/web", "oci", 5, DIGEST)
    assert summary([exported, BuildFinished("ok", 0, 40, 0, 0, 0.04, 0.5)]) == "ok in 0.0s: all 40 cached\n"
    assert summary([BuildFinished("ok", 0, 40, 0, 0, 0.04, 75)]) == "ok in 0.0s: all 40 cached (the cache saved 1m15s)\n"


def test_a_build_of_nothing():
    assert summary([BuildFinished("ok", 0, 0, 0, 0, 0)]) == "ok in 0.0s: nothing to do\n"


def test_builds_that_did_not_end_well():
    assert summary([BuildFinished("failed", 1, 0, 2, 3, 61)]) == "failed in 1m01s: 1 built, 2 failed, 3 skipped\n"
    assert summary([BuildFinished("interrupted", 0, 0, 0, 0, 0)]) == "interrupted in 0.0s: nothing done\n"


def test_a_hostile_path_stays_on_its_line():
    assert outputs([Exported("//:a", "a\n\x1b[2Jb", "dir", 1, "")]) == "ab  1 B\n"
    assert summary([]) == ""


def test_the_critical_path_of_a_long_build():
    path = (CriticalAction("//:a", "fetch", 0, 1), CriticalAction("//:a", "run", 1, 9.6), CriticalAction("//c:d", "run", 11, 2))
    assert summary([BuildFinished("ok", 3, 0, 0, 0, 13.2, 0, path)]) == (
        "ok in 13s: 3 built\ncritical path 13s: //:a 11s → //c:d 2.0s\n"
    )  # fmt: skip
    assert summary([BuildFinished("ok", 3, 0, 0, 0, 4.9, 0, path)]) == "ok in 4.9s: 3 built\n"
    assert summary([BuildFinished("failed", 0, 0, 1, 0, 9, 0, path[:1])]) == (
        "failed in 9.0s: 1 failed\ncritical path 1.0s: //:a 1.0s\n"
    )  # fmt: skip


def test_only_what_took_longest_of_a_critical_path_is_named():
    path = tuple(CriticalAction(f"//:{number}", "run", number, 1 if number % 2 else 5) for number in range(10))
    assert summary([BuildFinished("ok", 10, 0, 0, 0, 30, 0, path)]).endswith(
        "critical path 30s: //:0 5.0s → … → //:2 5.0s → … → //:4 5.0s → … → //:6 5.0s → … → //:8 5.0s → …\n"
    )
