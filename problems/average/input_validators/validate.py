import sys

lines = sys.stdin.read().split("\n")
ok = len(lines) == 3 and lines[2] == "" and len(lines[1].split()) == int(lines[0]) <= 1000
sys.exit(42 if ok else 43)
