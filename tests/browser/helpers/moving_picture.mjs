/** What pages send for a camera's picture: a canvas on which something moves, so that encoders have work. */

/**
 * Gives the page `movingPicture({fill, size, fps, boxes, busy})`: a video track of a canvas, drawn until the track is
 * stopped. fill: one colour, as for CSS; without it the colour changes all the time. boxes: so many go across it.
 * busy: edges that are elsewhere in each frame, so that it takes all bandwidth that its encoder may have.
 *
 * @param {import('puppeteer-core').Page} page
 */
export const addMovingPicture = (page) => page.evaluate(() => {
    globalThis.movingPicture = ({ fill, size: [width, height] = [320, 180], fps = 20, boxes = 1, busy = false } = {}) => {
        const canvas = document.createElement('canvas');
        Object.assign(canvas, { width, height });
        const context = canvas.getContext('2d');
        const grain = new OffscreenCanvas(width, height);
        for (let i = 0, brush = grain.getContext('2d'); busy && i < 24; i++) {
            brush.fillStyle = `hsl(${Math.random() * 360} 70% ${Math.random() * 100}%)`;
            brush.fillRect(Math.random() * width, Math.random() * height, width / 40, height / 40);
        }
        const [track] = canvas.captureStream(fps).getVideoTracks();
        let count = 0;
        const drawing = setInterval(() => {
            if (track.readyState === 'ended') clearInterval(drawing);
            context.fillStyle = fill ?? `hsl(${(count * 3) % 360} 80% 50%)`;
            context.fillRect(0, 0, width, height);
            if (busy) context.drawImage(grain, (Math.random() - 0.5) * width, (Math.random() - 0.5) * height);
            context.fillStyle = 'black';
            for (let i = 0; i < boxes; i++) {
                const y = boxes === 1 ? height - 20 : (i * 47 + count * 3) % height;
                context.fillRect((count * 4 + i * 83) % width, y, boxes === 1 ? 20 : 60, boxes === 1 ? 20 : 30);
            }
            count++;
        }, 1000 / fps);
        return track;
    };
});

/** @param {number[]} rgb */
export const css = (rgb) => `rgb(${rgb.join(',')})`;
