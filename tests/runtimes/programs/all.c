#include <locale.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <wctype.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long sum;

static void *add(void *first) {
    for (long i = (long)first; i < 100; i += 4) {
        pthread_mutex_lock(&lock);
        sum += i;
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void threads(void) {
    pthread_t all[4];
    for (long i = 0; i < 4; i++)
        if (pthread_create(&all[i], NULL, add, (void *)i) != 0)
            return;
    for (int i = 0; i < 4; i++)
        pthread_join(all[i], NULL);
    printf("threads %ld\n", sum);
}

static void words(void) {
    if (setlocale(LC_ALL, "") != NULL)
        printf("locale %lc%lc%lc\n", towupper(L'ä'), towupper(L'ö'), towupper(L'ü'));
}

static void passes(void) {
    struct timespec before, after, pause = {0, 10 * 1000 * 1000};
    clock_gettime(CLOCK_MONOTONIC, &before);
    nanosleep(&pause, NULL);
    clock_gettime(CLOCK_MONOTONIC, &after);
    time_t now = time(NULL);
    long slept = (after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec;
    if (slept >= pause.tv_nsec && localtime(&now)->tm_year >= 124)
        printf("time passes\n");
}

static void differs(void) {
    char one[16], two[16];
    if (getrandom(one, 16, 0) == 16 && getrandom(two, 16, 0) == 16 && memcmp(one, two, 16) != 0)
        printf("random differs\n");
}

static void subprocess(void) {
    char *const arguments[] = {"sh", "-c", "exit 7", NULL}, *const none[] = {NULL};
    pid_t child;
    int status;
    if (posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, none) != 0)
        printf("subprocess refused\n");
    else if (waitpid(child, &status, 0) == child)
        printf("subprocess %d\n", WEXITSTATUS(status));
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    threads();
    words();
    passes();
    differs();
    if (argc < 2)
        subprocess();
    (void)argv;
    return 0;
}
