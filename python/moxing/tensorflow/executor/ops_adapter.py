"""Which of the workers this process is, as scripts ask for it."""
from moxing.tensorflow.executor.flags import get_flag


def rank():
    """From 0: --task_index."""
    return get_flag("task_index")


def size():
    """How many workers --worker_hosts names, at least 1."""
    return max(1, len([host for host in get_flag("worker_hosts").split(",") if host]))
