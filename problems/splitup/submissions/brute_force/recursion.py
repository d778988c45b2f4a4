def down(n):
    return 1 if n <= 1 else down(n - 1)


n = int(input())
print(n - down(n - 1), down(n - 1))
