"""The manual's 1.1.2, block by block, on a store and on disk: every mox.file call as it is written there."""
import logging
import os
import sys

import numpy as np
import pandas as pd

import moxing as mox

local = sys.argv[1]
sections = []


def done(section):
  sections.append(section)


mox.file.make_dirs('s3://bucket-name')
mox.file.make_dirs('s3://dls-test')

# one switch
mox.file.shift('os', 'mox')
with open('s3://bucket-name/hello_world.txt', 'w') as f:
  f.write('hello')
assert os.listdir('s3://bucket-name') == ['hello_world.txt']
with open('s3://bucket-name/hello_world.txt') as f:
  assert f.read() == 'hello'
mox.file.shift('mox', 'os')
done('shift')

# File
with mox.file.File('s3://dls-test/a.txt', 'w') as f:
  f.write('test')
with mox.file.File('s3://dls-test/a.txt', 'r') as f:
  assert f.read() == 'test' and f.readable() and not f.writable() and f.seekable() and not f.isatty()
  assert f.name == 's3://dls-test/a.txt' and f.mode == 'r' and f.size() == 4
df = pd.DataFrame({'col1': [1, 2], 'col2': [3, 4]})
with mox.file.File('s3://dls-test/b.txt', 'w') as f:
  df.to_csv(f)
with mox.file.File('s3://dls-test/b.txt', 'r') as f:
  csv = pd.read_csv(f)
assert csv['col2'].tolist() == [3, 4]
for mode in ('r', 'w', 'a', 'r+', 'w+', 'a+', 'br', 'bw', 'ba', 'br+', 'bw+', 'ba+'):
  with mox.file.File(local + '/modes', mode) if mode != 'r' else mox.file.File('s3://dls-test/a.txt', mode) as f:
    f.seek(0)
done('File')

# exceptions
try:
  mox.file.write('s3://dls-test/same', 'a file')
  mox.file.write('s3://dls-test/same/inside', 'and a folder of its name')
  mox.file.copy_parallel('s3://dls-test', local + '/cache')
except mox.file.MoxFileNameDuplicateException as e:
  done('duplicate')
mox.file.remove('s3://dls-test/same')
mox.file.remove('s3://dls-test/same/', recursive=True)
try:
  mox.file.stat('s3://dls-test/not_exists')
except mox.file.MoxFileNotExistsException as e:
  done('not exists')
try:
  mox.file.read('s3://dls-test/xxx')
except mox.file.MoxFileRespException as e:
  assert e.resp.status == 404
  done('resp')
assert issubclass(mox.file.MoxFileReadException, Exception)

# functions
mox.file.write('s3://bucket-name/dir/data.bin', b'xxx', binary=True)
mox.file.append('s3://bucket-name/dir/data.bin', b'xxx', binary=True)
assert mox.file.read('s3://bucket-name/dir/data.bin', binary=True) == b'xxxxxx'
mox.file.write('s3://bucket-name/dir/data0.bin', b'0', binary=True)
mox.file.append_remote('s3://bucket-name/dir/data0.bin', 's3://bucket-name/dir/data.bin')
assert mox.file.get_size('s3://bucket-name/dir/data.bin') == 7
mox.file.write(local + '/file1.txt', 'one')
mox.file.copy(local + '/file1.txt', local + '/file2.txt')
mox.file.copy(local + '/file2.txt', 's3://bucket-name/dir/file.txt')
mox.file.copy('s3://bucket-name/dir/file.txt', local + '/file.txt')
mox.file.copy('s3://bucket-name/dir/file.txt', 's3://bucket-name/dir/file2.txt')
assert mox.file.read(local + '/file.txt') == 'one'
mox.file.make_dirs(local + '/folder/sub')
mox.file.write(local + '/folder/sub/x', 'x')
mox.file.copy_parallel(src_url=local + '/folder', dst_url='s3://bucket-name/my_data')
assert mox.file.exists('s3://bucket-name/my_data/sub/x') and mox.file.exists('s3://bucket-name/dir')
assert mox.file.glob('s3://bucket-name/dir/*.txt') == ['s3://bucket-name/dir/file.txt', 's3://bucket-name/dir/file2.txt']
assert mox.file.is_directory('s3://bucket-name/dir')
assert 'my_data/sub/x' in mox.file.list_directory('s3://bucket-name', recursive=True)
mox.file.make_dirs('s3://bucket-name/new_dir')
mox.file.mk_dir('s3://bucket-name/new_dir/sub')
try:
  mox.file.mk_dir('s3://bucket-name/none/sub')
except OSError:
  done('mk_dir')
assert [d.name for d in mox.file.scan_dir('s3://bucket-name/my_data')] == ['sub']
assert next(mox.file.walk('s3://bucket-name/my_data')) == ('s3://bucket-name/my_data', ['sub'], [])
stat = mox.file.stat('s3://bucket-name/dir/file.txt')
assert stat.length == 3 and stat.mtime_nsec > 0 and not stat.is_directory
done('functions')

# remove, as its table says
for url in ('s3://bucket-name/dir_name/x', 's3://bucket-name/file_name'):
  mox.file.write(url, 'x')
mox.file.remove('s3://bucket-name/file_name/')
mox.file.remove('s3://bucket-name/dir_name')
mox.file.remove('s3://bucket-name/dir_name/')
assert mox.file.exists('s3://bucket-name/file_name') and mox.file.exists('s3://bucket-name/dir_name/x')
mox.file.remove('s3://bucket-name/file_name', recursive=True)
mox.file.remove('s3://bucket-name/dir_name/', recursive=True)
assert not mox.file.exists('s3://bucket-name/file_name') and not mox.file.exists('s3://bucket-name/dir_name')
done('remove')

# examples
mox.file.write('s3://bucket-name/obs_file.txt', 'Hello World!')
mox.file.append('s3://bucket-name/obs_file.txt', '\nend of file.')
assert mox.file.read('s3://bucket-name/obs_file.txt') == 'Hello World!\nend of file.'
assert mox.file.list_directory('s3://bucket-name')
mox.file.make_dirs('s3://bucket-name/sub_dir_0/sub_dir_1')
assert mox.file.exists('s3://bucket-name/sub_dir_0/sub_dir_1')
mox.file.rename('s3://bucket-name/obs_file.txt', 's3://bucket-name/obs_file_2.txt')
mox.file.rename('s3://bucket-name/obs_file_2.txt', local + '/obs_file.txt')
mox.file.rename(local + '/obs_file.txt', 's3://bucket-name/obs_file.txt')
mox.file.write('s3://bucket-name/sub_dir_0/y', 'y')
mox.file.copy_parallel('s3://bucket-name/sub_dir_0', 's3://bucket-name/sub_dir_2')
mox.file.copy_parallel('s3://bucket-name/sub_dir_0', local + '/sub_dir_0')
mox.file.copy_parallel(local + '/sub_dir_0', 's3://bucket-name/sub_dir_3')
assert mox.file.read('s3://bucket-name/sub_dir_3/y') == 'y'
with mox.file.File('s3://bucket-name/obs_file.txt', 'rb+') as f:
  assert f.read() == b'Hello World!\nend of file.'
with mox.file.File('s3://bucket-name/obs_file.txt', 'r') as f:
  assert f.readlines() == ['Hello World!\n', 'end of file.']
done('examples')

stream = mox.file.File('s3://bucket-name/sub_dir_0/logging.txt', 'w')
logging.basicConfig(level=logging.DEBUG, stream=stream)
console = logging.StreamHandler()
console.setLevel(logging.INFO)
logging.getLogger('').addHandler(console)
logging.info('hello world')
stream.flush()
assert mox.file.read('s3://bucket-name/sub_dir_0/logging.txt') == 'INFO:root:hello world\n'
logging.getLogger('').handlers.clear()
stream.close()
done('logging')

np.save(local + '/image.npy', np.arange(6))
mox.file.copy(local + '/image.npy', 's3://dls-test/image.npy')
assert len(np.frombuffer(mox.file.read('s3://dls-test/image.npy', binary=True), np.uint8)) == os.path.getsize(local + '/image.npy')
mox.file.remove('s3://bucket-name/sub_dir_0/sub_dir_1', recursive=True)
assert not mox.file.exists('s3://bucket-name/sub_dir_0/sub_dir_1')
done('bytes')
print(' '.join(sections))
