/**
 * roost's client for browsers: rooms through the media server and peer-to-peer calls.
 * No dependencies, no build step; see docs/sdk.md.
 *
 *     import { connect } from '/sdk/roost.js';
 *     const client = await connect({ name: 'Ada' });
 *     const room = await client.join('demo');
 *     room.on('track-attached', (track) => show(track.mediaTrack, track.member));
 *     await room.microphone();
 *     await room.camera();
 */

export { Client, connect } from './client.js';
export { Room } from './room.js';
export { RoomData } from './data.js';
export { DataChannel } from './data_channel.js';
export { Call } from './call.js';
export { E2ee, keyFromText, keyToText } from './e2ee.js';
export { LocalTrack } from './local_track.js';
export { Emitter } from './emitter.js';
export { RoostError, browserFamily } from './errors.js';
export {
    canShareScreen,
    listDevices,
    openCamera,
    openCameraAndMicrophone,
    openMicrophone,
    openScreen,
    requireMediaDevices,
} from './devices.js';
export { attach, canChooseSpeaker, play, setSpeaker } from './playback.js';
