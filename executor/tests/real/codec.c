// Packs /in/data with a library, writes /out/packed, unpacks it again and says whether that is what it was.
// The library is chosen when this is compiled: -DCODEC_ZSTD, _XZ, _LZ4, _DEFLATE or _BROTLI.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(CODEC_ZSTD)
#include <zstd.h>
static size_t pack(const unsigned char *in, size_t length, unsigned char *out, size_t room) {
    return ZSTD_compress(out, room, in, length, 19);
}
static size_t unpack(const unsigned char *in, size_t length, unsigned char *out, size_t room) {
    return ZSTD_decompress(out, room, in, length);
}
#elif defined(CODEC_XZ)
#include <lzma.h>
static size_t pack(const unsigned char *in, size_t length, unsigned char *out, size_t room) {
    size_t used = 0;
    lzma_ret result = lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, NULL, in, length, out, &used, room);
    return result == LZMA_OK ? used : 0;
}
static size_t unpack(const unsigned char *in, size_t length, unsigned char *out, size_t room) {
    uint64_t memory = 1 << 30;
    size_t from = 0, used = 0;
    lzma_ret result = lzma_stream_buffer_decode(&memory, 0, NULL, in, &from, length, out, &used, room);
    return result == LZMA_OK ? used : 0;
}
#elif defined(CODEC_LZ4)
#include <lz4frame.h>
static size_t pack(const unsigned char *in, size_t length, unsigned char *out, size_t room) {
    LZ4F_preferences_t preferences = {.compressionLevel = 12};
    return LZ4F_compressFrame(out, room, in, length, &preferences);
}
static size_t unpack(const unsigned char *in, size_t length, unsigned char *out, size_t room) {
    LZ4F_dctx *context;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))) return 0;
    size_t used = 0;
    for (size_t from = 0; from < length;) {
        size_t written = room - used, read = length - from;
        if (LZ4F_isError(LZ4F_decompress(context, out + used, &written, in + from, &read, NULL))) return 0;
        used += written, from += read;
    }
    return used;
}
#elif defined(CODEC_DEFLATE)
#include <libdeflate.h>
static size_t pack(const unsigned char *in, size_t length, unsigned char *out, size_t room) {
    return libdeflate_gzip_compress(libdeflate_alloc_compressor(12), in, length, out, room);
}
static size_t unpack(const unsigned char *in, size_t length, unsigned char *out, size_t room) {
    size_t used = 0;
    libdeflate_gzip_decompress(libdeflate_alloc_decompressor(), in, length, out, room, &used);
    return used;
}
#elif defined(CODEC_BROTLI)
#include <brotli/decode.h>
#include <brotli/encode.h>
static size_t pack(const unsigned char *in, size_t length, unsigned char *out, size_t room) {
    BrotliEncoderCompress(9, 22, BROTLI_MODE_TEXT, length, in, &room, out);
    return room;
}
static size_t unpack(const unsigned char *in, size_t length, unsigned char *out, size_t room) {
    BrotliDecoderDecompress(length, in, &room, out);
    return room;
}
#endif

int main(void) {
    FILE *file = fopen("/in/data", "rb");
    if (!file) return 2;
    fseek(file, 0, SEEK_END);
    size_t length = ftell(file), room = 2 * length + 4096;
    rewind(file);
    unsigned char *data = malloc(length), *packed = malloc(room), *again = malloc(room);
    if (!data || !packed || !again || fread(data, 1, length, file) != length) return 3;
    size_t size = pack(data, length, packed, room);
    size_t back = unpack(packed, size, again, room);
    int same = back == length && memcmp(data, again, length) == 0;
    FILE *out = fopen("/out/packed", "wb");
    if (!out || fwrite(packed, 1, size, out) != size || fclose(out)) return 4;
    printf("%zu bytes packed into %zu, unpacked %s\n", length, size, same ? "the same" : "WRONG");
    return !same;
}
