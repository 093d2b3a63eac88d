// What hash tables ask for when a process begins: with the same answer, a run of the check is the same every time.
#include <string.h>
#include <sys/types.h>

ssize_t getrandom(void *buffer, size_t length, unsigned flags) {
    (void)flags;
    memset(buffer, 7, length);
    return length;
}
