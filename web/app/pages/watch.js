/** The viewer of a broadcast: a picture, its sound, and nothing asked. */

import { watch } from '../../sdk/whep.js';
import { t } from '../texts.js';
import { announce } from '../ui/announce.js';
import { attribute, h, icon } from '../ui/dom.js';
import { closeMenu, openMenu } from '../ui/menu.js';
import { brand } from './message.js';

/** How soon a lost connection is made anew. */
const AGAIN_MS = 2000;
/** How often is looked whether something arrives, and how long nothing may. */
const LOOK_MS = 500;
const SILENT_MS = 4000;

/**
 * @param {{room: string, publisher: string, token?: string, embedded: boolean, playoutDelay?: number}} options
 *     publisher: "" is what the room shows
 * @returns {{element: HTMLElement, close: () => void}}
 */
export function watchPage(options) {
    const page = new WatchPage(options);
    return { element: page.element, close: () => page.close() };
}

/** @typedef {import('../../sdk/whep.js').Layer} Layer */
/** What a viewer chose: `rid` a layer, `paused` no picture, neither: the server chooses. */
/** @typedef {{rid?: string, paused?: boolean, label: string}} Choice */

/** @param {number} bitrate */
const rateText = (bitrate) => (bitrate >= 1e6 ? t('watch.megabits', { value: (bitrate / 1e6).toFixed(1) })
    : t('watch.kilobits', { value: Math.max(10, Math.round(bitrate / 1e4) * 10) }));

/** @param {Layer} layer */
function layerText({ width, height, bitrate }) {
    const lines = Math.min(width ?? 0, height ?? 0);
    return lines ? { short: t('watch.lines', { lines }), long: t('watch.linesAndRate', { lines, rate: rateText(bitrate) }) }
        : { short: rateText(bitrate), long: rateText(bitrate) };
}

class WatchPage {
    #options;
    #closing = new AbortController();
    /** @type {Awaited<ReturnType<typeof watch>> | null} */
    #session = null;
    #video = h('video', { class: 'watch-video', autoplay: true, muted: true, playsinline: true, controls: true, 'aria-label': t('watch.video') });
    #badge = h('span', { class: 'live-badge', hidden: true }, t('watch.live'));
    #state = h('p', { class: 'watch-state', role: 'status' });
    #again = h('button', { class: 'button primary', type: 'button', hidden: true, onclick: () => this.#start() }, t('watch.again'));
    #sound = h('button', { class: 'button primary watch-sound', type: 'button', hidden: true, onclick: () => this.#unmute() }, icon('volume'), t('watch.unmute'));
    #qualityLabel = h('span', null, t('watch.auto'));
    #quality = h('button', { class: 'button watch-quality', type: 'button', hidden: true, 'aria-haspopup': 'menu', 'aria-expanded': 'false',
        onclick: () => void this.#openQuality() }, icon('signal'), this.#qualityLabel);
    /** @type {Choice} */
    #choice = { label: t('watch.auto') };
    #cover = h('div', { class: 'watch-cover' }, h('span', { class: 'watch-pulse', 'aria-hidden': 'true' }), this.#state, this.#again);

    /** @param {Parameters<typeof watchPage>[0]} options */
    constructor(options) {
        this.#options = options;
        const { room, publisher, embedded } = options;
        const title = publisher ? `${publisher} · ${room}` : room;
        document.title = `${title} · ${t('app.name')}`;
        this.#video.muted = true; // the attribute counts for markup only
        this.#video.addEventListener('volumechange', () => this.#showSound());
        this.element = h('div', { class: embedded ? 'watch-page dark-surface embedded' : 'watch-page dark-surface' },
            embedded ? null : h('header', { class: 'watch-header' }, brand(), h('h1', null, title), this.#badge),
            h('main', { class: 'watch-stage', id: 'content' }, this.#video, embedded ? this.#badge : null, this.#cover,
                h('div', { class: 'watch-tools' }, this.#sound, this.#quality)));
        this.#showChoice();
        void this.#start();
    }

    close() {
        this.#closing.abort(new Error('closed'));
        void this.#session?.stop();
        this.#session = null;
    }

    async #start() {
        this.#again.hidden = true;
        this.#say(t('watch.connecting'));
        const { room, publisher, token, playoutDelay } = this.#options;
        const path = `/whep/${encodeURIComponent(room)}${publisher ? `/${encodeURIComponent(publisher)}` : ''}`
            + (playoutDelay === undefined ? '' : `?playout_delay=${playoutDelay}`);
        const { signal } = this.#closing;
        try {
            const session = await watch(path, { token, waitForStart: true, signal, onWaiting: () => this.#say(t('watch.waiting')) });
            if (signal.aborted) return void session.stop();
            this.#attach(session);
        } catch (error) {
            if (!signal.aborted) this.#fail(error);
        }
    }

    /** @param {Awaited<ReturnType<typeof watch>>} session */
    #attach(session) {
        this.#session = session;
        const { peerConnection, stream } = session;
        if (this.#choice.rid || this.#choice.paused) void this.#apply().catch(() => {});
        this.#video.srcObject = stream;
        void this.#video.play().catch(() => {});
        // a silent sender mutes no track in every browser: what arrives is counted
        const seen = { audio: { count: 0, at: 0 }, video: { count: 0, at: 0 } };
        const look = async () => {
            if (this.#session !== session) return clearInterval(timer);
            const now = performance.now();
            for (const report of (await peerConnection.getStats()).values()) {
                if (report.type !== 'inbound-rtp') continue;
                const kind = report.kind === 'video' ? seen.video : seen.audio;
                const count = report.kind === 'video' ? report.framesDecoded ?? 0 : report.packetsReceived ?? 0;
                if (count > kind.count) Object.assign(kind, { count, at: now });
            }
            const flows = (/** @type {{at: number}} */ kind) => kind.at > 0 && now - kind.at < SILENT_MS;
            if (this.#session === session) this.#showLive(flows(seen.audio) || flows(seen.video), flows(seen.video), seen.video.at + seen.audio.at > 0);
        };
        const timer = setInterval(look, LOOK_MS);
        peerConnection.addEventListener('connectionstatechange', () => {
            if (this.#session !== session || !['failed', 'closed'].includes(peerConnection.connectionState)) return;
            this.#session = null;
            void session.stop();
            this.#say(t('watch.connecting'));
            setTimeout(() => !this.#closing.signal.aborted && this.#start(), AGAIN_MS);
        });
        void look();
    }

    /**
     * @param {boolean} flowing something arrives
     * @param {boolean} picture a picture does
     * @param {boolean} began something has arrived before
     */
    #showLive(flowing, picture, began) {
        if (flowing && this.#badge.hidden) announce(t('watch.live'));
        this.#badge.hidden = !flowing;
        this.#quality.hidden = !flowing;
        if (flowing && picture) this.#cover.hidden = true;
        else if (flowing) this.#say(t(this.#choice.paused ? 'watch.soundChosen' : 'watch.soundOnly'));
        else this.#say(t(began ? 'watch.paused' : 'watch.connecting'));
        this.#showSound();
    }

    #showSound() {
        this.#sound.hidden = !this.#video.muted || this.#badge.hidden;
    }

    #showChoice() {
        this.#qualityLabel.textContent = this.#choice.label;
        attribute(this.#quality, 'aria-label', t('watch.qualityNow', { value: this.#choice.label }));
    }

    async #openQuality() {
        if (this.#quality.getAttribute('aria-expanded') === 'true') return closeMenu();
        const layers = (await this.#session?.layers().catch(() => [])) ?? [];
        /** @type {(Choice & {long?: string})[]} */
        const choices = [{ label: t('watch.auto') }];
        if (layers.length > 1) {
            for (const layer of layers) {
                const { short, long } = layerText(layer);
                choices.push({ rid: layer.rid, label: short, long });
            }
        }
        choices.push({ paused: true, label: t('watch.noPicture') });
        openMenu(this.#quality, choices.map((choice) => ({
            label: choice.long ?? choice.label,
            checked: choice.rid === this.#choice.rid && Boolean(choice.paused) === Boolean(this.#choice.paused),
            action: () => void this.#choose(choice),
        })), t('watch.quality'));
    }

    /** @param {Choice} choice */
    async #choose(choice) {
        const before = this.#choice;
        this.#choice = choice;
        try {
            await this.#apply();
            announce(t('watch.qualityNow', { value: choice.label }));
        } catch {
            this.#choice = before;
            announce(t('watch.qualityFailed'));
        }
        this.#showChoice();
    }

    async #apply() {
        const { rid, paused } = this.#choice;
        await this.#session?.choose({ ...(rid !== undefined && { rid }), ...(paused && { paused }) });
    }

    #unmute() {
        this.#video.muted = false;
        void this.#video.play().catch(() => {});
    }

    /** @param {string} text */
    #say(text) {
        this.#cover.hidden = false;
        // the same text again would be read out again
        if (this.#state.textContent !== text) this.#state.textContent = text;
    }

    /** @param {any} error */
    #fail(error) {
        this.#badge.hidden = true;
        this.#again.hidden = false;
        /** @type {Record<number, string>} */
        const texts = { 401: t('watch.noToken'), 403: t('watch.noAccess'), 404: t('watch.none') };
        this.#say(texts[error?.status] ?? t('watch.unreachable'));
    }
}
