/** Memory of JSON objects, which may hold passwords and tokens. */
#pragma once

/**
 * From now on all memory that jansson gives back is wiped before; texts that it makes for others
 * are theirs to free, as ever. Once in a process, before any JSON object is made.
 */
void json_memory_be_wiped(void);
