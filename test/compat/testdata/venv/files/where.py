import os
import sys

print(os.path.basename(os.environ["VIRTUAL_ENV"]), sys.argv[1:])
