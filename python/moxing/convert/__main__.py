import sys

from moxing.convert.command import main

if __name__ == "__main__":
    main(sys.argv[1:])
