/** Arranges the tiles of a call: a grid, one large with a strip, or two people. */

import { t } from '../texts.js';
import { h } from './dom.js';
import { gridRects, pairRects, speakerRects } from './layout.js';

/** More tiles than this make faces too small to read. */
const GRID_MAX = 25;
const OVERFLOW_HEIGHT = 44;

/**
 * @typedef {import('./tile.js').Tile} Tile
 * @typedef {'person' | 'self' | 'screen'} TileKind
 */

export class Stage {
    /** @param {{onshown?: (ids: Set<string>) => void}} [options] onshown: these tiles can be seen */
    constructor(options = {}) {
        /** @readonly */
        this.element = h('section', { class: 'stage', 'aria-label': t('room.stage') });
        this.#onshown = options.onshown;
        this.#overflow = h('div', { class: 'chip more-tile', hidden: true });
        this.element.append(this.#overflow);
        this.#observer = new ResizeObserver(() => this.arrange(true));
        this.#observer.observe(this.element);
    }

    #onshown;
    #overflow;
    #observer;
    /** @type {Map<string, {tile: Tile, kind: TileKind}>} in the order of coming */
    #tiles = new Map();
    /** @type {'grid' | 'speaker'} */
    #mode = 'grid';
    /** @type {string | null} */
    #pinned = null;
    /** @type {string | null} who spoke last, for the speaker view */
    #speaker = null;
    /** @type {number | undefined} */
    #frame;

    get mode() {
        return this.#mode;
    }

    /** @param {'grid' | 'speaker'} mode */
    setMode(mode) {
        this.#mode = mode;
        this.arrange();
    }

    /**
     * @param {Tile} tile
     * @param {TileKind} kind
     */
    add(tile, kind) {
        this.#tiles.set(tile.id, { tile, kind });
        this.element.append(tile.element);
        this.arrange();
    }

    /** @param {string} id */
    remove(id) {
        this.#tiles.get(id)?.tile.remove();
        this.#tiles.delete(id);
        if (this.#pinned === id) this.#pinned = null;
        this.arrange();
    }

    /** @param {string} id who speaks */
    speaker(id) {
        if (this.#speaker === id || this.#tiles.get(id)?.kind !== 'person') return;
        this.#speaker = id;
        if (this.#mode === 'speaker' || this.#tiles.size > GRID_MAX) this.arrange();
    }

    /** @param {string} id is large until this is called again */
    togglePin(id) {
        this.#pinned = this.#pinned === id ? null : id;
        for (const [other, { tile }] of this.#tiles) tile.pinned(other === this.#pinned);
        this.arrange();
    }

    /** The tile that a picture in picture should show. */
    get main() {
        const id = this.#mainId() ?? this.#speaker ?? this.#ids()[0];
        return id ? this.#tiles.get(id)?.tile : undefined;
    }

    /** @param {boolean} [still] without motion: the window changes */
    arrange(still = false) {
        if (still) this.element.classList.add('still');
        if (this.#frame !== undefined) return;
        this.#frame = requestAnimationFrame(() => {
            this.#frame = undefined;
            this.#arrangeNow();
            requestAnimationFrame(() => this.element.classList.remove('still'));
        });
    }

    close() {
        this.#observer.disconnect();
        if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
        for (const { tile } of this.#tiles.values()) tile.remove();
        this.#tiles.clear();
    }

    /** @returns {string[]} others first, yourself last */
    #ids() {
        const self = [...this.#tiles].filter(([, { kind }]) => kind === 'self').map(([id]) => id);
        const others = [...this.#tiles].filter(([, { kind }]) => kind !== 'self').map(([id]) => id);
        return [...others, ...self];
    }

    /** @returns {string | null} the tile that is large */
    #mainId() {
        if (this.#pinned) return this.#pinned;
        const screens = [...this.#tiles].filter(([, { kind }]) => kind === 'screen');
        const latest = screens[screens.length - 1];
        if (latest) return latest[0];
        if (this.#mode !== 'speaker' || this.#tiles.size < 3) return null;
        const person = [...this.#tiles].find(([, { kind }]) => kind === 'person')?.[0] ?? null;
        return this.#speaker && this.#tiles.has(this.#speaker) ? this.#speaker : person;
    }

    #arrangeNow() {
        const box = { x: 0, y: 0, width: this.element.clientWidth, height: this.element.clientHeight };
        const ids = this.#ids();
        const main = this.#mainId();
        /** @type {Map<string, {rect: import('./layout.js').Rect, inset?: boolean}>} */
        const places = new Map();
        if (main && ids.length > 1) this.#arrangeMain(ids, main, box, places);
        else if (ids.length === 2) this.#arrangePair(ids, box, places);
        else this.#arrangeGrid(ids, box, places);
        for (const [id, { tile }] of this.#tiles) {
            const found = places.get(id);
            tile.place(found?.rect ?? null, { inset: found?.inset });
        }
        const hidden = ids.length - places.size;
        this.#overflow.hidden = hidden <= 0;
        this.#overflow.textContent = t('room.others', { count: hidden });
        this.#onshown?.(new Set(places.keys()));
    }

    /**
     * @param {string[]} ids
     * @param {string} main
     * @param {import('./layout.js').Rect} box
     * @param {Map<string, {rect: import('./layout.js').Rect, inset?: boolean}>} places
     */
    #arrangeMain(ids, main, box, places) {
        const rest = ids.filter((id) => id !== main);
        const { main: mainRect, strip } = speakerRects(rest.length, box);
        if (strip.length < rest.length && box.width > box.height) {
            // some room below the strip for the number of those who do not fit
            const less = speakerRects(rest.length, { ...box, height: box.height - OVERFLOW_HEIGHT });
            strip.splice(0, strip.length, ...less.strip);
        }
        places.set(main, { rect: mainRect });
        // whoever speaks is in the strip, and so are you
        const shown = this.#mostWanted(rest, strip.length);
        shown.forEach((id, index) => places.set(id, { rect: strip[index] }));
    }

    /**
     * @param {string[]} ids
     * @param {import('./layout.js').Rect} box
     * @param {Map<string, {rect: import('./layout.js').Rect, inset?: boolean}>} places
     */
    #arrangePair([other, self], box, places) {
        const { main, inset } = pairRects(box);
        places.set(other, { rect: main });
        places.set(self, { rect: inset, inset: true });
    }

    /**
     * @param {string[]} ids
     * @param {import('./layout.js').Rect} box
     * @param {Map<string, {rect: import('./layout.js').Rect, inset?: boolean}>} places
     */
    #arrangeGrid(ids, box, places) {
        const shown = this.#mostWanted(ids, Math.min(ids.length, GRID_MAX));
        const rects = gridRects(shown.length, box);
        shown.forEach((id, index) => places.set(id, { rect: rects[index] }));
    }

    /**
     * The first `count` tiles, with the speaker and yourself among them.
     *
     * @param {string[]} ids
     * @param {number} count
     * @returns {string[]}
     */
    #mostWanted(ids, count) {
        if (ids.length <= count) return ids;
        const must = ids.filter((id) => id === this.#speaker || this.#tiles.get(id)?.kind === 'self');
        const others = ids.filter((id) => !must.includes(id)).slice(0, Math.max(0, count - must.length));
        return ids.filter((id) => must.includes(id) || others.includes(id)).slice(0, count);
    }
}
