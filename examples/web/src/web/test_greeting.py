from web.greeting import greeting


def test_it_greets_by_name() -> None:
    assert greeting("graph") == "hello, graph\n"
