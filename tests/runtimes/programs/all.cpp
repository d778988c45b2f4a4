#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <iostream>
#include <locale>
#include <random>
#include <sys/wait.h>
#include <thread>
#include <vector>

namespace fs = std::filesystem;

static void threads() {
    std::vector<std::future<int>> parts;
    for (int first = 0; first < 4; first++)
        parts.push_back(std::async(std::launch::async, [first] {
            int sum = 0;
            for (int i = first; i < 100; i += 4)
                sum += i;
            return sum;
        }));
    int sum = 0;
    for (auto &part : parts)
        sum += part.get();
    std::cout << "threads " << sum << std::endl;
}

static void words() {
    const std::locale own("");
    std::wcout.imbue(own);
    std::wstring text = L"äöü";
    std::use_facet<std::ctype<wchar_t>>(own).toupper(text.data(), text.data() + text.size());
    char bytes[32] = {};
    std::setlocale(LC_ALL, "");
    std::wcstombs(bytes, text.c_str(), sizeof bytes - 1);
    std::cout << "locale " << bytes << std::endl;
}

static void passes() {
    using namespace std::chrono;
    const auto before = steady_clock::now();
    std::this_thread::sleep_for(10ms);
    if (steady_clock::now() - before >= 10ms && system_clock::now().time_since_epoch() > hours(24 * 365 * 54))
        std::cout << "time passes" << std::endl;
}

static void differs() {
    std::random_device source;
    std::uniform_int_distribution<unsigned long long> any;
    if (any(source) != any(source))
        std::cout << "random differs" << std::endl;
}

static void files() {
    std::size_t found = 0;
    for (const auto &entry : fs::recursive_directory_iterator(fs::current_path()))
        found += entry.is_regular_file() && entry.path().filename() == "looked-for" && fs::file_size(entry) == 4;
    std::cout << "files " << found << std::endl;
}

int main(int argc, char **) {
    threads();
    words();
    passes();
    differs();
    files();
    if (argc < 2) {
        const int status = std::system("exit 7");
        if (status == -1)
            std::cout << "subprocess refused" << std::endl;
        else
            std::cout << "subprocess " << WEXITSTATUS(status) << std::endl;
    }
}
