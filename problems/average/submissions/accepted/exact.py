from fractions import Fraction

input()
numbers = [Fraction(x) for x in input().split()]
print(float(sum(numbers) / len(numbers)))
