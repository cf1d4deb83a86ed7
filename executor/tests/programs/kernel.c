// A float kernel: a damped wave on a grid, a sum of special functions, and the bits of what came out.
// With a second argument it also prints the bits of NaNs that it made on the way, which differ between processors
// where an engine does not make them canonical.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 96, STEPS = 200 };
static double now[SIDE][SIDE], before[SIDE][SIDE], after[SIDE][SIDE];

static uint64_t bits(double value) {
    uint64_t out;
    memcpy(&out, &value, sizeof out);
    return out;
}

static uint32_t bits_of_float(float value) {
    uint32_t out;
    memcpy(&out, &value, sizeof out);
    return out;
}

static void wave(void) {
    now[SIDE / 2][SIDE / 3] = 1.0;
    for (int step = 0; step < STEPS; step++) {
        for (int y = 1; y + 1 < SIDE; y++) {
            for (int x = 1; x + 1 < SIDE; x++) {
                double around = now[y - 1][x] + now[y + 1][x] + now[y][x - 1] + now[y][x + 1] - 4 * now[y][x];
                after[y][x] = (2 * now[y][x] - before[y][x] + 0.2 * around) * 0.999;
            }
        }
        memcpy(before, now, sizeof now);
        memcpy(now, after, sizeof now);
    }
}

int main(int argc, char **argv) {
    int terms = argc > 1 ? atoi(argv[1]) : 20000;
    wave();
    double energy = 0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) energy += now[y][x] * now[y][x];
    double sum = 0;
    for (int i = 1; i <= terms; i++) sum += sin(i) * exp(-i / 3000.0) + pow(i, -1.5) + log1p(1.0 / i) * cbrt(i);
    float narrow = 0;
    for (int i = 1; i <= terms; i++) narrow += sqrtf((float)i) / (float)(i * 3) + floorf(i * 0.37f) * 1e-6f;
    volatile double zero = 0, huge = 1e308;
    double quiet = zero / zero, infinite = huge * 10, minus = -zero;
    // Rounding, conversions and comparisons around NaN.
    printf("energy %.17g %016llx\n", energy, (unsigned long long)bits(energy));
    printf("sum %.17g %016llx\n", sum, (unsigned long long)bits(sum));
    printf("narrow %.9g %08x\n", (double)narrow, bits_of_float(narrow));
    printf("infinity %016llx zero %016llx\n", (unsigned long long)bits(infinite), (unsigned long long)bits(minus));
    if (argc > 2) {
        printf("nan of quotient %016llx\n", (unsigned long long)bits(quiet));
        printf("nan of sum %016llx\n", (unsigned long long)bits(quiet * -1.0 + sum));
        printf("nan of difference %016llx\n", (unsigned long long)bits(infinite - infinite));
        printf("nan of root %016llx\n", (unsigned long long)bits(sqrt(-2.0 + zero)));
    }
    printf("rounded %g %g %g %g\n", rint(2.5), nearbyint(-0.5), trunc(-1.7), ceil(0.2));
    return 0;
}
