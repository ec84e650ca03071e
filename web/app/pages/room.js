/** The call of a room: tiles, controls, panels, and the state of it all. */

import { RoostError } from '../../sdk/roost.js';
import { FILE_SIZE_MAX, Files, save } from '../files.js';
import { absolute } from '../router.js';
import { t } from '../texts.js';
import { announce, toast } from '../ui/announce.js';
import { Banners } from '../ui/banners.js';
import { CallBar, copyLink } from '../ui/call_bar.js';
import { ChatPanel } from '../ui/chat.js';
import { showDetails } from '../ui/details.js';
import { confirm } from '../ui/dialog.js';
import { h, icon } from '../ui/dom.js';
import { FileLine } from '../ui/file_line.js';
import { Encryption } from '../ui/encryption.js';
import { invite } from '../ui/invite.js';
import { asRoostError } from '../ui/local_media.js';
import { problemLine, problemText } from '../ui/notice.js';
import { OwnDevices } from '../ui/own_devices.js';
import { PeoplePanel, isMuted } from '../ui/people.js';
import { Sounds } from '../ui/sounds.js';
import { Stage } from '../ui/stage.js';
import { Tile } from '../ui/tile.js';

/** Below this score a connection counts as poor. */
const POOR = 3;

/**
 * @typedef {import('../../sdk/roster.js').Member} Member
 * @typedef {import('../../sdk/roster.js').RemoteTrack} RemoteTrack
 *
 * @typedef {object} RoomPageOptions
 * @property {import('../../sdk/roost.js').Room} room
 * @property {import('../ui/local_media.js').LocalMedia} media what the lobby opened
 * @property {string} link the room's path, with its key
 * @property {(reason: RoostError | null) => void} onended null: the user left
 */

/**
 * @param {RoomPageOptions} options
 * @returns {{element: HTMLElement, close: () => void}}
 */
export function roomPage(options) {
    const page = new RoomPage(options);
    return { element: page.element, close: () => page.close() };
}

class RoomPage {
    #room;
    #onended;
    #own;
    #stage;
    #sounds;
    #banners = new Banners();
    #bar;
    #chat;
    #files;
    /** @type {Map<string, FileLine>} by the file's key */
    #fileLines = new Map();
    #people;
    #alone;
    #count = h('span', null);
    #path;
    #encryption;
    #lock = h('span', { class: 'chip', hidden: true }, icon('lock'), t('room.locked'));
    /** @type {Map<string, Tile>} member id or track id -> its tile */
    #tiles = new Map();
    #unread = 0;
    /** @type {(() => void)[]} */
    #offs = [];
    /** @type {(() => void) | null} */
    #closeTalking = null;
    #wasLost = false;

    /** @param {RoomPageOptions} options */
    constructor({ room, media, link, onended }) {
        this.#room = room;
        this.#path = link;
        this.#encryption = new Encryption(room, () => this.#encryptionChanged());
        this.#onended = onended;
        this.#own = new OwnDevices(room);
        this.#stage = new Stage({ onshown: (ids) => this.#shown(ids) });
        this.#sounds = new Sounds((blocked) => this.#soundBlocked(blocked));
        this.#files = room.data ? new Files(room, room.data) : null;
        this.#chat = new ChatPanel({
            onfile: this.#files ? (file) => void this.#share(file) : null,
            onsend: (text) => room.chat(text).catch((error) => this.#problem(error)),
            onclose: () => this.#showPanel(null),
            maxBytes: room.limits.chat_bytes,
        });
        this.#people = new PeoplePanel(room, {
            onclose: () => this.#showPanel(null),
            onerror: (error) => this.#problem(error),
        });
        this.#bar = new CallBar({
            own: this.#own,
            onscreen: () => void this.#toggleScreen(),
            onchat: () => this.#showPanel(this.#chat.open ? null : 'chat'),
            onpeople: () => this.#showPanel(this.#people.open ? null : 'people'),
            onleave: () => this.#leave(),
            leaveName: t('control.leave'),
            onspeaker: (deviceId) => this.#sounds.setSpeaker(deviceId),
            pictureVideo: () => this.#stage.main?.video,
            moreItems: () => this.#moreItems(),
        });
        this.#alone = this.#drawAlone();
        /** @readonly */
        this.element = this.#draw();
        document.title = `${room.name} · ${t('app.name')}`;
        for (const member of room.members.values()) this.#addMember(member);
        this.#listen();
        this.#mediaChanged();
        this.#lock.hidden = !room.locked;
        void this.#own.start(media);
        this.#bar.update();
        this.#countChanged();
    }

    close() {
        for (const off of this.#offs) off();
        this.#files?.close();
        this.#closeTalking?.();
        this.#own.close();
        this.#bar.close();
        this.#sounds.close();
        this.#stage.close();
        if (document.pictureInPictureElement) void document.exitPictureInPicture().catch(() => {});
        void this.#room.leave();
    }

    get #link() {
        return absolute(this.#path);
    }

    #draw() {
        this.#stage.element.append(this.#alone);
        return h(
            'main',
            { class: 'room dark-surface', id: 'content', 'aria-label': t('room.title', { room: this.#room.name }) },
            h(
                'header',
                { class: 'topbar' },
                h('h1', { class: 'room-name' }, this.#room.name),
                h(
                    'button',
                    {
                        class: 'icon-button copy',
                        type: 'button',
                        'aria-label': t('room.copyLink'),
                        title: t('room.copyLink'),
                        onclick: () => void copyLink(this.#link),
                    },
                    icon('link'),
                ),
                this.#lock,
                this.#encryption.chip,
                h('span', { class: 'spacer' }),
                h('span', { class: 'chip' }, icon('people'), this.#count),
            ),
            this.#banners.element,
            this.#stage.element,
            this.#chat.element,
            this.#people.element,
            this.#bar.element,
            this.#sounds.element,
        );
    }

    #drawAlone() {
        return h(
            'section',
            { class: 'alone', hidden: true },
            h('h2', null, t('room.alone')),
            h('p', null, t('room.aloneHint')),
            ...invite(this.#link),
        );
    }

    /** @param {File} file */
    async #share(file) {
        if (file.size > FILE_SIZE_MAX) {
            toast(t('file.tooLarge'));
            return;
        }
        await this.#files?.share(file).catch((error) => this.#problem(error));
    }

    /** @param {import('../files.js').SharedFile} file */
    #fileShared(file) {
        const line = new FileLine(file, () => this.#files?.get(file.key).catch((error) => this.#problem(error)));
        if (!file.own) this.#fileLines.set(file.key, line);
        const name = this.#room.members.get(file.from)?.name ?? '';
        this.#chat.addFile({ name, time: new Date(), own: file.own, from: file.from }, file.name, line.element);
        if (!file.own && !this.#chat.open) this.#countUnread(this.#unread + 1);
    }

    #listenToFiles() {
        const files = this.#files;
        files?.on('shared', (file) => this.#fileShared(file));
        files?.on('progress', ({ key, received }) => this.#fileLines.get(key)?.progress(received));
        files?.on('lost', (key) => this.#fileLines.get(key)?.lost());
        files?.on('gone', (key) => this.#fileLines.get(key)?.gone());
        files?.on('received', ({ key, file, content }) => {
            this.#fileLines.get(key)?.saved();
            save(file.name, content);
        });
    }

    #listen() {
        const room = this.#room;
        const own = this.#own;
        this.#listenToFiles();
        this.#offs.push(
            this.#encryption.listen(),
            room.on('member-joined', (member) => {
                this.#addMember(member);
                announce(t('live.joined', { name: member.name }));
                this.#countChanged();
            }),
            room.on('member-updated', (member) => this.#memberUpdated(member)),
            room.on('member-left', ({ member }) => {
                this.#removeTile(member.id);
                announce(t('live.left', { name: member.name }));
                this.#countChanged();
            }),
            room.on('track-published', (track) => this.#trackChanged(track)),
            room.on('track-updated', (track) => this.#trackChanged(track)),
            room.on('track-attached', (track) => this.#trackChanged(track)),
            room.on('track-detached', (track) => this.#trackChanged(track)),
            room.on('track-unpublished', (track) => this.#trackGone(track)),
            room.on('local-track-published', () => this.#localChanged()),
            room.on('local-track-updated', (local) => {
                if (local.blocked) toast(t('room.mutedByModerator'));
                this.#localChanged();
            }),
            room.on('local-track-unpublished', () => this.#localChanged()),
            room.on('speakers', (speakers) => this.#speakers(speakers.map(({ member }) => member.id))),
            room.on('quality', (quality) => this.#quality(quality)),
            room.on('chat', (message) => {
                this.#chat.add(message);
                if (!message.own && !this.#chat.open) this.#countUnread(this.#unread + 1);
            }),
            room.on('locked', (locked) => {
                this.#lock.hidden = !locked;
                toast(t(locked ? 'live.locked' : 'live.unlocked'));
            }),
            room.on('state', () => this.#mediaChanged()),
            room.on('media', () => this.#mediaChanged()),
            room.on('error', (error) => this.#problem(error)),
            room.on('removed', (reason) => this.#onended(reason)),
            own.on('changed', () => this.#localChanged(true)),
            own.on('error', (error) => this.#problem(error)),
            own.on('talking-muted', (talking) => this.#talkingMuted(talking)),
        );
    }

    /** @param {Member} member */
    #addMember(member) {
        const { id, self } = member;
        const tile = new Tile(id, {
            name: self ? t('room.you') : member.name,
            person: self ? member.name : undefined,
            mirrored: self,
            onpin: () => this.#stage.togglePin(id),
        });
        this.#tiles.set(id, tile);
        this.#stage.add(tile, self ? 'self' : 'person');
        for (const track of member.tracks.values()) this.#trackChanged(track);
        this.#memberUpdated(member);
    }

    /** @param {Member} member */
    #memberUpdated(member) {
        const tile = this.#tiles.get(member.id);
        if (!tile) return;
        if (!member.self) {
            const reconnecting = member.away || member.media === 'disconnected';
            tile.name(member.name);
            tile.away(reconnecting);
            tile.poor(reconnecting ? t('quality.away', { name: member.name }) : null);
        }
        tile.muted(isMuted(this.#room, member));
        const camera = [...member.tracks.values()].find(({ source }) => source === 'camera');
        tile.note(this.#encryption.problem(member)?.note ?? pauseNote(camera));
        this.#banners.set('encryption', this.#encryption.banner);
        this.#people.update();
    }

    #encryptionChanged() {
        for (const member of this.#room.members.values()) this.#memberUpdated(member);
    }

    /** @param {RemoteTrack} track */
    #trackChanged(track) {
        const { member } = track;
        if (track.kind === 'audio') {
            this.#sounds.set(track.id, track.mediaTrack);
        } else if (track.source === 'screen') {
            const tile = this.#screenTile(track);
            tile.picture(track.mediaTrack, track.muted || track.pause !== 'none');
            tile.note(pauseNote(track));
        } else {
            const off = track.muted || track.blocked;
            this.#tiles.get(member.id)?.picture(off ? null : track.mediaTrack, track.pause !== 'none');
        }
        this.#memberUpdated(member);
    }

    /** @param {RemoteTrack} track */
    #trackGone(track) {
        if (track.kind === 'audio') this.#sounds.set(track.id, null);
        else if (track.source === 'screen') this.#removeTile(track.id);
        else this.#tiles.get(track.member.id)?.picture(null);
        this.#memberUpdated(track.member);
    }

    /**
     * @param {RemoteTrack} track
     * @returns {Tile}
     */
    #screenTile(track) {
        const existing = this.#tiles.get(track.id);
        if (existing) return existing;
        const tile = new Tile(track.id, {
            name: t('room.screenOf', { name: track.member.name }),
            screen: true,
            onpin: () => this.#stage.togglePin(track.id),
        });
        this.#tiles.set(track.id, tile);
        this.#stage.add(tile, 'screen');
        announce(t('room.shares', { name: track.member.name }));
        return tile;
    }

    /** @param {string} id */
    #removeTile(id) {
        this.#stage.remove(id);
        this.#tiles.delete(id);
    }

    /** @param {boolean} [fromDevices] the devices told already */
    #localChanged(fromDevices = false) {
        if (!fromDevices) return this.#own.update();
        const { self } = this.#room;
        const tile = this.#tiles.get(self.id);
        tile?.picture(this.#own.camera?.mediaTrack ?? null);
        this.#memberUpdated(self);
        const sharing = this.#ownScreens.length > 0;
        this.#bar.sharing(sharing);
        this.#banners.set(
            'screen',
            sharing
                ? {
                      text: t('room.youShare'),
                      icon: 'screen',
                      calm: true,
                      action: t('control.screenStop'),
                      onaction: () => void this.#toggleScreen(),
                  }
                : null,
        );
        if (this.#own.microphoneOn) this.#talkingMuted(false);
    }

    get #ownScreens() {
        return this.#room.localTracks.filter(({ source }) => source === 'screen' || source === 'screen_audio');
    }

    async #toggleScreen() {
        try {
            const screens = this.#ownScreens;
            if (screens.length === 0) await this.#room.screen();
            else await Promise.all(screens.map((local) => this.#room.unpublish(local)));
        } catch (error) {
            if (asRoostError(error).code !== 'screen-denied') this.#problem(error);
        }
    }

    /** @param {string[]} ids of members, loudest first */
    #speakers(ids) {
        const speaking = new Set(ids);
        for (const [id, tile] of this.#tiles) tile.speaking(speaking.has(id));
        const first = ids.find((id) => id !== this.#room.self.id);
        if (first) this.#stage.speaker(first);
    }

    /** @param {Map<string, number>} quality */
    #quality(quality) {
        for (const [id, score] of quality) {
            const member = this.#room.members.get(id);
            if (!member || member.away) continue;
            const reason = member.self
                ? t('quality.poorSend')
                : t('quality.poorReceive', { name: member.name });
            this.#tiles.get(id)?.poor(score < POOR ? reason : null);
        }
    }

    /** @param {Set<string>} ids of tiles that can be seen */
    #shown(ids) {
        /** @type {Set<RemoteTrack>} */
        const tracks = new Set();
        for (const member of this.#room.members.values()) {
            for (const track of member.tracks.values()) {
                if (ids.has(member.id) || ids.has(track.id)) tracks.add(track);
            }
        }
        this.#room.setVisible(tracks);
    }

    #countChanged() {
        const { size } = this.#room.members;
        this.#count.textContent = String(size);
        this.#encryption.update();
        this.#banners.set('encryption', this.#encryption.banner);
        this.#count.parentElement?.setAttribute('title', t('room.count', { count: size }));
        this.#alone.hidden = size > 1;
        this.#people.update();
    }

    /** @param {number} unread */
    #countUnread(unread) {
        this.#unread = unread;
        this.#bar.chat.count(unread);
        this.#bar.chat.name(
            unread ? `${t('control.chat')}, ${t('chat.unread', { count: unread })}` : t('control.chat'),
        );
    }

    /** @param {'chat' | 'people' | null} which */
    #showPanel(which) {
        const chatWasOpen = this.#chat.open;
        const peopleWasOpen = this.#people.open;
        this.#chat.show(which === 'chat');
        this.#people.show(which === 'people');
        this.#bar.chat.active(which === 'chat');
        this.#bar.people.active(which === 'people');
        if (which === 'chat') this.#countUnread(0);
        if (which === null && chatWasOpen) this.#bar.chat.button.focus();
        if (which === null && peopleWasOpen) this.#bar.people.button.focus();
    }

    /** The state of signaling or media changed: says what still works. */
    #mediaChanged() {
        const signaling = this.#room.state;
        const media = this.#room.mediaState;
        const lost = media === 'disconnected';
        const reconnecting = signaling === 'reconnecting';
        const text =
            lost && reconnecting
                ? t('room.allLost')
                : lost
                  ? t('room.mediaLost')
                  : reconnecting
                    ? t('room.signalingLost')
                    : media === 'connecting'
                      ? t('room.connecting')
                      : null;
        this.#banners.set('connection', text ? { text, busy: true } : null);
        if (lost || reconnecting) this.#wasLost = true;
        else if (this.#wasLost && media === 'connected') {
            this.#wasLost = false;
            toast(t('room.backAgain'));
        }
        if (media === 'connected') this.#banners.set('media-failed', null);
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
                  onaction: () => void this.#own.toggleMicrophone(),
                  stay: true,
              })
            : null;
    }

    /** @param {unknown} cause */
    #problem(cause) {
        const error = asRoostError(cause);
        if (error.code === 'media-failed') {
            this.#banners.set('media-failed', {
                text: problemLine(error),
                action: problemText(error).action,
                onaction: () => this.#room.restartIce(),
            });
        } else {
            toast(problemLine(error));
        }
    }

    /** @returns {import('../ui/menu.js').MenuItem[]} */
    #moreItems() {
        const room = this.#room;
        const large = this.#stage.mode === 'speaker';
        /** @param {() => Promise<void>} work */
        const run = (work) => () => void work().catch((error) => this.#problem(error));
        /** @type {import('../ui/menu.js').MenuItem[]} */
        const items = [
            { label: t('menu.copyLink'), icon: 'link', action: () => void copyLink(this.#link) },
            {
                label: t(large ? 'menu.grid' : 'menu.speakerView'),
                icon: large ? 'grid' : 'speaker-view',
                action: () => this.#stage.setMode(large ? 'grid' : 'speaker'),
            },
            { label: t('menu.details'), icon: 'signal', action: () => showDetails(() => room.stats()) },
        ];
        if (room.self.moderator) {
            items.push(
                { separator: true },
                {
                    label: t(room.locked ? 'menu.unlock' : 'menu.lock'),
                    icon: room.locked ? 'unlock' : 'lock',
                    action: run(() => room.lock(!room.locked)),
                },
                {
                    label: t('menu.end'),
                    icon: 'close',
                    danger: true,
                    action: () => confirm(t('confirm.end'), t('menu.end'), run(() => room.end())),
                },
                { separator: true },
            );
        }
        return items;
    }

    #leave() {
        this.#onended(null);
    }
}

/**
 * @param {RemoteTrack | undefined} track
 * @returns {string | null} why there is no picture; null: there is, or it is not the server's doing
 */
function pauseNote(track) {
    switch (track?.pause) {
        case 'path':
            return t('room.pausedPath');
        case 'server':
            return t('room.pausedServer');
        default:
            return null;
    }
}
