from moxing.file import *  # noqa: F401,F403
from moxing.file.errors import _MoxFileBaseRespException  # noqa: F401
