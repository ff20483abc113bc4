"""Bounds the memory of results that threads make ahead of whoever uses them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager


class HeldBytes:
    """Bytes that results may take together, from before they are made until they are handed over.

    Results are numbered from 0 and are let in by their numbers, so that the one that is needed next never waits for a
    later one. One that takes more than all of it is let in once nothing else is held.

    Args:
        most: bytes.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.held: dict[int, int] = {}  # number of a result -> bytes
        self.next = 0
        self.closed = False
        self.changed = threading.Condition()

    @contextmanager
    def make(self, number: int) -> Iterator[Callable[[int], None]]:
        """Within it a result is made; gives what has to be called with its bytes before it takes them.

        What is called again, with the bytes that the result takes in the end, changes them. A result that fails holds
        nothing.

        Raises:
            CancelledError: nobody wants it any more.
        """
        try:
            yield lambda n_bytes: self._let_in(number, n_bytes)
            self._let_in(number, self.held.get(number, 0))
        except BaseException:
            # Its turn passes to the next one, whatever it failed on.
            if not self.closed and number not in self.held:
                self._let_in(number, 0)
            self.hand_over(number)
            raise

    def find_bytes(self, number: int) -> int:
        """What a result takes, that nobody has yet."""
        with self.changed:
            return self.held[number]

    def hand_over(self, number: int) -> None:
        """Whoever uses the result has it now, and minds its memory."""
        with self.changed:
            self.held.pop(number, None)
            self.changed.notify_all()

    def close(self) -> None:
        """Nobody wants any more: who waits to be let in is sent away."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _let_in(self, number: int, n_bytes: int) -> None:
        with self.changed:
            if number not in self.held:
                self.changed.wait_for(lambda: self.closed or self._has_room(number, n_bytes))
                if self.closed:
                    raise CancelledError
                self.next = number + 1
            self.held[number] = n_bytes
            self.changed.notify_all()

    def _has_room(self, number: int, n_bytes: int) -> bool:
        held = sum(self.held.values())
        return number == self.next and (not held or held + n_bytes <= self.most)
