"""Replace this process by a program that ends when its parent ends: `launch.py PARENT SIGNAL USER COMMAND…`.

Run it by path and without site-packages, so that it costs milliseconds only. PARENT is the parent's process id. SIGNAL
is the number of the signal that the program gets when the parent ends. USER is the account to change to, or empty.
Steps that need Linux are skipped elsewhere: on macOS the children of a supervisor that was killed by SIGKILL continue
to run.
"""

import ctypes
import os
import pwd
import sys

CAP_DAC_OVERRIDE = 1
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
CAPABILITY_VERSION_3 = 0x20080522
LINUX = sys.platform == "linux"


def main(argv: list[str]) -> None:
    parent, signal_number, user, *command = argv
    if user:
        _become(user, command[0])
    if LINUX:
        _call("prctl", PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
        if os.getppid() != int(parent):
            sys.exit("the parent process has ended")
    os.execv(command[0], command)  # noqa: S606  # no shell, by design


def _become(user: str, program: str) -> None:
    """Change from root to `user`.

    A checkout is often in a directory that only root may enter, such as /root or a temporary directory. The new user
    then keeps the capability that grants access. The alternative would be to open those directories to all users.
    """
    account = pwd.getpwnam(user)
    if LINUX:
        _call("prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    if LINUX and not (os.access(program, os.X_OK) and os.access(os.getcwd(), os.X_OK)):  # noqa: PTH109  # no pathlib
        _keep_reach()


def _keep_reach() -> None:
    bit = 1 << CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; low word, then high word
    _call("capset", header, sets)
    _call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def _call(function: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_ulong(word) if isinstance(word, int) else word for word in arguments]
    if getattr(libc, function)(*words) != 0:
        number = ctypes.get_errno()
        sys.exit(f"{function}: {os.strerror(number)}")


if __name__ == "__main__":
    main(sys.argv[1:])
