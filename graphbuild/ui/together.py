"""Several listeners as one, told in their order: files before displays, so that a warning of a file still reaches the display."""

from graphbuild.values.events import Event, Listener


class Together:
    """A Listener that passes everything on."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def handle(self, event: Event, now: float) -> None:
        for listener in self._listeners:
            listener.handle(event, now)

    def tick(self, now: float) -> None:
        for listener in self._listeners:
            listener.tick(now)

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()
