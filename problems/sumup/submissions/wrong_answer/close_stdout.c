#include <unistd.h>

/* Closes its output and goes on: the judge must not wait for more, and must not take it for a crash. */
int main(void) {
    close(1);
    return 0;
}
