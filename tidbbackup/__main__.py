"""python -m tidbbackup."""

import sys

from tidbbackup.cli import main

sys.exit(main())
