// Draws a picture, writes it lossy and lossless as /out/lossy.webp and /out/lossless.webp, and reads both again.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>
#include <webp/encode.h>

enum { WIDTH = 320, HEIGHT = 200 };
static uint8_t picture[WIDTH * HEIGHT * 3];

static void keep(const char *path, uint8_t *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    if (!size || !file || fwrite(bytes, 1, size, file) != size || fclose(file)) exit(2);
    int width, height;
    uint8_t *back = WebPDecodeRGB(bytes, size, &width, &height);
    if (!back) exit(3);
    double error = 0;
    for (int at = 0; at < WIDTH * HEIGHT * 3; at++) error += pow(picture[at] - back[at], 2);
    printf("%s: %zu bytes, %d x %d, error %.9f\n", path, size, width, height, sqrt(error / (WIDTH * HEIGHT * 3)));
}

int main(void) {
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++)
                picture[(y * WIDTH + x) * 3 + c] = 127.5 + 127.5 * sin(x * 0.05 * (c + 1) + y * y * 0.0007) * cos(y * 0.03 - c);
    uint8_t *bytes;
    size_t size = WebPEncodeRGB(picture, WIDTH, HEIGHT, WIDTH * 3, 80, &bytes);
    keep("/out/lossy.webp", bytes, size);
    size = WebPEncodeLosslessRGB(picture, WIDTH, HEIGHT, WIDTH * 3, &bytes);
    keep("/out/lossless.webp", bytes, size);
    return 0;
}
