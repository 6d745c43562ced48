"""What lets tests import the scripts, which no test run may collect: peers are not installed."""

import sys
from pathlib import Path

collect_ignore_glob = ["peers/*", "bench_*.py", "measuring.py"]

sys.path.append(str(Path(__file__).parent))
