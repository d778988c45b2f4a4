import socket

# There is no way out of the box: connecting anywhere but to itself is refused.
socket.create_connection(("192.0.2.1", 80), timeout=1)
