#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    for (;;) {
        char *block = malloc(16 << 20);
        if (block == NULL) return 1;
        memset(block, 1, 16 << 20);
        printf("%p\n", (void *)block);
    }
}
