import os
import sys

from helper import LARGEST

n = int(input())
assert n <= LARGEST
first = 1
if os.path.exists("first.txt"):
    with open("first.txt") as file:
        first = int(file.read())
elif "--ordered" in sys.argv[1:]:
    first = n - 1
print(first, n - first)
