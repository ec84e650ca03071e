import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GAP, bestGrid, fit, gridRects, pairRects, speakerRects } from '../../web/app/ui/layout.js';

const BOXES = [
    { x: 0, y: 0, width: 1256, height: 656 },
    { x: 0, y: 0, width: 1896, height: 936 },
    { x: 0, y: 0, width: 374, height: 702 },
    { x: 0, y: 0, width: 344, height: 500 },
    { x: 10, y: 20, width: 640, height: 360 },
];

/** @param {import('../../web/app/ui/layout.js').Rect[]} rects */
function assertApart(rects) {
    rects.forEach((a, i) =>
        rects.slice(i + 1).forEach((b) => {
            const across = a.x + a.width <= b.x || b.x + b.width <= a.x;
            const down = a.y + a.height <= b.y || b.y + b.height <= a.y;
            assert.ok(across || down, `${JSON.stringify(a)} overlaps ${JSON.stringify(b)}`);
        }),
    );
}

/** @param {import('../../web/app/ui/layout.js').Rect[]} rects @param {import('../../web/app/ui/layout.js').Rect} box */
function assertInside(rects, box) {
    for (const { x, y, width, height } of rects) {
        assert.ok(x >= box.x - 1 && y >= box.y - 1, `${x},${y} is outside`);
        assert.ok(x + width <= box.x + box.width + 1 && y + height <= box.y + box.height + 1, 'reaches outside');
    }
}

test('1 to 25 tiles stay inside every window and never overlap', () => {
    for (const box of BOXES) {
        for (let count = 1; count <= 25; count++) {
            const rects = gridRects(count, box);
            assert.equal(rects.length, count);
            assertInside(rects, box);
            assertApart(rects);
        }
    }
});

test('tiles are never wider than a camera picture nor narrower than a card', () => {
    for (const box of BOXES) {
        for (let count = 1; count <= 25; count++) {
            const { width, height } = bestGrid(count, box.width, box.height);
            assert.ok(width / height < 16 / 9 + 0.05, `${count}: ${width}x${height}`);
            assert.ok(width / height > 0.74, `${count}: ${width}x${height}`);
        }
    }
});

test('a wide window puts three people in two columns, a phone in one', () => {
    assert.equal(bestGrid(3, 1256, 656).columns, 2);
    assert.equal(bestGrid(3, 374, 702).columns, 1);
});

test('nine and twenty-five people fill a square grid', () => {
    assert.deepEqual([bestGrid(9, 1256, 656).columns, bestGrid(9, 1256, 656).rows], [3, 3]);
    assert.deepEqual([bestGrid(25, 1896, 936).columns, bestGrid(25, 1896, 936).rows], [5, 5]);
});

test('a row that is not full is centred', () => {
    const box = BOXES[0];
    const rects = gridRects(5, box);
    const last = rects.filter(({ y }) => y === rects[4].y);
    const middle = (last[0].x + last[last.length - 1].x + last[0].width) / 2;
    assert.ok(Math.abs(middle - box.width / 2) <= 1);
});

test('beside a large tile the strip holds everybody it can, without overlap', () => {
    for (const box of BOXES) {
        for (let count = 1; count <= 30; count++) {
            const { main, strip } = speakerRects(count, box);
            assert.ok(strip.length >= 1 && strip.length <= count);
            assertInside([main, ...strip], box);
            assertApart([main, ...strip]);
        }
    }
    assert.equal(speakerRects(5, BOXES[0]).strip.length, 5);
});

test('on a phone a shared screen keeps its shape and leaves room for faces', () => {
    const { main, strip } = speakerRects(4, BOXES[2]);
    assert.ok(Math.abs(main.width / main.height - 16 / 9) < 0.02);
    assert.equal(strip.length, 4);
    assert.ok(strip[0].y >= main.y + main.height + GAP - 1);
});

test('of two people one fills the stage and the other is a small inset in it', () => {
    for (const box of BOXES) {
        const { main, inset } = pairRects(box);
        assert.deepEqual(main, box);
        assertInside([inset], box);
        assert.ok(inset.width * inset.height < box.width * box.height * 0.15);
    }
});

test('fit keeps the aspect and the centre', () => {
    assert.deepEqual(fit({ x: 0, y: 0, width: 400, height: 400 }, 2), { x: 0, y: 100, width: 400, height: 200 });
});
