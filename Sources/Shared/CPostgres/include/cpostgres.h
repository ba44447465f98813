#pragma once
#include <stddef.h>
#include <stdint.h>

// The few libpq calls Bascule needs, resolved at run time from libpq.so.5: the agent must start on a node that has no
// PostgreSQL, and no development package may be needed to build it.

typedef struct cpq_conn cpq_conn;
typedef struct cpq_result cpq_result;
typedef struct cpq_cancel cpq_cancel;

/// Loads libpq once. Returns NULL on success, else what the loader said (static storage). Safe from several threads.
const char *cpq_load(void);

/// Result statuses, as libpq numbers them.
enum {
    CPQ_EMPTY_QUERY = 0,
    CPQ_COMMAND_OK = 1,
    CPQ_TUPLES_OK = 2,
    CPQ_COPY_OUT = 3,
    CPQ_COPY_IN = 4,
    CPQ_BAD_RESPONSE = 5,
    CPQ_NONFATAL_ERROR = 6,
    CPQ_FATAL_ERROR = 7,
};

/// Opens a connection. `keywords` and `values` end with NULL; a `dbname` that is a conninfo string or URL is expanded.
cpq_conn *cpq_connect(const char *const *keywords, const char *const *values);
void cpq_finish(cpq_conn *conn);
int cpq_is_ok(cpq_conn *conn);
int cpq_server_version(cpq_conn *conn);
/// The number of the server's process, as the login was told.
int cpq_backend(cpq_conn *conn);
/// 0 idle, 1 active, 2 in a transaction, 3 in a failed transaction, 4 unknown.
int cpq_transaction_status(cpq_conn *conn);
const char *cpq_error(cpq_conn *conn);
const char *cpq_parameter(cpq_conn *conn, const char *name);

/// The simple protocol: several statements in one string are possible.
cpq_result *cpq_exec(cpq_conn *conn, const char *sql);
/// The extended protocol: one statement only, text parameters, text results.
cpq_result *cpq_exec_params(cpq_conn *conn, const char *sql, int count, const char *const *values);
void cpq_clear(cpq_result *result);
int cpq_status(cpq_result *result);
const char *cpq_result_error(cpq_result *result);
/// `field` is libpq's one-letter code: 'C' SQLSTATE, 'M' message, 'D' detail, 'W' context, 't' table, 's' schema.
const char *cpq_error_field(cpq_result *result, int field);
int cpq_rows(cpq_result *result);
int cpq_columns(cpq_result *result);
const char *cpq_column_name(cpq_result *result, int column);
const char *cpq_value(cpq_result *result, int row, int column);
int cpq_length(cpq_result *result, int row, int column);
int cpq_is_null(cpq_result *result, int row, int column);
const char *cpq_affected(cpq_result *result);

/// The digest of the rows of a COPY stream, taken while they go through. A row's canonical form is what the server's
/// `record_send` would give for it: the number of columns, then type, length and value of each. SHA-256 of it is folded
/// twice, as `hash_array_extended(ARRAY[sha256], seed)` does, and the results are added up as signed 128-bit numbers.
typedef struct {
    /// Types of the columns, for COPY's binary format; in the text format every column is of type text.
    const uint32_t *types;
    int columns;
    int is_text;
    int64_t seeds[2];
    int64_t rows;
    /// Low and high halves of the two sums.
    uint64_t low[2];
    int64_t high[2];
    /// Set when the stream was not framed as expected, or no memory was left: the digest then says nothing.
    int failed;
    /// The module's own; all zero at the start, freed by `cpq_digest_end`.
    int started;
    unsigned char *scratch;
    size_t capacity;
} cpq_digest;

/// 1 when rows can be digested on this machine: libcrypto is there.
int cpq_can_digest(void);
void cpq_digest_end(cpq_digest *digest);

/// Fetches COPY OUT messages into `buffer` until at least `goal` bytes are there or the stream ends. Returns the bytes
/// written; `*rows` counts messages; `*end` is 1 at the end, -1 on an error. The buffer grows (realloc) when needed.
/// Every message is digested when `digest` is not NULL.
size_t cpq_copy_chunk(
    cpq_conn *conn, char **buffer, size_t *capacity, size_t goal, int64_t *rows, int *end, cpq_digest *digest);
/// 1 on success, -1 on an error.
int cpq_put_copy(cpq_conn *conn, const char *bytes, int count);
/// Ends COPY IN; a reason makes the server fail it. 1 on success.
int cpq_put_copy_end(cpq_conn *conn, const char *reason);
/// The next result of the running command, or NULL when it is complete.
cpq_result *cpq_next_result(cpq_conn *conn);

cpq_cancel *cpq_get_cancel(cpq_conn *conn);
/// Asks the server to stop the running command; may be called from another thread. 1 when the request was sent.
int cpq_send_cancel(cpq_cancel *cancel);
void cpq_free_cancel(cpq_cancel *cancel);

/// Writes the value of one keyword of a conninfo string or URL into `out` (always terminated). Returns 1 when the
/// string parses and holds it, 0 when it parses and does not, -1 when it does not parse.
int cpq_conninfo_value(const char *conninfo, const char *keyword, char *out, size_t capacity);
