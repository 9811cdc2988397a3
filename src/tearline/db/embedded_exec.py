"""Becomes one of PostgreSQL's programs: ``python -I -S embedded_exec.py PARENT UID GID PROGRAM ARGUMENT…``.

A script of its own, run in a fresh interpreter, because what it does between fork and exec (Python code,
ctypes) may deadlock when done in the fork of a program that has threads. UID and GID are ``-`` when the
user stays the same. PARENT is the process whose end shall end this one.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: str, uid: str, gid: str, program: str, *arguments: str) -> None:
    """Drop privileges, tie this process to its parent's life, and exec the program."""
    os.umask(0o077)
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if sys.platform == "linux":
        # After the change of user, which clears it. SIGINT is PostgreSQL's fast shutdown.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit("the program that started this one has ended already")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execv(program, [program, *arguments])  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.exit(f"cannot run {program}: {error.strerror}")


if __name__ == "__main__":
    main(*sys.argv[1:])
