"""Libraries' own readers and writers on the store's paths, while shifted: the manual's pictures and HDF5 files, and other tables."""
import sys

import moxing as mox
import numpy as np

mox.file.shift('os', 'mox')
url, kind = sys.argv[2], sys.argv[3]
if kind == 'cv2':
  import cv2
  encoded = cv2.imencode('.png', np.full((4, 5, 3), 7, np.uint8))[1]
  mox.file.write(url + '/xxx.png', encoded.tobytes(), binary=True)
  img = cv2.imdecode(np.fromstring(mox.file.read(url + '/xxx.png', binary=True), np.uint8), cv2.IMREAD_COLOR)
  assert img.shape == (4, 5, 3) and (img == 7).all()
else:
  import pandas as pd
  df = pd.DataFrame({'A': [1, 2, 3], 'B': [4.5, 5.5, 6.5]})
  path = url + '/table.' + kind
  if kind == 'hdf':
    df.to_hdf(path, key='df', mode='w')
    df.to_hdf(path, key='more')
    back = pd.read_hdf(path, 'df')
    assert pd.read_hdf(path, 'more').equals(df)
  elif kind == 'xml':
    df.to_xml(path, index=False, parser='etree')
    back = pd.read_xml(path, parser='etree')
  else:
    getattr(df, 'to_' + kind)(path)
    back = getattr(pd, 'read_' + kind)(path)
  assert back.equals(df), back
  assert mox.file.get_size(path) > 0
  mox.file.shift('mox', 'os')
  try:
    getattr(pd, 'read_' + kind)(path, **({'parser': 'etree'} if kind == 'xml' else {}))
    raise AssertionError('read without shift')
  except AssertionError:
    raise
  except Exception:
    pass
print('libraries ok')
