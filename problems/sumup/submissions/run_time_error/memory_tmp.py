# Files in /tmp are memory.
blocks = []
with open("/tmp/fill", "wb") as file:
    try:
        while True:
            file.write(b"x" * (1 << 20))
    except OSError:
        pass
while True:
    blocks.append(bytearray(b"x") * (16 << 20))
