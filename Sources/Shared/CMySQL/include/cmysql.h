#pragma once
#include <stddef.h>
#include <stdint.h>

// The few calls of MariaDB's client library that Bascule needs, resolved at run time from libmariadb.so.3: the agent must
// start on a node that has none, and no development package may be needed to build it.

typedef struct cmy_conn cmy_conn;
typedef struct cmy_result cmy_result;

/// Loads libmariadb once. Returns NULL on success, else what the loader said (static storage). Safe from several threads.
const char *cmy_load(void);

enum {
    CMY_TLS_OFF = 0,
    /// Encrypted, and whoever answers is believed.
    CMY_TLS_UNVERIFIED = 1,
    /// Encrypted, with the certificate's chain and name checked.
    CMY_TLS_VERIFIED = 2,
};

typedef struct {
    const char *host, *user, *password, *database;
    /// A unix socket's path, or NULL.
    const char *socket;
    /// A file of certificates to trust.
    const char *authorities;
    unsigned port, timeout;
    int tls;
} cmy_target;

/// Opens a connection. NULL on failure, with the text in `error` and the server's or the client's number in `code`.
cmy_conn *cmy_connect(const cmy_target *target, char *error, size_t capacity, unsigned *code);
void cmy_close(cmy_conn *conn);
/// Cuts the connection at once: rows that were not fetched are not read.
void cmy_cut(cmy_conn *conn);
/// Runs one statement. 0 on success.
int cmy_query(cmy_conn *conn, const char *sql, size_t length);
/// The rows of the last statement, streamed; NULL when it has none, or on an error.
cmy_result *cmy_use(cmy_conn *conn);
int cmy_columns(cmy_result *result);
/// The next row, or NULL at the end or on an error.
char **cmy_row(cmy_result *result);
const unsigned long *cmy_lengths(cmy_result *result);
void cmy_free(cmy_result *result);
unsigned cmy_errno(cmy_conn *conn);
const char *cmy_error(cmy_conn *conn);
const char *cmy_version(cmy_conn *conn);
unsigned long cmy_thread(cmy_conn *conn);
