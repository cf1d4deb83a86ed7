// Counts the numbers in /in/data, one per line, in bins, and writes the counts to /out/hist.csv.
//
// In a job of several tasks, task i of n counts the lines whose number is i modulo n: the sum of all tasks' counts is
// the histogram of the whole file. A first argument sets the number of bins (16).
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long from_environment(const char *name, unsigned long otherwise) {
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : otherwise;
}

int main(int argc, char **argv) {
    unsigned long index = from_environment("GRIDPROOF_TASK_INDEX", 0);
    unsigned long count = from_environment("GRIDPROOF_TASK_COUNT", 1);
    long bins = argc > 1 ? strtol(argv[1], NULL, 10) : 16;
    if (bins < 1 || bins > 100000 || count == 0) {
        fprintf(stderr, "the number of bins must be between 1 and 100000\n");
        return 2;
    }

    FILE *in = fopen("/in/data", "r");
    if (!in) {
        perror("/in/data");
        return 1;
    }
    double *values = NULL, least = INFINITY, most = -INFINITY, sum = 0;
    size_t used = 0, room = 0;
    double value;
    for (unsigned long line = 0; fscanf(in, "%lf", &value) == 1; line++) {
        // Every task sees the whole range, so that the bins of all tasks are the same.
        if (value < least) least = value;
        if (value > most) most = value;
        if (line % count != index) continue;
        if (used == room) {
            room = room ? 2 * room : 1024;
            values = realloc(values, room * sizeof *values);
            if (!values) {
                fprintf(stderr, "not enough memory for %zu numbers\n", room);
                return 1;
            }
        }
        values[used++] = value;
        sum += value;
    }
    if (!feof(in)) {
        fprintf(stderr, "/in/data holds something that is not a number\n");
        return 1;
    }
    fclose(in);

    unsigned long *counts = calloc((size_t)bins, sizeof *counts);
    if (!counts) return 1;
    double width = (most - least) / (double)bins;
    for (size_t i = 0; i < used; i++) {
        long bin = width > 0 ? (long)((values[i] - least) / width) : 0;
        counts[bin < bins ? bin : bins - 1]++;
    }

    FILE *out = fopen("/out/hist.csv", "w");
    if (!out) {
        perror("/out/hist.csv");
        return 1;
    }
    fprintf(out, "from,to,count\n");
    for (long bin = 0; bin < bins; bin++) {
        fprintf(out, "%.6f,%.6f,%lu\n", least + width * (double)bin, least + width * (double)(bin + 1), counts[bin]);
    }
    if (fclose(out) != 0) {
        perror("/out/hist.csv");
        return 1;
    }
    printf("task %lu of %lu: %zu numbers, mean %.6f, range %.6f to %.6f\n", index, count, used,
           used ? sum / (double)used : 0.0, least, most);
    free(values);
    free(counts);
    return 0;
}
