from . import small
