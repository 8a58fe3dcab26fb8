"""Made by scripts/stubs.py of what `import moxing.convert` gives; not to be changed by hand."""
from moxing.convert.convert import Converted as Converted
from moxing.convert.convert import convert_weights as convert_weights

