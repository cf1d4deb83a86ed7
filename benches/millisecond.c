// About a millisecond of work, so that what is left of a job's time is the overhead.
#include <stdint.h>

int main(void) {
    volatile uint32_t state = 1;
    for (int i = 0; i < 250000; i++) {
        state = state * 1664525u + 1013904223u;
    }
    return state == 0;
}
