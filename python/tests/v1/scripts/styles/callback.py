"""Uploads at the end of every epoch: by a callback, by a thread, by another process; the newest checkpoints are kept."""
import os
import subprocess
import sys
import threading

import moxing as mox

local, url = sys.argv[1], sys.argv[2]
train_dir = os.path.join(local, 'train')
os.makedirs(train_dir)


class UploadOutput(object):
  def __init__(self, train_dir, obs_train_url):
    self.train_dir = train_dir
    self.obs_train_url = obs_train_url

  def epoch_end(self, run_context):
    try:
      mox.file.copy_parallel(self.train_dir, self.obs_train_url)
      print('Successfully Upload {} to {}'.format(self.train_dir, self.obs_train_url))
    except Exception as e:
      print('moxing upload {} to {} failed: '.format(self.train_dir, self.obs_train_url) + str(e))


callback = UploadOutput(train_dir, url + '/train')
for epoch in range(3):
  with open(os.path.join(train_dir, 'ckpt_%d.ckpt' % epoch), 'w') as f:
    f.write(str(epoch))
  upload = threading.Thread(target=callback.epoch_end, args=(None,))
  upload.start()
  upload.join()
assert sorted(mox.file.list_directory(url + '/train')) == ['ckpt_0.ckpt', 'ckpt_1.ckpt', 'ckpt_2.ckpt']
mox.file.copy_parallel(src_url=url + '/train', dst_url=os.path.join(local, 'back'))
subprocess.check_call([sys.executable, '-c', 'import sys, moxing as mox; mox.file.copy(sys.argv[1], sys.argv[2])',
                       os.path.join(local, 'back', 'ckpt_2.ckpt'), url + '/best.ckpt'])
assert mox.file.read(url + '/best.ckpt') == '2'
UploadOutput(os.path.join(local, 'missing'), url + '/train').epoch_end(None)
print('callback ok')
