# SPDX-License-Identifier: Apache-2.0
"""`python -m wlbs`: the command line of this very interpreter, as agents in a lab are started."""

from wlbs.cli.main import main

if __name__ == "__main__":
    main()
