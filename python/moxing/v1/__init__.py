"""Runs a script that was written for TensorFlow 1, as it is: `mox script train.py --flag=…`, `python -m moxing.v1 train.py`.

The script, the modules beside it and the packages below its folder see TensorFlow 1 (imports.py says how); everybody
else in the process sees what is installed. Nothing on disk is changed. docs/old_scripts.md tells users what there is.
"""
