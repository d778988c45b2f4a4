import subprocess
import sys
import threading

from adder import add

# Threads and a child process are allowed: the limits are those of the whole box.
numbers = [int(x) for x in sys.stdin.read().split()[1:]]
halves = [numbers[::2], numbers[1::2]]
sums = []
threads = [threading.Thread(target=lambda h=h: sums.append(add(h))) for h in halves]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
subprocess.run(["/bin/echo", str(sum(sums))], check=True)
