"""Takes a NIR file apart; a program of its own, as the HDF5 library may loop for ever or crash on a damaged file.

Run: python -m flipcore.training.nir_worker FILE OUT ; writes the tree of the file, packed, to OUT. A file that cannot be used is one line on stderr and exit code 2.
"""

import sys
from pathlib import Path

from flipcore.errors import InputError
from flipcore.training.nir_tree import pack_tree, read_tree


def main() -> None:
    """Read the first argument, write the second."""
    path, out = sys.argv[1:]
    try:
        Path(out).write_bytes(pack_tree(read_tree(Path(path))))
    except InputError as error:
        print(" ".join(str(error).splitlines()), file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
