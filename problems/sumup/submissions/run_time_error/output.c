#include <stdio.h>

int main(void) {
    for (;;) puts("one line, and another, and another, and another");
}
