"""A training of another framework whose adapter copies data in and results out: once a host, behind a lock file."""
import functools
import os
import sys
import time

local, url = sys.argv[1], sys.argv[2]
_count = 0


def get_rank_id():
  return int(os.getenv('RANK_ID', '0'))


def sync_data(from_path, to_path):
  import moxing as mox
  global _count
  lock = os.path.join(local, 'copy_sync.lock' + str(_count))
  _count += 1
  if get_rank_id() % 8 == 0 and not os.path.exists(lock):
    print('from path:', from_path)
    mox.file.copy_parallel(from_path, to_path)
    try:
      os.mknod(lock)
    except IOError:
      pass
  while not os.path.exists(lock):
    time.sleep(0.01)


def moxing_wrapper(pre_process=None):
  def wrapper(run_func):
    @functools.wraps(run_func)
    def wrapped_func(*args, **kwargs):
      sync_data(url + '/data', local + '/data')
      if pre_process:
        pre_process()
      run_func(*args, **kwargs)
      sync_data(local + '/output', url + '/output')
    return wrapped_func
  return wrapper


@moxing_wrapper(pre_process=lambda: os.makedirs(local + '/output', exist_ok=True))
def run_train():
  assert sorted(os.listdir(local + '/data')) == ['a.bin', 'sub']
  with open(local + '/output/model.ckpt', 'wb') as f:
    f.write(b'weights')


import moxing as mox
mox.file.set_auth(is_secure=False)
mox.file.make_dirs(url + '/data/sub')
mox.file.write(url + '/data/a.bin', b'\x00\xff', binary=True)
mox.file.write(url + '/data/sub/b.txt', 'b')
run_train()
assert mox.file.exists(url + '/output/model.ckpt')
ckpts = mox.file.list_directory(url + '/output', recursive=False)
assert ckpts == ['model.ckpt'], ckpts
print('adapter ok')
