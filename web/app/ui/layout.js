/**
 * Where the tiles of a call go. Pure geometry: no element is touched here.
 *
 * @typedef {{x: number, y: number, width: number, height: number}} Rect
 * @typedef {{columns: number, rows: number, width: number, height: number}} Grid
 */

/** Space between two tiles, in pixels. */
export const GAP = 8;
/** More tiles than this below a large one are too small. */
const STRIP_MAX = 12;
/** Tiles are never wider than a camera's picture. */
const ASPECT_MAX = 16 / 9;
/** Nor narrower than this: squares on a desk, upright cards on a phone. */
const ASPECT_MIN_LANDSCAPE = 1;
const ASPECT_MIN_PORTRAIT = 3 / 4;

/**
 * The grid that gives `count` tiles the most room in a box of `width` x `height`.
 * On a wide window a tile that cuts off much of a 16:9 picture counts for less.
 *
 * @param {number} count
 * @param {number} width
 * @param {number} height
 * @returns {Grid}
 */
export function bestGrid(count, width, height) {
    const portrait = height > width;
    const aspectMin = portrait ? ASPECT_MIN_PORTRAIT : ASPECT_MIN_LANDSCAPE;
    /** @type {Grid} */
    let best = { columns: 1, rows: Math.max(1, count), width: 0, height: 0 };
    let bestScore = -1;
    for (let columns = 1; columns <= count; columns++) {
        const rows = Math.ceil(count / columns);
        if (rows > 1 && Math.ceil(count / rows) < columns) continue; // the same rows fit in fewer columns
        let w = Math.max(0, (width - GAP * (columns - 1)) / columns);
        let h = Math.max(0, (height - GAP * (rows - 1)) / rows);
        if (w > h * ASPECT_MAX) w = h * ASPECT_MAX;
        if (w < h * aspectMin) h = w / aspectMin;
        const shown = h > 0 ? Math.min(1, w / h / ASPECT_MAX) : 0;
        const score = w * h * (portrait ? 1 : Math.pow(shown, 0.4));
        if (score > bestScore + 0.5) {
            bestScore = score;
            best = { columns, rows, width: Math.floor(w), height: Math.floor(h) };
        }
    }
    return best;
}

/**
 * Places `count` tiles in a grid; a last row that is not full is centred.
 *
 * @param {number} count
 * @param {Rect} box
 * @returns {Rect[]}
 */
export function gridRects(count, box) {
    if (count <= 0) return [];
    const grid = bestGrid(count, box.width, box.height);
    const usedHeight = grid.rows * grid.height + (grid.rows - 1) * GAP;
    const top = box.y + (box.height - usedHeight) / 2;
    /** @type {Rect[]} */
    const rects = [];
    for (let i = 0; i < count; i++) {
        const row = Math.floor(i / grid.columns);
        const inRow = Math.min(grid.columns, count - row * grid.columns);
        const usedWidth = inRow * grid.width + (inRow - 1) * GAP;
        const left = box.x + (box.width - usedWidth) / 2;
        rects.push({
            x: Math.round(left + (i % grid.columns) * (grid.width + GAP)),
            y: Math.round(top + row * (grid.height + GAP)),
            width: grid.width,
            height: grid.height,
        });
    }
    return rects;
}

/**
 * The largest rectangle of aspect `aspect` centred in `box`.
 *
 * @param {Rect} box
 * @param {number} aspect
 * @returns {Rect}
 */
export function fit(box, aspect) {
    let width = box.width;
    let height = width / aspect;
    if (height > box.height) {
        height = box.height;
        width = height * aspect;
    }
    return {
        x: Math.round(box.x + (box.width - width) / 2),
        y: Math.round(box.y + (box.height - height) / 2),
        width: Math.round(width),
        height: Math.round(height),
    };
}

/**
 * One tile large and the others in a strip: at the side of a wide box, in a grid below in a
 * tall one.
 * Tiles that do not fit the strip get no rectangle.
 *
 * @param {number} stripCount how many tiles would like to be in the strip
 * @param {Rect} box
 * @param {{cover?: boolean}} [options] cover: the large tile fills its space (a face) instead of
 *     keeping room for a whole 16:9 picture
 * @returns {{main: Rect, strip: Rect[]}}
 */
export function speakerRects(stripCount, box, options = {}) {
    if (stripCount <= 0) {
        return { main: options.cover ? { ...box } : fit(box, ASPECT_MAX), strip: [] };
    }
    const side = box.width > box.height;
    if (side) {
        // as wide as fits all of them, but not too small to see a face
        const forAll = ((box.height + GAP) / stripCount - GAP) * ASPECT_MAX;
        const most = Math.min(240, Math.max(144, box.width * 0.18));
        const width = Math.round(Math.min(most, Math.max(144, forAll)));
        const height = Math.floor((width * 9) / 16);
        const fits = Math.max(1, Math.floor((box.height + GAP) / (height + GAP)));
        const count = Math.min(stripCount, fits);
        const used = count * height + (count - 1) * GAP;
        const top = box.y + Math.max(0, (box.height - used) / 2);
        return {
            main: { x: box.x, y: box.y, width: box.width - width - GAP, height: box.height },
            strip: Array.from({ length: count }, (_, i) => ({
                x: box.x + box.width - width,
                y: Math.round(top + i * (height + GAP)),
                width,
                height,
            })),
        };
    }
    // a tall window: the picture keeps its shape, the others share the room below it
    const height = Math.round(Math.min((box.width * 9) / 16, box.height * 0.6));
    const below = {
        x: box.x,
        y: box.y + height + GAP,
        width: box.width,
        height: box.height - height - GAP,
    };
    return {
        main: { x: box.x, y: box.y, width: box.width, height },
        strip: gridRects(Math.min(stripCount, STRIP_MAX), below),
    };
}

/**
 * Two people: the other one fills the stage, you are the inset in a corner.
 *
 * @param {Rect} box
 * @returns {{main: Rect, inset: Rect}}
 */
export function pairRects(box) {
    const portrait = box.height > box.width;
    const width = Math.round(
        portrait ? Math.min(box.width * 0.3, 140) : Math.min(260, Math.max(144, box.width * 0.2)),
    );
    const height = Math.round(portrait ? (width * 4) / 3 : (width * 9) / 16);
    const margin = 2 * GAP;
    return {
        main: { ...box },
        inset: {
            x: box.x + box.width - width - margin,
            y: box.y + box.height - height - margin,
            width,
            height,
        },
    };
}
