// Arbitrary bytes as a PROXY protocol header: what is read does not depend on how it arrives.
#include <errno.h>
#include <string.h>

#include "proto/proxy/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header header, again;
    int whole = proxy_header_parse(bytes_of(data, size), &header);
    ensure(whole <= (int)size);
    ensure(whole >= 0 || whole == -EBADMSG || whole == -EMSGSIZE);
    if (whole > 0) {
        ensure(whole >= PROXY_HEADER_FIXED_SIZE && whole <= PROXY_HEADER_SIZE_MAX);
        ensure((header.source.family == NET_NONE) == (header.destination.family == NET_NONE));
        ensure(proxy_header_parse(bytes_of(data, (size_t)whole), &again) == whole);
        ensure(net_address_equal(&header.source, &again.source));
    }
    // a refusal stays one; until it is whole a good one is waited for
    for (size_t part = 0; part < min_of(size, (size_t)64); part++) {
        int result = proxy_header_parse(bytes_of(data, part), &again);
        ensure(whole <= 0 || result == (part < (size_t)whole ? 0 : whole));
        ensure(whole != 0 || result == 0);
    }
    return 0;
}
