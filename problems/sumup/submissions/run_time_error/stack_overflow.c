/* Not a tail call, so that no optimiser makes a loop of it. */
__attribute__((noinline)) static int down(volatile char *above, int depth) {
    volatile char page[4096];
    page[0] = (char)depth;
    return down(page, depth + 1) + above[0];
}

int main(void) {
    volatile char first = 0;
    return down(&first, 0);
}
