/**
 * The objects of the native signaling protocol, version 1, as docs/protocol.md describes them.
 * Types only: this module has no code.
 */

/** @typedef {'camera' | 'microphone' | 'screen' | 'screen_audio' | 'other'} Source */

/** @typedef {'audio' | 'video'} Kind */

/** @typedef {'none' | 'connecting' | 'connected' | 'disconnected' | 'failed'} MediaState */

/** @typedef {'left' | 'lost' | 'kicked' | 'ended' | 'replaced'} LeftReason */

/** @typedef {'hangup' | 'cancelled' | 'rejected' | 'busy' | 'timeout' | 'lost' | 'elsewhere' | 'glare'} CallEndedReason */

/**
 * @typedef {object} WireMember
 * @property {string} id
 * @property {string} name
 * @property {string} [user]
 * @property {boolean} moderator
 * @property {boolean} away
 * @property {MediaState} media
 * @property {string} [status]
 */

/**
 * @typedef {object} WireTrack
 * @property {string} id
 * @property {string} member
 * @property {Kind} kind
 * @property {Source} source
 * @property {string} [name]
 * @property {boolean} muted
 * @property {boolean} blocked
 * @property {boolean} live
 */

/**
 * @typedef {object} Limits
 * @property {number} members
 * @property {number} tracks
 * @property {number} audio_slots
 * @property {number} video_slots
 * @property {number} chat_bytes
 * @property {number} message_bytes
 */

/** @typedef {{audio: number, video: number}} SlotCount */

/** @typedef {{mid: string, track: string}} WirePublication */

/** @typedef {{mid: string, kind: Kind, pair: number, track: string | null, member: string | null}} WireSlot */

/** @typedef {{mid: string, track: string | null, member: string | null}} WireSlotChange */

/** @typedef {{member: string, track: string, level: number}} Speaker */

/** @typedef {{user?: string, name: string, verified: boolean}} Caller */

/**
 * @typedef {object} HelloResult
 * @property {number} version
 * @property {string} server
 * @property {string} session
 * @property {string} resume_token
 * @property {number} resume_within_ms
 * @property {number} heartbeat_ms
 * @property {number} dead_after_ms
 * @property {RTCIceServer[]} ice_servers
 * @property {Limits} limits
 */

/**
 * @typedef {object} JoinResult
 * @property {string} room
 * @property {string} self
 * @property {boolean} locked
 * @property {WireMember[]} members
 * @property {WireTrack[]} tracks
 * @property {RTCIceServer[]} ice_servers
 * @property {SlotCount} slots
 * @property {Limits} limits
 */

/**
 * @typedef {object} TrackOffer
 * @property {string} mid
 * @property {Source} source
 * @property {string} [name]
 * @property {boolean} muted
 */

/** @typedef {{sdp: string, tracks: TrackOffer[], fresh: boolean}} Offer */

/** @typedef {{sdp: string, publications: WirePublication[], slots: WireSlot[]}} OfferResult */

/**
 * @typedef {object} CallIncoming
 * @property {string} call
 * @property {Caller} from
 * @property {string} to
 * @property {string} sdp
 * @property {Kind} media
 * @property {boolean} glare
 * @property {number} timeout_ms
 */

export {};
