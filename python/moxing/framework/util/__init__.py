"""The module path of older scripts: moxing.framework.util.compat."""
