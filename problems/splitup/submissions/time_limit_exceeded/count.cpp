#include <iostream>

int main() {
    volatile long long n, step = 0;
    long long read;
    std::cin >> read;
    n = read;
    // Quick on the small tests, for ever on the large ones.
    if (n > 1000) {
        for (;;) step = step + 1;
    }
    std::cout << n - 1 << " 1\n";
}
