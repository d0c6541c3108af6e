"""What a program prints: read as fast as it comes, and only its tail kept.

A program that prints ten gigabytes without a newline neither fills memory nor waits for a reader. The end
of a pipe says nothing of the program: whoever inherited it may hold it for years.
"""

import asyncio
import os

TAIL_BYTES_MAX = 64 * 1024

_READ_BYTES = 64 * 1024
_READS_AT_END_MAX = 16
"""A pipe holds 1 MiB at most by default; what comes after that was written after the program ended."""


class Capture:
    """The reading end of one pipe and the last `TAIL_BYTES_MAX` bytes that came through it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._read, self.write_fd = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read, False)
        self._tail = bytearray()
        self._open = True

    def begin(self) -> None:
        """Start to read; the writing end now belongs to the program alone."""
        os.close(self.write_fd)
        self._loop.add_reader(self._read, self._take)

    def end(self) -> int | None:
        """Take what is there, without waiting, and stop reading.

        Returns the reading end if somebody still holds the pipe (the caller now owns it), else None.
        """
        for _ in range(_READS_AT_END_MAX):
            if not self._open or not self._take():
                break
        if not self._open:
            return None
        self._loop.remove_reader(self._read)
        self._open = False
        return self._read

    def abandon(self) -> None:
        """Close both ends of a capture that never began."""
        os.close(self.write_fd)
        os.close(self._read)

    def text(self) -> str:
        """The tail as text; bytes that are no UTF-8 are replaced."""
        kept = bytes(self._tail[-TAIL_BYTES_MAX:])
        return kept.decode("utf-8", errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")

    def _take(self) -> bool:
        """Read once; say whether more may be there."""
        try:
            data = os.read(self._read, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(self._read)
            os.close(self._read)
            self._open = False
            return False
        self._tail += data
        if len(self._tail) > 2 * TAIL_BYTES_MAX:
            del self._tail[:-TAIL_BYTES_MAX]
        return True
