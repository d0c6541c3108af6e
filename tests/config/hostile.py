"""Loads each path given, in one process under limits, and prints what came of it as JSON lines.

Run by test_hostile.py. The last line has the most memory that this process ever held.
"""

import json
import resource
import sys
import time
from pathlib import Path

from reconciler.config.load import load_path

for name in sys.argv[1:]:
    began = time.process_time()
    loaded = load_path(Path(name))
    spent_s = time.process_time() - began
    codes = sorted({found.code for found in loaded.diagnostics})
    print(json.dumps({"codes": codes, "valid": loaded.intent is not None, "spent_s": spent_s}))
print(json.dumps({"most_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
