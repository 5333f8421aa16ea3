"""A web application of two pages."""

from flask import Flask

from web.greeting import greeting


def application() -> Flask:
    app = Flask("web")

    @app.get("/")
    def index() -> str:
        return greeting("world")

    @app.get("/healthz")
    def healthz() -> str:
        return "ok"

    return app
