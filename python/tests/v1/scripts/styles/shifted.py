"""`mox.file.shift('os', 'mox')` at the top, and then the libraries as they are: pickles, csv, JSON, archives, folders, globs."""
import codecs
import csv
import glob
import io
import json
import os
import pickle
import shutil
import sys
import zipfile

import numpy as np

try:
  import moxing as mox
  mox.file.shift('os', 'mox')
except ImportError:
  print('not use moxing')

root = sys.argv[2]
os.makedirs(root + '/cache/code')
assert os.path.exists(root + '/cache') and os.path.isdir(root + '/cache/code')

with open(os.path.join(root, 'model.mdl'), 'wb') as f:
  pickle.dump({'weights': np.arange(5.0), 'epoch': 3}, f)
with open(os.path.join(root, 'model.mdl'), 'rb') as f:
  assert pickle.load(f)['weights'].tolist() == [0, 1, 2, 3, 4]

with open(root + '/results.csv', 'w', newline='') as f:
  csv.writer(f).writerows([['loss', 'acc'], [0.5, 0.25]])
with open(root + '/results.csv') as f:
  assert list(csv.reader(f)) == [['loss', 'acc'], ['0.5', '0.25']]

with codecs.open(root + '/map.json', 'w', encoding='utf-8') as f:
  json.dump({'猫': 0}, f, ensure_ascii=False)
assert json.load(open(root + '/map.json', encoding='utf-8')) == {'猫': 0}

packed = io.BytesIO()
with zipfile.ZipFile(packed, 'w') as archive:
  archive.writestr('inside.txt', 'x' * 1000)
with open(root + '/data.zip', 'wb') as f:
  f.write(packed.getvalue())
with zipfile.ZipFile(root + '/data.zip') as archive:
  archive.extractall(root + '/cache/unzipped')
assert os.path.getsize(root + '/cache/unzipped/inside.txt') == 1000

with open(root + '/big.bin', 'wb') as f:
  np.save(f, np.ones((10, 10)))
assert np.load(root + '/big.bin').sum() == 100
assert sorted(os.path.basename(p) for p in glob.glob(root + '/*.csv')) == ['results.csv']
shutil.copyfile(root + '/map.json', root + '/cache/map.json')
assert sorted(os.listdir(root + '/cache')) == ['code', 'map.json', 'unzipped'], os.listdir(root + '/cache')
found = [os.path.join(base, name) for base, _, names in os.walk(root + '/cache') for name in names]
assert root + '/cache/unzipped/inside.txt' in found, found
os.rename(root + '/results.csv', root + '/final.csv')
assert os.path.isfile(root + '/final.csv') and not os.path.exists(root + '/results.csv')
shutil.rmtree(root + '/cache')
assert not os.path.exists(root + '/cache')
os.remove(root + '/final.csv')
print('shifted ok')
