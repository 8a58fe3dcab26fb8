import sys

from moxing.v1.command import main

if __name__ == "__main__":
    main(sys.argv[1:])
