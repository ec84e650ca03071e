/** Connection details: what getStats says, for those who want to know. */

import { t } from '../texts.js';
import { showDialog } from './dialog.js';
import { h } from './dom.js';

const EVERY_MS = 1000;

/**
 * @param {() => Promise<import('../../sdk/quality.js').ConnectionStats | null>} read
 */
export function showDetails(read) {
    const content = h('div', null, t('details.waiting'));
    const timer = setInterval(() => {
        void read().then((stats) => stats && content.replaceChildren(...render(stats)));
    }, EVERY_MS);
    showDialog(t('details.title'), content, () => clearInterval(timer));
}

/**
 * @param {import('../../sdk/quality.js').ConnectionStats} stats
 * @returns {HTMLElement[]}
 */
function render(stats) {
    /** @param {number} bits */
    const rate = (bits) => (bits >= 1e6 ? `${(bits / 1e6).toFixed(1)}\u00a0Mb/s` : `${Math.round(bits / 1e3)}\u00a0kb/s`);
    const summary = [
        [t('details.rtt'), stats.rttMs ? `${stats.rttMs} ms` : '–'],
        [t('details.path'), stats.localCandidate || '–'],
        [t('details.available'), stats.outgoingBitrateAvailable ? rate(stats.outgoingBitrateAvailable) : '–'],
    ];
    const used = stats.tracks.filter(({ bitrate }) => bitrate > 0);
    const head = ['details.track', 'details.bitrate', 'details.loss', 'details.size'];
    return [
        h(
            'table',
            { class: 'details-table' },
            ...summary.map(([name, value]) => h('tr', null, h('th', { scope: 'row' }, name), h('td', null, value))),
        ),
        h(
            'table',
            { class: 'details-table' },
            h(
                'tr',
                null,
                ...head.map((key) =>
                    h('th', { scope: 'col' }, t(/** @type {import('../texts.js').TextKey} */ (key))),
                ),
            ),
            ...used.map((track) =>
                h(
                    'tr',
                    null,
                    h('td', null, t(`details.${track.direction}`, { kind: track.codec || track.kind })),
                    h('td', null, rate(track.bitrate)),
                    h('td', null, `${(track.lossRatio * 100).toFixed(1)}\u00a0%`),
                    h('td', null, track.width ? `${track.width}×${track.height} · ${track.frameRate}/s` : ''),
                ),
            ),
        ),
    ];
}
