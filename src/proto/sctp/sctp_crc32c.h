/**
 * CRC32c, the checksum of SCTP packets (RFC 9260, appendix A): by the CPU's instruction where it
 * has one (SSE4.2), else by table.
 */
#pragma once

#include "base/bytes.h"

/** Goes on from `crc`, the result over the bytes before; 0 at the start. */
uint32_t sctp_crc32c(uint32_t crc, struct bytes data);
/** The same by table, whatever the CPU can: what others are compared to. */
uint32_t sctp_crc32c_portable(uint32_t crc, struct bytes data);
