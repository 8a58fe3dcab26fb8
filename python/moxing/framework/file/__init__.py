from moxing.file import *  # noqa: F401,F403
from moxing.file import set_auth  # noqa: F401
