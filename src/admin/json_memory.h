/** Memory of JSON objects, which may hold passwords and tokens. */
#pragma once

/**
 * From now on all memory of jansson's is wiped before it is given back. Once in a process, before
 * any JSON object is made.
 */
void json_memory_be_wiped(void);
