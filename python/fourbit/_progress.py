"""Who hears how far the work is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Optional, Type

from ._types import Listener, Progress
from ._words import spelled

if TYPE_CHECKING:
    import logging
    from types import TracebackType


def logger() -> logging.Logger:
    """Where notes and warnings go. What is seldom needed is imported when it is."""
    import logging

    return logging.getLogger("fourbit")


def note(text: str) -> None:
    """Something worth a line of its own, from the library."""
    logger().info("%s", spelled(text))


class _Bars:
    """A bar of tqdm for each stage."""

    def __init__(self, tqdm: Any) -> None:
        self._tqdm = tqdm
        self._bar: Any = None
        self._stage = ""

    def __call__(self, stage: str, done: int, total: Optional[int]) -> None:
        if self._bar is None or stage != self._stage or done < self._bar.n:
            self.close()
            self._bar = self._tqdm(total=total, desc=stage, leave=False)
            self._stage = stage
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Listening:
    """The listener of one call, and its bars, which go away with it."""

    def __init__(self, progress: Progress) -> None:
        self.listener: Optional[Listener] = None
        self._bars: Optional[_Bars] = None
        if callable(progress):
            self.listener = progress
        elif progress is True or (progress is None and sys.stderr is not None and sys.stderr.isatty()):
            try:
                from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]
            except ImportError:
                return
            self._bars = _Bars(tqdm)
            self.listener = self._bars

    def __enter__(self) -> Optional[Listener]:
        return self.listener

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self._bars is not None:
            self._bars.close()
