// Called as: validate INPUT ANSWER FEEDBACK_DIR/ [ordered] < OUTPUT. Exit 42 is right, 43 is wrong.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

static std::string feedback;

[[noreturn]] static void wrong(const std::string &why) {
    std::ofstream(feedback + "judgemessage.txt") << why << '\n';
    std::exit(43);
}

int main(int argc, char **argv) {
    if (argc < 4) return 1;
    feedback = argv[3];
    bool ordered = argc > 4 && std::string(argv[4]) == "ordered";
    long long n = 0, a = 0, b = 0;
    if (!(std::ifstream(argv[1]) >> n) || n > {{largest}}) return 1;
    if (!(std::cin >> a >> b)) wrong("two integers are missing");
    std::string rest;
    if (std::cin >> rest) wrong("there is more after the two integers");
    if (a < 1 || b < 1) wrong("an integer is not positive");
    if (a + b != n) wrong("the sum is not right");
    if (ordered && a < b) wrong("the integers are not in order");
    return 42;
}
