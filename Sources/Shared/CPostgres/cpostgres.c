#include "cpostgres.h"
#include "digest.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// The layout of libpq's PQconninfoOption, part of its stable ABI.
struct option {
    char *keyword, *envvar, *compiled, *val, *label, *dispchar;
    int dispsize;
};

static struct {
    cpq_conn *(*connectdbParams)(const char *const *, const char *const *, int);
    void (*finish)(cpq_conn *);
    int (*status)(const cpq_conn *);
    int (*serverVersion)(const cpq_conn *);
    int (*transactionStatus)(const cpq_conn *);
    int (*backendPID)(const cpq_conn *);
    char *(*errorMessage)(const cpq_conn *);
    const char *(*parameterStatus)(const cpq_conn *, const char *);
    cpq_result *(*exec)(cpq_conn *, const char *);
    cpq_result *(*execParams)(
        cpq_conn *, const char *, int, const unsigned *, const char *const *, const int *, const int *, int);
    void (*clear)(cpq_result *);
    int (*resultStatus)(const cpq_result *);
    char *(*resultErrorMessage)(const cpq_result *);
    char *(*resultErrorField)(const cpq_result *, int);
    int (*ntuples)(const cpq_result *);
    int (*nfields)(const cpq_result *);
    char *(*fname)(const cpq_result *, int);
    char *(*getvalue)(const cpq_result *, int, int);
    int (*getlength)(const cpq_result *, int, int);
    int (*getisnull)(const cpq_result *, int, int);
    char *(*cmdTuples)(cpq_result *);
    int (*getCopyData)(cpq_conn *, char **, int);
    int (*putCopyData)(cpq_conn *, const char *, int);
    int (*putCopyEnd)(cpq_conn *, const char *);
    cpq_result *(*getResult)(cpq_conn *);
    cpq_cancel *(*getCancel)(cpq_conn *);
    int (*cancel)(cpq_cancel *, char *, int);
    void (*freeCancel)(cpq_cancel *);
    void (*freemem)(void *);
    void *(*setNoticeProcessor)(cpq_conn *, void (*)(void *, const char *), void *);
    struct option *(*conninfoParse)(const char *, char **);
    void (*conninfoFree)(struct option *);
} pq;

static const char *load_error = NULL;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
    void *library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *said = dlerror();
        load_error = strdup(said ? said : "libpq.so.5 cannot be loaded");
        return;
    }
#define LOAD(name)                                                                                                     \
    do {                                                                                                               \
        *(void **)(&pq.name) = dlsym(library, "PQ" #name);                                                             \
        if (!pq.name) {                                                                                                \
            load_error = "libpq.so.5 lacks PQ" #name;                                                                  \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)
    LOAD(connectdbParams);
    LOAD(finish);
    LOAD(status);
    LOAD(serverVersion);
    LOAD(transactionStatus);
    LOAD(backendPID);
    LOAD(errorMessage);
    LOAD(parameterStatus);
    LOAD(exec);
    LOAD(execParams);
    LOAD(clear);
    LOAD(resultStatus);
    LOAD(resultErrorMessage);
    LOAD(resultErrorField);
    LOAD(ntuples);
    LOAD(nfields);
    LOAD(fname);
    LOAD(getvalue);
    LOAD(getlength);
    LOAD(getisnull);
    LOAD(cmdTuples);
    LOAD(getCopyData);
    LOAD(putCopyData);
    LOAD(putCopyEnd);
    LOAD(getResult);
    LOAD(getCancel);
    LOAD(cancel);
    LOAD(freeCancel);
    LOAD(freemem);
    LOAD(setNoticeProcessor);
    LOAD(conninfoParse);
    LOAD(conninfoFree);
#undef LOAD
}

const char *cpq_load(void) {
    pthread_once(&once, load);
    return load_error;
}

// Notices would otherwise go to stderr, which belongs to the agent's log.
static void ignore(void *context, const char *message) {
    (void)context;
    (void)message;
}

cpq_conn *cpq_connect(const char *const *keywords, const char *const *values) {
    cpq_conn *conn = pq.connectdbParams(keywords, values, 1);
    if (conn) pq.setNoticeProcessor(conn, ignore, NULL);
    return conn;
}
void cpq_finish(cpq_conn *conn) { pq.finish(conn); }
int cpq_is_ok(cpq_conn *conn) { return pq.status(conn) == 0; }
int cpq_server_version(cpq_conn *conn) { return pq.serverVersion(conn); }
int cpq_backend(cpq_conn *conn) { return pq.backendPID(conn); }
int cpq_transaction_status(cpq_conn *conn) { return pq.transactionStatus(conn); }
const char *cpq_error(cpq_conn *conn) { return pq.errorMessage(conn); }
const char *cpq_parameter(cpq_conn *conn, const char *name) { return pq.parameterStatus(conn, name); }
cpq_result *cpq_exec(cpq_conn *conn, const char *sql) { return pq.exec(conn, sql); }
cpq_result *cpq_exec_params(cpq_conn *conn, const char *sql, int count, const char *const *values) {
    return pq.execParams(conn, sql, count, NULL, values, NULL, NULL, 0);
}
void cpq_clear(cpq_result *result) { pq.clear(result); }
int cpq_status(cpq_result *result) { return pq.resultStatus(result); }
const char *cpq_result_error(cpq_result *result) { return pq.resultErrorMessage(result); }
const char *cpq_error_field(cpq_result *result, int field) { return pq.resultErrorField(result, field); }
int cpq_rows(cpq_result *result) { return pq.ntuples(result); }
int cpq_columns(cpq_result *result) { return pq.nfields(result); }
const char *cpq_column_name(cpq_result *result, int column) { return pq.fname(result, column); }
const char *cpq_value(cpq_result *result, int row, int column) { return pq.getvalue(result, row, column); }
int cpq_length(cpq_result *result, int row, int column) { return pq.getlength(result, row, column); }
int cpq_is_null(cpq_result *result, int row, int column) { return pq.getisnull(result, row, column); }
const char *cpq_affected(cpq_result *result) { return pq.cmdTuples(result); }

size_t cpq_copy_chunk(
    cpq_conn *conn, char **buffer, size_t *capacity, size_t goal, int64_t *rows, int *end, cpq_digest *digest) {
    size_t used = 0;
    *rows = 0;
    *end = 0;
    while (used < goal) {
        char *row = NULL;
        int length = pq.getCopyData(conn, &row, 0);
        if (length < 0) {
            *end = length == -1 ? 1 : -1;
            break;
        }
        size_t count = (size_t)length;
        if (used + count > *capacity) {
            size_t larger = used + count + goal;
            char *moved = realloc(*buffer, larger);
            if (!moved) {
                pq.freemem(row);
                *end = -1;
                break;
            }
            *buffer = moved;
            *capacity = larger;
        }
        memcpy(*buffer + used, row, count);
        if (digest) cpq_digest_row(digest, (const unsigned char *)row, count);
        pq.freemem(row);
        used += count;
        *rows += 1;
    }
    return used;
}

int cpq_put_copy(cpq_conn *conn, const char *bytes, int count) { return pq.putCopyData(conn, bytes, count); }
int cpq_put_copy_end(cpq_conn *conn, const char *reason) { return pq.putCopyEnd(conn, reason); }
cpq_result *cpq_next_result(cpq_conn *conn) { return pq.getResult(conn); }
cpq_cancel *cpq_get_cancel(cpq_conn *conn) { return pq.getCancel(conn); }
int cpq_send_cancel(cpq_cancel *cancel) {
    char reason[256];
    return pq.cancel(cancel, reason, sizeof reason);
}
void cpq_free_cancel(cpq_cancel *cancel) { pq.freeCancel(cancel); }

int cpq_conninfo_value(const char *conninfo, const char *keyword, char *out, size_t capacity) {
    char *said = NULL;
    struct option *options = pq.conninfoParse(conninfo, &said);
    if (said) pq.freemem(said);
    if (!options) return -1;
    int found = 0;
    if (capacity) out[0] = 0;
    for (struct option *option = options; option->keyword; option++) {
        if (strcmp(option->keyword, keyword) != 0 || !option->val || !capacity) continue;
        strncpy(out, option->val, capacity - 1);
        out[capacity - 1] = 0;
        found = 1;
    }
    pq.conninfoFree(options);
    return found;
}
