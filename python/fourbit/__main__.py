"""The command line: `python -m fourbit`, and the command `fourbit`."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Runs the program in this process, and exits with its code."""
    from . import _native

    # The program has its own way to end at an interrupt. What is ignored, as under nohup, stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # A batch starts this command again for each model.
    command = [sys.executable, "-m", "fourbit"]
    sys.exit(_native.main(["fourbit", *sys.argv[1:]], command))


if __name__ == "__main__":
    main()
