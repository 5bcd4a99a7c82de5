"""The command `gan2shape`: the program that comes with the wheel."""
from __future__ import annotations

import os
import sys

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'bin', 'gan2shape')


def main() -> None:
    """Becomes the program."""
    try:
        os.execv(PROGRAM, ['gan2shape', *sys.argv[1:]])
    except OSError as e:
        sys.exit(f'{PROGRAM}: {e.strerror}; it comes with the wheel')
