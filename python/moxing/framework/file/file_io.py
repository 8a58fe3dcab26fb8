from moxing.file import *  # noqa: F403
from moxing.file.errors import _MoxFileBaseRespException  # noqa: F401
