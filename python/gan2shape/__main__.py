"""python -m gan2shape: the program."""
from ._program import main

main()
