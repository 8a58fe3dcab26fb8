"""The module path of older scripts: moxing.framework.common."""
