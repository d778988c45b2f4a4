import os

# The child dies of it, and its parent reports a success: the memory of the box is still exceeded.
if os.fork() == 0:
    blocks = []
    while True:
        blocks.append(bytearray(b"x") * (16 << 20))
os.wait()
print(6)
