#pragma once
#include "cpostgres.h"

/// Adds one message of a COPY stream to a digest.
void cpq_digest_row(cpq_digest *digest, const unsigned char *bytes, size_t count);
