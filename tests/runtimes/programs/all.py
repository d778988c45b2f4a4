import datetime
import locale
import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.stdout.reconfigure(line_buffering=True)
with ThreadPoolExecutor(4) as pool:
    barrier = threading.Barrier(4)

    def add(first):
        barrier.wait()
        return sum(range(first, 100, 4))

    print("threads", sum(pool.map(add, range(4))))
locale.setlocale(locale.LC_ALL, "")
print("locale", "äöü".upper(), locale.nl_langinfo(locale.CODESET))
before = time.monotonic()
time.sleep(0.01)
if time.monotonic() - before >= 0.01 and datetime.datetime.now().year >= 2024:
    print("time passes")
if os.urandom(16) != os.urandom(16) and random.random() != random.random():
    print("random differs")
if len(sys.argv) < 2:
    try:
        print("subprocess", subprocess.run(["/bin/sh", "-c", "exit 7"], check=False).returncode)
    except OSError:
        print("subprocess refused")
