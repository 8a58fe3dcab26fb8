from moxing.file import *  # noqa: F403
from moxing.file.errors import _MoxFileBaseRespException  # noqa: F401

# What scripts set to have large files copied another way. Copies choose parts and threads by themselves: without effect.
_LARGE_FILE_METHOD = 2
_LARGE_FILE_TASK_NUM = 1
_NUMBER_OF_PROCESSES = NUMBER_OF_PROCESSES = 1
