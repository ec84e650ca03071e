/** A private call between two browsers: the other person large, yourself in the corner. */

import { RoostError, openScreen } from '../../sdk/roost.js';
import { absolute, callPath } from '../router.js';
import { roostApp } from '../session.js';
import { settings } from '../settings.js';
import { t } from '../texts.js';
import { announce, toast } from '../ui/announce.js';
import { Banners } from '../ui/banners.js';
import { CallBar } from '../ui/call_bar.js';
import { heldBanner, moveItems, transferFailure } from '../ui/call_moves.js';
import { ChatPanel } from '../ui/chat.js';
import { Control } from '../ui/control.js';
import { showDetails } from '../ui/details.js';
import { h, icon } from '../ui/dom.js';
import { LocalControls } from '../ui/local_controls.js';
import { invite } from '../ui/invite.js';
import { asRoostError } from '../ui/local_media.js';
import { problemLine } from '../ui/notice.js';
import { OwnDevices } from '../ui/own_devices.js';
import { Sounds } from '../ui/sounds.js';
import { Stage } from '../ui/stage.js';
import { Tile } from '../ui/tile.js';

const POOR = 3;
const STATS_EVERY_MS = 2000;

/** @type {Partial<Record<import('../../sdk/call.js').CallState, import('../texts.js').TextKey>>} */
const PROGRESS = {
    incoming: 'call.connecting',
    connecting: 'call.connecting',
    calling: 'call.calling',
    ringing: 'call.ringing',
};

/**
 * @typedef {import('../../sdk/roost.js').Call} Call
 * @typedef {import('../../sdk/roost.js').Client} Client
 *
 * @typedef {object} CallPageOptions
 * @property {Client} client
 * @property {string} link where the two meet; with a contact, their user name
 * @property {'wait' | 'call' | 'answer'} role
 * @property {string} [contact] the name of somebody who is called by their user name, or calls us
 * @property {Call} [incoming] to answer
 * @property {string} name the own display name
 * @property {import('../ui/local_media.js').LocalMedia} media
 * @property {(reason: RoostError | 'left' | 'hangup' | 'transferred') => void} onended
 */

/**
 * @param {CallPageOptions} options
 * @returns {{element: HTMLElement, close: () => void}}
 */
export function callPage(options) {
    const page = new CallPage(options);
    return { element: page.element, close: () => page.close() };
}

class CallPage {
    #options;
    /** @type {Call | null} */
    #call = null;
    /** @type {Call | null} will take its place once somebody accepts it */
    #next = null;
    /** @type {OwnDevices | null} */
    #own = null;
    /** @type {CallBar | null} */
    #bar = null;
    #stage = new Stage();
    #sounds = new Sounds((blocked) => this.#soundBlocked(blocked));
    #banners = new Banners();
    #peer;
    #self;
    #controls;
    #chat;
    #waiting = h('section', { class: 'alone' });
    #title = h('h1', { class: 'room-name' });
    #direct = h('span', { class: 'chip', title: t('call.direct'), hidden: true }, icon('lock'));
    #barPlace = h('div', { class: 'bar' });
    #unread = 0;
    /** @type {(() => void)[]} */
    #offs = [];
    /** @type {(() => void)[]} of the call; another one may take its place */
    #callOffs = [];
    /** @type {(() => void) | null} */
    #closeTalking = null;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    #statsTimer;
    /** @type {import('../../sdk/roost.js').LocalTrack | null} */
    #screen = null;
    #closed = false;

    /** @param {CallPageOptions} options */
    constructor(options) {
        this.#options = options;
        const { client, role } = options;
        this.#peer = new Tile('peer', { name: '' });
        this.#self = new Tile('self', { name: t('room.you'), person: options.name, mirrored: true });
        this.#controls = new LocalControls(options.media, { labels: true });
        this.#chat = new ChatPanel({
            placeholder: t('chat.placeholder'),
            onsend: (text) => this.#sendChat(text),
            onclose: () => this.#showChat(false),
        });
        if (options.contact) this.#drawProgress('call.calling');
        else this.#drawWaiting();
        /** @readonly */
        this.element = h(
            'main',
            { class: 'room dark-surface', id: 'content' },
            h('header', { class: 'topbar' }, this.#title, h('span', { class: 'spacer' }), this.#direct),
            this.#banners.element,
            this.#stage.element,
            this.#chat.element,
            this.#barPlace,
            this.#sounds.element,
        );
        this.#stage.add(this.#self, 'self');
        this.#stage.element.append(this.#waiting);
        this.#barPlace.append(...this.#controls.elements, this.#leaveOnly());
        this.#showOwnPicture();
        document.title = `${options.contact ?? t('lobby.titleCall')} · ${t('app.name')}`;
        this.#title.textContent = this.#peerName || t('lobby.titleCall');
        this.#offs.push(
            options.media.on('changed', () => this.#showOwnPicture()),
            client.on('incoming-call', (call) => void this.#incoming(call)),
            client.on('link-ready', () => void this.#dial()),
            client.on('state', (state) => this.#signalingChanged(state)),
        );
        if (options.incoming) void this.#incoming(options.incoming);
        else if (role === 'call') void this.#dial();
    }

    close() {
        this.#closed = true;
        this.#controls.close();
        clearInterval(this.#statsTimer);
        for (const off of [...this.#offs, ...this.#callOffs]) off();
        this.#closeTalking?.();
        this.#own?.close();
        this.#bar?.close();
        this.#sounds.close();
        this.#stage.close();
        this.#options.media.stop();
        void this.#next?.hangup();
        if (this.#call) void this.#call.hangup();
        else if (!this.#options.contact && this.#options.client.state === 'open') void this.#options.client.unlink().catch(() => {});
        roostApp.call = null;
    }

    /** Before anybody is there, one can only leave. */
    #leaveOnly() {
        const leave = new Control({
            icon: 'leave',
            name: t('control.leave'),
            label: t('control.leave'),
            className: 'leave',
            onpress: () => this.#options.onended('left'),
        });
        leave.element.classList.add('apart');
        return leave.element;
    }

    /** Before the call has the camera, the lobby's is shown. */
    #showOwnPicture() {
        if (this.#call) return;
        const { camera, cameraOn, microphoneOn } = this.#options.media;
        this.#self.picture(cameraOn ? camera : null);
        this.#self.muted(!microphoneOn);
    }

    #drawWaiting() {
        const link = absolute(callPath(this.#options.link));
        this.#waiting.classList.remove('ringing');
        this.#waiting.replaceChildren(
            h('h2', null, t('call.waiting')),
            h('p', null, t('call.waitingHint')),
            ...invite(link),
        );
    }

    /** @param {import('../texts.js').TextKey} key what happens now */
    #drawProgress(key) {
        const text = h('p', { role: 'status' }, t(key));
        this.#waiting.classList.add('ringing');
        this.#waiting.replaceChildren(
            h('span', { class: 'pulse', 'aria-hidden': 'true' }, icon('phone')),
            h('h2', null, this.#peerName || t('lobby.titleCall')),
            text,
        );
    }

    /** The other's name, once they have told; a link is not a name. */
    get #peerName() {
        const { contact, link } = this.#options;
        const name = this.#call?.peerName ?? '';
        return contact ?? (name === link ? '' : name);
    }

    /** Somebody waits at the link: calls them. */
    async #dial() {
        if (this.#call) return;
        try {
            const { client, link, name, media, contact } = this.#options;
            await media.settled; // a call begins with the devices it has
            if (this.#call || this.#closed) return;
            const { camera, microphone } = media;
            this.#drawProgress('call.calling');
            const tracks = [microphone, camera].filter((track) => track !== null);
            if (microphone) microphone.enabled = media.microphoneOn;
            const wanted = media.cameraOn || !contact ? 'video' : 'audio';
            const call = await client.call(link, { name, tracks, media: wanted });
            this.#begin(call);
        } catch (error) {
            const { code } = asRoostError(error);
            if (this.#call || this.#closed) return; // their call came first
            if (code === 'user-unavailable' && !this.#options.contact) await this.#waitAgain();
            else this.#options.onended(asRoostError(error));
        }
    }

    /** Who waited here has gone: wait in their place. */
    async #waitAgain() {
        this.#drawWaiting();
        try {
            const role = await this.#options.client.link(this.#options.link, { name: this.#options.name });
            if (role === 'call' && !this.#closed) await this.#dial();
        } catch (error) {
            this.#options.onended(asRoostError(error));
        }
    }

    /** @param {Call} call */
    async #incoming(call) {
        if (this.#call) return void call.reject('busy').catch(() => {});
        const { media } = this.#options;
        await media.settled;
        if (this.#closed || this.#call) return void call.reject().catch(() => {});
        const { camera, microphone } = media;
        if (microphone) microphone.enabled = media.microphoneOn;
        this.#begin(call);
        try {
            await call.accept({ tracks: [microphone, camera].filter((track) => track !== null) });
            this.#own?.update();
        } catch (error) {
            this.#options.onended(asRoostError(error));
        }
    }

    /** @param {Call} call */
    #begin(call) {
        if (this.#closed) return void call.hangup();
        this.#options.media.release(); // the call's from now on
        this.#controls.close();
        this.#follow(call, this.#barPlace);
        this.#statsTimer = setInterval(() => void this.#measure(), STATS_EVERY_MS);
    }

    /**
     * Shows this call from now on.
     *
     * @param {Call} call
     * @param {HTMLElement} barBefore the bar whose place the call's takes
     */
    #follow(call, barBefore) {
        this.#call = call;
        roostApp.call = call;
        const own = new OwnDevices(call);
        this.#own = own;
        this.#bar = new CallBar({
            own,
            onscreen: () => void this.#toggleScreen(),
            onchat: () => this.#showChat(!this.#chat.open),
            onleave: () => this.#options.onended('left'),
            leaveName: t('control.hangup'),
            onspeaker: (deviceId) => this.#sounds.setSpeaker(deviceId),
            pictureVideo: () => this.#peer.video,
            moreItems: () => [
                ...moveItems(call, (work) => void work().catch((error) => this.#problem(error))),
                { label: t('menu.details'), icon: 'signal', action: () => showDetails(() => call.stats()) },
            ],
        });
        barBefore.replaceWith(this.#bar.element);
        this.#callOffs.push(
            call.on('state', () => this.#stateChanged()),
            call.on('track', (track) => this.#trackCame(track)),
            call.on('remote-muted', () => this.#remoteMuted()),
            call.on('peer-away', (away) => this.#peer.away(away)),
            call.on('local-track-updated', () => own.update()),
            call.on('chat', (message) => this.#chatCame(message)),
            call.on('error', (error) => this.#problem(error)),
            call.on('held', () => this.#heldChanged()),
            call.on('transfer', (next) => this.#moveTo(next)),
            call.on('transfer-failed', (reason) => toast(transferFailure(reason))),
            call.on('ended', (reason) => this.#ended(reason)),
            own.on('changed', () => this.#localChanged()),
            own.on('error', (error) => this.#problem(error)),
            own.on('talking-muted', (talking) => this.#talkingMuted(talking)),
        );
        for (const track of call.remoteStream.getTracks()) this.#trackCame(track);
        this.#stateChanged();
        this.#heldChanged();
        own.update();
        if (call.state === 'ended') this.#ended('lost');
    }

    /**
     * The call is handed on: once somebody accepts the next one, it is shown in this one's place.
     *
     * @param {Call} next
     */
    #moveTo(next) {
        this.#next = next;
        const text = t('transfer.under', { name: next.peerName });
        this.#banners.set('transfer', { text, busy: true, calm: true });
        const forget = () => {
            if (this.#next === next) this.#next = null;
            this.#banners.set('transfer', null);
        };
        next.on('ended', forget);
        next.on('state', (state) => {
            if (state !== 'connecting' || this.#closed || this.#next !== next) return;
            forget();
            for (const off of this.#callOffs.splice(0)) off();
            const before = this.#bar?.element ?? this.#barPlace;
            this.#own?.close();
            this.#bar?.close();
            this.#screen = null;
            this.#peer.picture(null);
            this.#follow(next, before);
        });
    }

    #heldChanged() {
        const call = this.#call;
        if (!call) return;
        const resume = () => void call.resume().catch((error) => this.#problem(error));
        this.#banners.set('held', heldBanner(call, resume));
    }

    #stateChanged() {
        const call = this.#call;
        if (!call || call.state === 'ended') return;
        this.#title.textContent = this.#peerName || t('lobby.titleCall');
        this.#peer.name(call.peerName);
        const talking = call.state === 'connected' || call.state === 'reconnecting';
        this.#direct.hidden = !talking;
        if (!talking) {
            this.#drawProgress(PROGRESS[call.state] ?? 'call.calling');
        } else if (!this.#waiting.hidden) {
            this.#waiting.hidden = true;
            this.#stage.add(this.#peer, 'person');
            announce(t('live.joined', { name: call.peerName }));
        }
        this.#connectionBanner(this.#options.client.state);
    }

    /** @param {import('../../sdk/signaling.js').SignalingState} state */
    #signalingChanged(state) {
        this.#connectionBanner(state);
        if (!this.#call && state === 'open' && !this.#options.contact) void this.#waitAgain();
    }

    /** @param {import('../../sdk/signaling.js').SignalingState} signaling */
    #connectionBanner(signaling) {
        const lost = this.#call?.state === 'reconnecting';
        const text = lost
            ? t('call.reconnecting')
            : signaling === 'reconnecting'
              ? t(this.#call ? 'room.signalingLost' : 'room.allLost')
              : null;
        this.#banners.set('connection', text ? { text, busy: true } : null);
    }

    /** @param {MediaStreamTrack} track */
    #trackCame(track) {
        if (track.kind === 'audio') this.#sounds.set('peer', track);
        else this.#peer.picture(track, this.#call?.remoteMuted.video);
    }

    #remoteMuted() {
        const call = this.#call;
        if (!call) return;
        const [video] = call.remoteStream.getVideoTracks();
        this.#peer.muted(call.remoteMuted.audio);
        this.#peer.picture(video ?? null, call.remoteMuted.video);
    }

    #localChanged() {
        this.#self.picture(this.#own?.camera?.mediaTrack ?? null);
        this.#self.muted(!this.#own?.microphoneOn);
        this.#self.element.classList.toggle('mirrored', this.#screen === null);
        this.#bar?.sharing(this.#screen !== null);
        if (this.#own?.microphoneOn) this.#talkingMuted(false);
    }

    /** The screen takes the camera's place, so that the other side needs nothing new. */
    async #toggleScreen() {
        const call = this.#call;
        const own = this.#own;
        if (!call || !own) return;
        try {
            if (this.#screen) {
                const local = this.#screen;
                this.#screen = null;
                if (local.muted) return;
                await local.mute();
                await local.unmute(); // opens the camera again
                return;
            }
            const stream = await openScreen({ audio: false });
            const [track] = stream.getVideoTracks();
            track.addEventListener('ended', () => this.#screen && void this.#toggleScreen());
            const camera = own.camera;
            if (camera) {
                await camera.replace(track);
                if (camera.muted) await camera.unmute();
                this.#screen = camera;
            } else {
                this.#screen = call.publish(track, { source: 'camera' });
            }
        } catch (error) {
            if (asRoostError(error).code !== 'screen-denied') this.#problem(error);
        } finally {
            own.update();
        }
    }

    /** @param {string} text */
    #sendChat(text) {
        if (!this.#call) throw new RoostError('wrong-state');
        this.#call.chat(text);
    }

    /** @param {{text: string, own: boolean, time: Date}} message */
    #chatCame({ text, own, time }) {
        const name = own ? settings.name : (this.#call?.peerName ?? '');
        this.#chat.add({ text, own, time, name, from: own ? 'self' : 'peer' });
        if (!own && !this.#chat.open) this.#bar?.chat.count(++this.#unread);
    }

    /** @param {boolean} open */
    #showChat(open) {
        this.#chat.show(open);
        this.#bar?.chat.active(open);
        if (open) this.#bar?.chat.count((this.#unread = 0));
        else this.#bar?.chat.button.focus();
    }

    async #measure() {
        const call = this.#call;
        if (call?.state !== 'connected') return;
        const stats = await call.stats().catch(() => null);
        if (!stats) return;
        this.#self.poor(stats.sendScore < POOR ? t('quality.poorSend') : null);
        this.#peer.poor(
            stats.receiveScore < POOR ? t('quality.poorReceive', { name: call.peerName }) : null,
        );
    }

    /** @param {boolean} blocked */
    #soundBlocked(blocked) {
        this.#banners.set(
            'sound',
            blocked
                ? {
                      text: t('room.soundBlocked'),
                      icon: 'volume',
                      action: t('room.soundOn'),
                      onaction: () => void this.#sounds.unblock(),
                  }
                : null,
        );
    }

    /** @param {boolean} talking */
    #talkingMuted(talking) {
        if (talking === (this.#closeTalking !== null)) return;
        this.#closeTalking?.();
        this.#closeTalking = talking
            ? toast(t('room.talkingMuted'), {
                  action: t('room.unmute'),
                  onaction: () => void this.#own?.toggleMicrophone(),
                  stay: true,
              })
            : null;
    }

    /** @param {unknown} cause */
    #problem(cause) {
        toast(problemLine(asRoostError(cause)));
    }

    /** @param {string} reason */
    #ended(reason) {
        if (this.#closed) return;
        if (reason === 'transferred') return this.#options.onended('transferred');
        /** @type {Record<string, string>} */
        const codes = { rejected: 'call-rejected', busy: 'user-busy', timeout: 'call-timeout', lost: 'session-lost' };
        this.#options.onended(codes[reason] ? new RoostError(codes[reason]) : 'hangup');
    }
}
