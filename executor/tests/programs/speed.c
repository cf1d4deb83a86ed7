// Eleven programs in one file, chosen by -DPROGRAM=name: what the bench of the executor runs beside plain WebAssembly. Each
// takes some 100 ms and prints one number, so that the runs can be compared.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t seed = 12345;
static uint32_t next(void) {
    seed = seed * 1664525u + 1013904223u;
    return seed;
}

// Integers.

static uint32_t rotate(uint32_t value, int by) { return value >> by | value << (32 - by); }

static uint64_t sha256(void) {
    static uint32_t k[64];
    for (int i = 0; i < 64; i++) k[i] = next();
    uint32_t state[8] = {1, 2, 3, 4, 5, 6, 7, 8}, w[64];
    for (int block = 0; block < 160000; block++) {
        for (int i = 0; i < 16; i++) w[i] = state[i & 7] + i;
        for (int i = 16; i < 64; i++) {
            uint32_t a = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
            uint32_t b = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
            w[i] = w[i - 16] + a + w[i - 7] + b;
        }
        uint32_t v[8];
        memcpy(v, state, sizeof v);
        for (int i = 0; i < 64; i++) {
            uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
            uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
            uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
            uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
            memmove(v + 1, v, 7 * sizeof *v);
            v[4] += t1;
            v[0] = t1 + t2;
        }
        for (int i = 0; i < 8; i++) state[i] += v[i];
    }
    return state[0];
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint64_t sort(void) {
    enum { COUNT = 400000 };
    static uint32_t list[COUNT];
    for (int i = 0; i < COUNT; i++) list[i] = next();
    qsort(list, COUNT, sizeof *list, by_value);
    uint64_t sum = 0;
    for (int i = 0; i < COUNT; i += 1000) sum = sum * 31 + list[i];
    return sum;
}

static uint64_t sieve(void) {
    enum { LIMIT = 6000000 };
    static uint8_t composite[LIMIT];
    uint64_t count = 0;
    for (int round = 0; round < 3; round++) {
        memset(composite, 0, sizeof composite);
        for (int i = 2; i < LIMIT; i++) {
            if (composite[i]) continue;
            count++;
            for (int j = i * 2; j < LIMIT; j += i) composite[j] = 1;
        }
    }
    return count;
}

static uint64_t crc(void) {
    static uint32_t table[256];
    static uint8_t data[1 << 16];
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
        table[i] = c;
    }
    for (unsigned i = 0; i < sizeof data; i++) data[i] = next() >> 24;
    uint32_t c = ~0u;
    for (int round = 0; round < 800; round++)
        for (unsigned i = 0; i < sizeof data; i++) c = table[(c ^ data[i]) & 255] ^ c >> 8;
    return c;
}

static uint64_t hashtable(void) {
    enum { SLOTS = 1 << 18 };
    static uint32_t keys[SLOTS], values[SLOTS];
    uint64_t sum = 0;
    for (int i = 0; i < 6000000; i++) {
        uint32_t key = next() % 150000 + 1, at = key * 2654435761u >> 14;
        while (keys[at] && keys[at] != key) at = (at + 1) % SLOTS;
        keys[at] = key;
        sum += ++values[at];
    }
    return sum;
}

static uint64_t interpreter(void) {
    // Counts down, adds and mixes: six kinds of instructions.
    static const uint8_t code[] = {0, 7, 1, 2, 3, 1, 4, 2, 1, 3, 0, 1, 2, 5};
    uint32_t a = 0, b = 1, count = 4000000;
    for (unsigned at = 0;;) {
        switch (code[at++]) {
        case 0: a += code[at++]; break;
        case 1: b ^= a << 3; break;
        case 2: a = rotate(a, 5) + b; break;
        case 3: if (a & 1) b++; break;
        case 4: a *= 2654435761u; break;
        default:
            if (--count == 0) return a ^ b;
            at = 0;
        }
    }
}

static uint64_t bigint(void) {
    enum { WORDS = 900 };
    static uint32_t a[WORDS], b[WORDS], out[2 * WORDS];
    for (int i = 0; i < WORDS; i++) a[i] = next(), b[i] = next();
    for (int round = 0; round < 100; round++) {
        memset(out, 0, sizeof out);
        for (int i = 0; i < WORDS; i++) {
            uint64_t carry = 0;
            for (int j = 0; j < WORDS; j++) {
                carry += (uint64_t)a[i] * b[j] + out[i + j];
                out[i + j] = (uint32_t)carry;
                carry >>= 32;
            }
            out[i + WORDS] = (uint32_t)carry;
        }
        memcpy(a, out + WORDS / 2, sizeof a);
    }
    return out[WORDS];
}

// Recursion.

static uint32_t fib(uint32_t n) __attribute__((noinline));
static uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
static uint64_t recursion(void) { return fib(36); }

// Floats.

static uint64_t nbody(void) {
    enum { BODIES = 5 };
    static double p[BODIES][3], v[BODIES][3], mass[BODIES];
    for (int i = 0; i < BODIES; i++) {
        mass[i] = 1 + next() % 100 / 10.0;
        for (int d = 0; d < 3; d++) p[i][d] = next() % 1000 / 10.0, v[i][d] = next() % 1000 / 1e4;
    }
    for (int step = 0; step < 500000; step++) {
        for (int i = 0; i < BODIES; i++)
            for (int j = i + 1; j < BODIES; j++) {
                double d[3], square = 0.01;
                for (int n = 0; n < 3; n++) d[n] = p[i][n] - p[j][n], square += d[n] * d[n];
                double force = 0.001 / (square * sqrt(square));
                for (int n = 0; n < 3; n++) {
                    v[i][n] -= d[n] * mass[j] * force;
                    v[j][n] += d[n] * mass[i] * force;
                }
            }
        for (int i = 0; i < BODIES; i++)
            for (int n = 0; n < 3; n++) p[i][n] += 0.001 * v[i][n];
    }
    return (uint64_t)(int64_t)(p[0][0] * 1e9);
}

static uint64_t matrix(void) {
    enum { SIDE = 360 };
    static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) a[i][j] = next() % 100, b[i][j] = next() % 100 / 7.0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            double sum = 0;
            for (int k = 0; k < SIDE; k++) sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
    return (uint64_t)c[17][23];
}

static uint64_t mandelbrot(void) {
    uint64_t sum = 0;
    for (int y = 0; y < 400; y++)
        for (int x = 0; x < 400; x++) {
            double cr = x / 200.0 - 1.5, ci = y / 200.0 - 1.0, r = 0, i = 0;
            int n = 0;
            for (; n < 500 && r * r + i * i < 4; n++) {
                double t = r * r - i * i + cr;
                i = 2 * r * i + ci;
                r = t;
            }
            sum += n;
        }
    return sum;
}

static uint64_t special(void) {
    double sum = 0;
    for (int i = 1; i < 700000; i++) sum += sin(i) * exp(-i / 3000.0) + log1p(1.0 / i) * sqrt(i);
    return (uint64_t)(int64_t)(sum * 1e6);
}

int main(void) {
    printf("%llu\n", (unsigned long long)PROGRAM());
    return 0;
}
