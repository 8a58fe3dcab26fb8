# -*- coding: utf-8 -*-
import sys
import helper
from nets import small

def main(argv):
	print "two", helper.twice(3), small.net_name(),
        print "three"
	try:
		helper.fail()
	except ValueError, error:
		print error
	print 07, 3L <> 4, `5`
	raise RuntimeError, "the end"

if __name__ == "__main__":
	main(sys.argv)
