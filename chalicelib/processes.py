"""Processes that shall not outlive the one that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

# Loaded with the module, so that a fork need not open it.
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, however that dies; end now if it is dead already.

    `parent` is the process id that the parent had when it started this process. Asking for an id of 1 instead would
    not do: in a container the parent may be the first process. Elsewhere than on Linux only the look is taken.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call
        os._exit(1)
