"""A notebook's first cell: `from moxing.framework import file`, modules fetched from the store and imported; results appended."""
import os
import sys

try:
  from moxing.framework import file as CloudAPI
except ImportError:
  CloudAPI = None
from moxing.framework import file
from moxing.framework.file import file_io

local, url = sys.argv[1], sys.argv[2]
assert CloudAPI is file
file.write(url + '/modules/tools.py', 'NAME = "fetched"\n')
dst_folder = os.path.join(local, 'modules')
if not file.exists(dst_folder):
  file.mk_dir(dst_folder)
for name in file.list_directory(url + '/modules'):
  file.copy(url + '/modules/' + name, os.path.join(dst_folder, name))
sys.path.append(dst_folder)
import tools
assert tools.NAME == 'fetched'

file_io._NUMBER_OF_PROCESSES = 1
if file_io._LARGE_FILE_METHOD not in (1, 2):
  raise AssertionError(file_io._LARGE_FILE_METHOD)
log = url + '/log.txt'
file.append(log, 'epoch 1\n')
file.append(log, 'epoch 2\n')
assert file.read(log) == 'epoch 1\nepoch 2\n' and file.get_size(log) == 16
assert file.read(log, binary=True) == b'epoch 1\nepoch 2\n'
for root, folders, names in file.walk(url):
  assert isinstance(names, list)
assert file.glob(url + '/*.txt') == [log]
file.rename(log, url + '/old_log.txt')
assert not file.exists(log) and file.stat(url + '/old_log.txt').length == 16
file.remove(url + '/modules', recursive=True)
assert not file.is_directory(url + '/modules')
print('framework_file ok')
