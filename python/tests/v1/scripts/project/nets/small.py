from nets import base


def net_name():
  return base.NAME + unicode('!')
