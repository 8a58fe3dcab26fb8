"""Tables and pictures through `mox.file.File`: pandas reads from it and writes to it, what wants bytes gets a BytesIO."""
import io
import os
import sys

import moxing as mox
import numpy as np
import pandas as pd

url = sys.argv[2]


def save_data(da_df, path):
  with mox.file.File(path, 'w') as fw:
    da_df.to_csv(fw, index=False, header=None)


def read_file(path):
  with mox.file.File(path, 'r') as fr:
    return pd.read_csv(fr, index_col=False, header=None)


save_data(pd.DataFrame([[1, 2.5], [3, 4.5]]), url + '/out.csv')
assert read_file(url + '/out.csv').values.tolist() == [[1, 2.5], [3, 4.5]]
mox.file.write(url + '/source/part1.csv', 'a;b\n1;2\n')
mox.file.write(url + '/source/part2.csv', 'a;b\n3;4\n')
frame = pd.DataFrame()
for root, _, files in mox.file.walk(url + '/source'):
  for f in sorted(files):
    with mox.file.File(os.path.join(root, f), 'rb') as fn:
      frame = pd.concat([frame, pd.read_csv(fn, sep=';')])
assert frame['b'].tolist() == [2, 4]
with mox.file.File(url + '/landmark.txt', 'w') as f:
  f.write('a\t1\nb\t2\n')
with mox.file.File(url + '/landmark.txt', 'r') as f:
  lines = [line.replace('\n', '').split('\t') for line in f.readlines()]
assert lines == [['a', '1'], ['b', '2']]
mox.file.write(url + '/train.json', '[{"a": 1, "b": [1, 2]}, {"a": 3, "b": [4]}]')
if len(sys.argv) > 3:  # run by mox script: what pandas 3 reads no more
  assert pd.read_json(mox.file.read(url + '/train.json', binary=True)).a.tolist() == [1, 3]
  assert pd.read_json(mox.file.read(url + '/train.json')).b.tolist() == [[1, 2], [4]]
buffer = io.BytesIO()
np.savez(buffer, x=np.eye(2))
mox.file.write(url + '/x.npz', buffer.getvalue(), binary=True)
with mox.file.File(url + '/x.npz', 'rb') as f:
  assert np.load(io.BytesIO(f.read()))['x'].tolist() == [[1, 0], [0, 1]]
print('frames ok')
