import Queue


def twice(n):
  return sum(2 for _ in xrange(n))


def fail():
  raise ValueError('failed in %s' % Queue.__name__)
