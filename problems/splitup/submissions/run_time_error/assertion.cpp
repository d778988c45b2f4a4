#include <cassert>
#include <iostream>

int main() {
    long long n;
    std::cin >> n;
    assert(n < 1000000);
    std::cout << n - 1 << " 1\n";
}
