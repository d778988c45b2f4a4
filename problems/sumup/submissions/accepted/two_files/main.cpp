#include <iostream>

#include "add.h"

int main() {
    long long n, x, sum = 0;
    std::cin >> n;
    while (n-- > 0 && std::cin >> x) sum = add(sum, x);
    std::cout << sum << '\n';
}
