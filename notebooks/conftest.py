"""Notebook tests run headless, on one thread, and keep what they make out of the clone."""

import os
import tempfile

os.environ["LISTCOMP_HEADLESS"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LISTCOMP_RUNS", tempfile.mkdtemp(prefix="listcomp-runs-"))
