// Fails in the tasks whose indices are its arguments; says in every other which task of how many it is.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    const char *index = getenv("GRIDPROOF_TASK_INDEX");
    const char *count = getenv("GRIDPROOF_TASK_COUNT");
    if (!index || !count) return 2;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], index) == 0) return 3;
    }
    printf("task %s of %s\n", index, count);
    return 0;
}
