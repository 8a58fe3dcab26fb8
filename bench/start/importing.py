"""Seconds that importing a module takes: python importing.py MODULE"""
import importlib
import json
import os
import sys
import time

sys.argv, module = sys.argv[:1], sys.argv[1]
begin = time.perf_counter()
importlib.import_module(module)
print(json.dumps({"import_seconds": round(time.perf_counter() - begin, 4)}), flush=True)
if module.startswith("moxing"):
    assert "tensorflow" in sys.modules, os.environ.get("PYTHONPATH")
