#include <errno.h>
#include <unistd.h>

int main(void) {
    for (;;) {
        if (fork() == -1 && errno == EAGAIN) return 1;
    }
}
