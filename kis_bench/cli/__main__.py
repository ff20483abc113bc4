"""``python -m kis_bench.cli``."""

import sys

from kis_bench.cli import main

sys.exit(main())
