/* The compiler runs in a box too: no file of the host but /usr is there to be included. */
#include "/etc/shadow"

int main(void) { return 0; }
