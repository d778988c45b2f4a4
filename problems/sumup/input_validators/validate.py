import re
import sys

text = sys.stdin.read()
ok = re.fullmatch(r"(0|[1-9][0-9]*)\n((0|-?[1-9][0-9]*)\n)*", text)
numbers = [int(line) for line in text.split()] if ok else [-1]
ok = ok and numbers[0] == len(numbers) - 1 <= 1000 and all(abs(x) <= 10**9 for x in numbers[1:])
sys.exit(42 if ok else 43)
