"""Connections whose clients send no header or read no answer: each holds an open file of the process."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 30.0


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that waits :data:`SECONDS` for a header, and as long for any part of an answer to be read.

    uvicorn waits without end for the first request of a connection, and for one whose header has begun. How long a body
    may take is said in :class:`~rdet.serve.limits.Limits`.
    """

    _header: asyncio.TimerHandle | None = None
    _answer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first header."""
        super().connection_made(transport)
        self._wait_for_a_header()

    def data_received(self, data: bytes) -> None:
        """Read a part of a request; a header that has begun ends in time, however many parts it has."""
        super().data_received(data)
        self._wait_for_a_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        for timer in (self._header, self._answer):
            if timer is not None:
                timer.cancel()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._wait_for_a_reader(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Note that the client reads."""
        super().resume_writing()
        if self._answer is not None:
            self._answer.cancel()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_a_header(self) -> None:
        if self._is_answering:
            if self._header is not None:
                self._header.cancel()
                self._header = None
        elif self._header is None:
            self._header = self.loop.call_later(SECONDS, self._end)

    def _end(self) -> None:
        self._header = None
        if not self._is_answering:
            self.transport.close()

    def _wait_for_a_reader(self, left: int) -> None:
        self._answer = self.loop.call_later(SECONDS, self._look_for_a_reader, left)

    def _look_for_a_reader(self, before: int) -> None:
        if (left := self.transport.get_write_buffer_size()) >= before:
            self.transport.abort()
        else:
            self._wait_for_a_reader(left)
