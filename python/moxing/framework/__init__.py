"""The module paths of older scripts: moxing.framework.file and moxing.framework.file.file_io."""
