"""Processes that end with the one that forked them, however that ends."""

import ctypes
import os
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1  # prctl(2): the signal that a process gets when the thread that forked it ends


def kill_offspring_at_end() -> None:
    """Processes that this one forks from now on are killed when it ends, even by SIGKILL.

    torch's workers look for their parent themselves, but one whose parent is killed while it starts
    stays for ever. Linux alone; what another thread than the main one forks is left to itself.
    """
    if sys.platform != "linux":
        return
    prctl, parent = ctypes.CDLL(None).prctl, 0

    def before_fork() -> None:
        nonlocal parent
        main = threading.current_thread() is threading.main_thread()
        parent = os.getpid() if main else 0

    def in_child() -> None:
        if parent:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it ended before that
                os._exit(1)

    os.register_at_fork(before=before_fork, after_in_child=in_child)
