// A Redis module with a type of its own, `bascule-t`, and a command that makes such a key: BASCULE.MAKE key number.
//   cc -shared -fPIC -O1 -o redis-type.so redis-type.c
// Without redismodule.h, which Debian does not have: a module asks for each function by its name.
#include <stdint.h>
#include <stdlib.h>

typedef struct {
    uint64_t version;
    void *(*rdb_load)(void *io, int encver);
    void (*rdb_save)(void *io, void *value);
    void (*aof_rewrite)(void *io, void *key, void *value);
    uint64_t (*mem_usage)(const void *value);
    void (*digest)(void *digest, void *value);
    void (*free)(void *value);
} Methods;

static uint64_t (*loadUnsigned)(void *);
static void (*saveUnsigned)(void *, uint64_t);
static void *(*openKey)(void *, void *, int);
static void (*closeKey)(void *);
static int (*setValue)(void *, void *, void *);
static int (*stringToLong)(const void *, long long *);
static int (*reply)(void *, long long);
static void *type;

static void *load(void *io, int encver) {
    uint64_t *value = malloc(sizeof *value);
    (void)encver;
    *value = loadUnsigned(io);
    return value;
}

static void save(void *io, void *value) { saveUnsigned(io, *(uint64_t *)value); }

static int make(void *context, void **arguments, int count) {
    long long number = 0;
    uint64_t *value = malloc(sizeof *value);
    if (count == 3) stringToLong(arguments[2], &number);
    *value = (uint64_t)number;
    void *key = openKey(context, arguments[1], 2);
    setValue(key, type, value);
    closeKey(key);
    return reply(context, number);
}

int RedisModule_OnLoad(void *context) {
    int (*find)(const char *, void *) = (int (*)(const char *, void *))((void **)context)[0];
    void (*attributes)(void *, const char *, int, int);
    void *(*createType)(void *, const char *, int, Methods *);
    int (*createCommand)(void *, const char *, void *, const char *, int, int, int);
    find("RedisModule_SetModuleAttribs", &attributes);
    find("RedisModule_CreateDataType", &createType);
    find("RedisModule_CreateCommand", &createCommand);
    find("RedisModule_LoadUnsigned", &loadUnsigned);
    find("RedisModule_SaveUnsigned", &saveUnsigned);
    find("RedisModule_OpenKey", &openKey);
    find("RedisModule_CloseKey", &closeKey);
    find("RedisModule_ModuleTypeSetValue", &setValue);
    find("RedisModule_StringToLongLong", &stringToLong);
    find("RedisModule_ReplyWithLongLong", &reply);
    attributes(context, "bascule", 1, 1);
    Methods methods = {.version = 1, .rdb_load = load, .rdb_save = save, .free = free};
    type = createType(context, "bascule-t", 1, &methods);
    return type ? createCommand(context, "bascule.make", make, "write", 1, 1, 1) : 1;
}
