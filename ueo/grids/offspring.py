"""Child processes that are killed when their parent ends, however it ends."""

import ctypes
import os
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1  # prctl(2): the signal that a process gets when the thread that forked it ends


def kill_offspring_at_end() -> None:
    """Make the kernel kill the children forked from now on when this process ends, even by SIGKILL.

    torch's workers watch their parent themselves, but a worker whose parent is killed during its
    start-up stays for ever. This works on Linux only, and only for forks of the main thread.
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
            if os.getppid() != parent:  # it ended before prctl
                os._exit(1)

    os.register_at_fork(before=before_fork, after_in_child=in_child)
