#include "cmysql.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

// Numbers of enum mysql_option, part of the library's stable ABI.
enum {
    OPT_CONNECT_TIMEOUT = 0,
    OPT_LOCAL_INFILE = 8,
    OPT_PROTOCOL = 9,
    OPT_VERIFY_SERVER_CERT = 21,
    OPT_SSL_CA = 27,
    OPT_SSL_ENFORCE = 38,
    OPT_RESTRICTED_AUTH = 7026,
    PROTOCOL_TCP = 1,
    PROTOCOL_SOCKET = 2,
};

static struct {
    cmy_conn *(*init)(cmy_conn *);
    int (*options)(cmy_conn *, int, const void *);
    cmy_conn *(*real_connect)(
        cmy_conn *, const char *, const char *, const char *, const char *, unsigned, const char *, unsigned long);
    void (*close)(cmy_conn *);
    int (*real_query)(cmy_conn *, const char *, unsigned long);
    cmy_result *(*use_result)(cmy_conn *);
    unsigned (*num_fields)(cmy_result *);
    char **(*fetch_row)(cmy_result *);
    unsigned long *(*fetch_lengths)(cmy_result *);
    void (*free_result)(cmy_result *);
    unsigned (*get_errno)(cmy_conn *);
    const char *(*error)(cmy_conn *);
    char *(*get_server_info)(cmy_conn *);
    unsigned long (*thread_id)(cmy_conn *);
    int (*cancel)(cmy_conn *);
} my;

static const char *load_error = NULL;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
    void *library = dlopen("libmariadb.so.3", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *said = dlerror();
        load_error = strdup(said ? said : "libmariadb.so.3 cannot be loaded");
        return;
    }
#define LOAD(field, name)                                                                                              \
    do {                                                                                                               \
        *(void **)(&my.field) = dlsym(library, name);                                                                  \
        if (!my.field) {                                                                                               \
            load_error = "libmariadb.so.3 lacks " name;                                                                \
            return;                                                                                                    \
        }                                                                                                              \
    } while (0)
    LOAD(init, "mysql_init");
    LOAD(options, "mysql_options");
    LOAD(real_connect, "mysql_real_connect");
    LOAD(close, "mysql_close");
    LOAD(real_query, "mysql_real_query");
    LOAD(use_result, "mysql_use_result");
    LOAD(num_fields, "mysql_num_fields");
    LOAD(fetch_row, "mysql_fetch_row");
    LOAD(fetch_lengths, "mysql_fetch_lengths");
    LOAD(free_result, "mysql_free_result");
    LOAD(get_errno, "mysql_errno");
    LOAD(error, "mysql_error");
    LOAD(get_server_info, "mysql_get_server_info");
    LOAD(thread_id, "mysql_thread_id");
    LOAD(cancel, "mariadb_cancel");
#undef LOAD
}

const char *cmy_load(void) {
    pthread_once(&once, load);
    return load_error;
}

cmy_conn *cmy_connect(const cmy_target *target, char *error, size_t capacity, unsigned *code) {
    cmy_conn *conn = my.init(NULL);
    if (!conn) {
        strncpy(error, "out of memory", capacity - 1);
        return NULL;
    }
    char yes = 1;
    unsigned no = 0;
    unsigned protocol = target->socket ? PROTOCOL_SOCKET : PROTOCOL_TCP;
    my.options(conn, OPT_CONNECT_TIMEOUT, &target->timeout);
    // A server could otherwise ask for any file of this machine.
    my.options(conn, OPT_LOCAL_INFILE, &no);
    my.options(conn, OPT_PROTOCOL, &protocol);
    if (!target->socket) {
        // Without this a server could ask for the password in the clear.
        my.options(
            conn, OPT_RESTRICTED_AUTH, "mysql_native_password,caching_sha2_password,client_ed25519,sha256_password");
        if (target->tls != CMY_TLS_OFF) {
            my.options(conn, OPT_SSL_ENFORCE, &yes);
            char verify = target->tls == CMY_TLS_VERIFIED;
            if (verify) my.options(conn, OPT_SSL_CA, target->authorities);
            my.options(conn, OPT_VERIFY_SERVER_CERT, &verify);
        }
    }
    if (!my.real_connect(
            conn, target->host, target->user, target->password, target->database, target->port, target->socket, 0)) {
        strncpy(error, my.error(conn), capacity - 1);
        *code = my.get_errno(conn);
        my.close(conn);
        return NULL;
    }
    return conn;
}

void cmy_close(cmy_conn *conn) { my.close(conn); }
void cmy_cut(cmy_conn *conn) { my.cancel(conn); }
int cmy_query(cmy_conn *conn, const char *sql, size_t length) { return my.real_query(conn, sql, length); }
cmy_result *cmy_use(cmy_conn *conn) { return my.use_result(conn); }
int cmy_columns(cmy_result *result) { return (int)my.num_fields(result); }
char **cmy_row(cmy_result *result) { return my.fetch_row(result); }
const unsigned long *cmy_lengths(cmy_result *result) { return my.fetch_lengths(result); }
void cmy_free(cmy_result *result) { my.free_result(result); }
unsigned cmy_errno(cmy_conn *conn) { return my.get_errno(conn); }
const char *cmy_error(cmy_conn *conn) { return my.error(conn); }
const char *cmy_version(cmy_conn *conn) { return my.get_server_info(conn); }
unsigned long cmy_thread(cmy_conn *conn) { return my.thread_id(conn); }
