#include "digest.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// OpenSSL's low-level functions: they use the processor's SHA instructions and, unlike its newer interface, cost
// nothing but the hashing (a row is some 100 bytes). Their context has 112 bytes; some room is left.
static struct {
    int (*init)(void *);
    int (*update)(void *, const void *, size_t);
    int (*final)(unsigned char *, void *);
} sha;

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
    void *library = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    *(void **)(&sha.init) = dlsym(library, "SHA256_Init");
    *(void **)(&sha.update) = dlsym(library, "SHA256_Update");
    *(void **)(&sha.final) = dlsym(library, "SHA256_Final");
}

int cpq_can_digest(void) {
    pthread_once(&once, load);
    return sha.init && sha.update && sha.final;
}

void cpq_digest_end(cpq_digest *digest) {
    free(digest->scratch);
    digest->scratch = NULL;
    digest->capacity = 0;
}

static uint32_t rotate(uint32_t value, int bits) { return (value << bits) | (value >> (32 - bits)); }

static uint32_t word(const unsigned char *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

#define MIX(a, b, c)                                                                                                   \
    do {                                                                                                               \
        a -= c, a ^= rotate(c, 4), c += b;                                                                             \
        b -= a, b ^= rotate(a, 6), a += c;                                                                             \
        c -= b, c ^= rotate(b, 8), b += a;                                                                             \
        a -= c, a ^= rotate(c, 16), c += b;                                                                            \
        b -= a, b ^= rotate(a, 19), a += c;                                                                            \
        c -= b, c ^= rotate(b, 4), b += a;                                                                             \
    } while (0)

// PostgreSQL's hash_bytes_extended (Bob Jenkins' lookup3) of exactly 32 bytes, as a little-endian server computes it.
static uint64_t fold(const unsigned char *bytes, int64_t seed) {
    uint32_t a = 0x9e3779b9u + 32 + 3923095, b = a, c = a;
    if (seed != 0) {
        a += (uint32_t)((uint64_t)seed >> 32);
        b += (uint32_t)seed;
        MIX(a, b, c);
    }
    for (int place = 0; place < 24; place += 12) {
        a += word(bytes + place);
        b += word(bytes + place + 4);
        c += word(bytes + place + 8);
        MIX(a, b, c);
    }
    a += word(bytes + 24);
    b += word(bytes + 28);
    c ^= b, c -= rotate(b, 14);
    a ^= c, a -= rotate(c, 11);
    b ^= a, b -= rotate(a, 25);
    c ^= b, c -= rotate(b, 16);
    a ^= c, a -= rotate(c, 4);
    b ^= a, b -= rotate(a, 14);
    c ^= b, c -= rotate(b, 24);
    return (uint64_t)b << 32 | c;
}

static void add(cpq_digest *digest, const unsigned char *record, size_t count) {
    unsigned char context[256] __attribute__((aligned(16)));
    unsigned char hash[32];
    if (!sha.init(context) || !sha.update(context, record, count) || !sha.final(hash, context)) {
        digest->failed = 1;
        return;
    }
    for (int half = 0; half < 2; half++) {
        // hash_array_extended starts at 1 and takes each element as 31 * result + hash.
        int64_t value = (int64_t)(31 + fold(hash, digest->seeds[half]));
        uint64_t before = digest->low[half];
        digest->low[half] += (uint64_t)value;
        digest->high[half] += (value < 0 ? -1 : 0) + (digest->low[half] < before ? 1 : 0);
    }
    digest->rows += 1;
}

static int reserve(cpq_digest *digest, size_t count) {
    if (count <= digest->capacity) return 1;
    size_t larger = count + count / 2 + 4096;
    unsigned char *moved = realloc(digest->scratch, larger);
    if (!moved) return 0;
    digest->scratch = moved;
    digest->capacity = larger;
    return 1;
}

static void put(unsigned char *out, uint32_t value) {
    out[0] = (unsigned char)(value >> 24);
    out[1] = (unsigned char)(value >> 16);
    out[2] = (unsigned char)(value >> 8);
    out[3] = (unsigned char)value;
}

static uint32_t big(const unsigned char *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | (uint32_t)bytes[3];
}

// A row of the binary format: a 16-bit count of fields, then length and value of each.
static int binary(cpq_digest *digest, const unsigned char *bytes, size_t count) {
    if (!digest->started) {
        static const unsigned char signature[11] = {'P', 'G', 'C', 'O', 'P', 'Y', '\n', 255, '\r', '\n', 0};
        if (count < 19 || memcmp(bytes, signature, sizeof signature) != 0) return 0;
        size_t extension = big(bytes + 15);
        if (extension > count - 19) return 0;
        bytes += 19 + extension;
        count -= 19 + extension;
        digest->started = 1;
        if (count == 0) return 1;
    }
    if (count == 2 && bytes[0] == 255 && bytes[1] == 255) return 1;
    if (count < 2 || (bytes[0] << 8 | bytes[1]) != digest->columns) return 0;
    if (!reserve(digest, count + 4 + 4 * (size_t)digest->columns)) return 0;
    unsigned char *out = digest->scratch;
    put(out, (uint32_t)digest->columns);
    out += 4;
    size_t place = 2;
    for (int column = 0; column < digest->columns; column++) {
        if (count - place < 4) return 0;
        uint32_t length = big(bytes + place);
        put(out, digest->types[column]);
        size_t value = length == UINT32_MAX ? 0 : length;
        if (value > count - place - 4) return 0;
        memcpy(out + 4, bytes + place, 4 + value);
        out += 8 + value;
        place += 4 + value;
    }
    if (place != count) return 0;
    add(digest, digest->scratch, (size_t)(out - digest->scratch));
    return 1;
}

static unsigned char plain(unsigned char letter) {
    switch (letter) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'v': return '\v';
    default: return letter;
    }
}

// A row of the text format: fields between tabs, special bytes behind backslashes, a newline at the end.
static int text(cpq_digest *digest, const unsigned char *bytes, size_t count) {
    enum { TEXT_TYPE = 25 };
    if (count == 0 || bytes[count - 1] != '\n') return 0;
    count -= 1;
    if (!reserve(digest, count + 4 + 8 * (size_t)digest->columns)) return 0;
    unsigned char *out = digest->scratch;
    put(out, (uint32_t)digest->columns);
    out += 4;
    size_t place = 0;
    for (int column = 0; column < digest->columns; column++) {
        if (column > 0) {
            if (place >= count || bytes[place] != '\t') return 0;
            place += 1;
        }
        unsigned char *head = out;
        out += 8;
        put(head, TEXT_TYPE);
        if (count - place >= 2 && bytes[place] == '\\' && bytes[place + 1] == 'N' &&
            (place + 2 == count || bytes[place + 2] == '\t')) {
            put(head + 4, UINT32_MAX);
            place += 2;
            continue;
        }
        while (place < count && bytes[place] != '\t') {
            if (bytes[place] == '\\') {
                place += 1;
                if (place >= count) return 0;
                *out++ = plain(bytes[place++]);
            } else {
                *out++ = bytes[place++];
            }
        }
        put(head + 4, (uint32_t)(out - head - 8));
    }
    if (place != count) return 0;
    add(digest, digest->scratch, (size_t)(out - digest->scratch));
    return 1;
}

void cpq_digest_row(cpq_digest *digest, const unsigned char *bytes, size_t count) {
    if (digest->failed) return;
    int is_good = digest->is_text ? text(digest, bytes, count) : binary(digest, bytes, count);
    if (!is_good) digest->failed = 1;
}
