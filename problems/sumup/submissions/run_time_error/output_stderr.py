import sys

while True:
    sys.stderr.write("one line, and another, and another\n" * 1000)
