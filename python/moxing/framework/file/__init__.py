from moxing.file import *  # noqa: F403
from moxing.file import set_auth  # noqa: F401
