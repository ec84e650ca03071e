/** Numbers of the IANA registry "STUN Parameters": attribute types and error codes. */
#pragma once

enum stun_attribute_type {
    // comprehension-required: 0x0000 to 0x7fff
    STUN_MAPPED_ADDRESS = 0x0001,           // RFC 8489
    STUN_CHANGE_REQUEST = 0x0003,           // RFC 5780
    STUN_USERNAME = 0x0006,                 // RFC 8489
    STUN_MESSAGE_INTEGRITY = 0x0008,        // RFC 8489
    STUN_ERROR_CODE = 0x0009,               // RFC 8489
    STUN_UNKNOWN_ATTRIBUTES = 0x000a,       // RFC 8489
    STUN_CHANNEL_NUMBER = 0x000c,           // RFC 8656
    STUN_LIFETIME = 0x000d,                 // RFC 8656
    STUN_XOR_PEER_ADDRESS = 0x0012,         // RFC 8656
    STUN_DATA_ATTRIBUTE = 0x0013,           // RFC 8656
    STUN_REALM = 0x0014,                    // RFC 8489
    STUN_NONCE = 0x0015,                    // RFC 8489
    STUN_XOR_RELAYED_ADDRESS = 0x0016,      // RFC 8656
    STUN_REQUESTED_ADDRESS_FAMILY = 0x0017, // RFC 8656
    STUN_EVEN_PORT = 0x0018,                // RFC 8656
    STUN_REQUESTED_TRANSPORT = 0x0019,      // RFC 8656
    STUN_DONT_FRAGMENT = 0x001a,            // RFC 8656
    STUN_ACCESS_TOKEN = 0x001b,             // RFC 7635
    STUN_MESSAGE_INTEGRITY_SHA256 = 0x001c, // RFC 8489
    STUN_PASSWORD_ALGORITHM = 0x001d,       // RFC 8489
    STUN_USERHASH = 0x001e,                 // RFC 8489
    STUN_XOR_MAPPED_ADDRESS = 0x0020,       // RFC 8489
    STUN_RESERVATION_TOKEN = 0x0022,        // RFC 8656
    STUN_PRIORITY = 0x0024,                 // RFC 8445
    STUN_USE_CANDIDATE = 0x0025,            // RFC 8445
    STUN_PADDING = 0x0026,                  // RFC 5780
    STUN_RESPONSE_PORT = 0x0027,            // RFC 5780
    STUN_CONNECTION_ID = 0x002a,            // RFC 6062
    // comprehension-optional: 0x8000 to 0xffff
    STUN_ADDITIONAL_ADDRESS_FAMILY = 0x8000, // RFC 8656
    STUN_ADDRESS_ERROR_CODE = 0x8001,        // RFC 8656
    STUN_PASSWORD_ALGORITHMS = 0x8002,       // RFC 8489
    STUN_ALTERNATE_DOMAIN = 0x8003,          // RFC 8489
    STUN_ICMP = 0x8004,                      // RFC 8656
    STUN_SOFTWARE = 0x8022,                  // RFC 8489
    STUN_ALTERNATE_SERVER = 0x8023,          // RFC 8489
    STUN_FINGERPRINT = 0x8028,               // RFC 8489
    STUN_ICE_CONTROLLED = 0x8029,            // RFC 8445
    STUN_ICE_CONTROLLING = 0x802a,           // RFC 8445
    STUN_RESPONSE_ORIGIN = 0x802b,           // RFC 5780
    STUN_OTHER_ADDRESS = 0x802c,             // RFC 5780
    STUN_THIRD_PARTY_AUTHORIZATION = 0x802e, // RFC 7635
    STUN_MOBILITY_TICKET = 0x8030,           // RFC 8016
};

enum stun_error_code {
    STUN_TRY_ALTERNATE = 300,                 // RFC 8489
    STUN_BAD_REQUEST = 400,                   // RFC 8489
    STUN_UNAUTHENTICATED = 401,               // RFC 8489
    STUN_FORBIDDEN = 403,                     // RFC 8656
    STUN_UNKNOWN_ATTRIBUTE = 420,             // RFC 8489
    STUN_ALLOCATION_MISMATCH = 437,           // RFC 8656
    STUN_STALE_NONCE = 438,                   // RFC 8489
    STUN_ADDRESS_FAMILY_NOT_SUPPORTED = 440,  // RFC 8656
    STUN_WRONG_CREDENTIALS = 441,             // RFC 8656
    STUN_UNSUPPORTED_TRANSPORT = 442,         // RFC 8656
    STUN_PEER_ADDRESS_FAMILY_MISMATCH = 443,  // RFC 8656
    STUN_CONNECTION_ALREADY_EXISTS = 446,     // RFC 6062
    STUN_CONNECTION_TIMEOUT_OR_FAILURE = 447, // RFC 6062
    STUN_ALLOCATION_QUOTA_REACHED = 486,      // RFC 8656
    STUN_ROLE_CONFLICT = 487,                 // RFC 8445
    STUN_SERVER_ERROR = 500,                  // RFC 8489
    STUN_INSUFFICIENT_CAPACITY = 508,         // RFC 8656
};
