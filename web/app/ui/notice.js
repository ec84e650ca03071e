/** A problem in words: what happened, what to do, and a button that does it. */

import { t, tMaybe } from '../texts.js';
import { h, icon } from './dom.js';

/**
 * @typedef {{label: string, action: () => void, primary?: boolean}} NoticeAction
 */

/**
 * Title and body for a problem of the SDK.
 *
 * @param {import('../../sdk/roost.js').RoostError} error
 * @param {Record<string, string | number>} [values]
 * @returns {{title: string, body: string, action: string}}
 */
export function problemText(error, values) {
    const { code } = error;
    return {
        title: tMaybe(`problem.${code}.title`, values) ?? error.message,
        body: tMaybe(`problem.${code}.body`, values) ?? error.remedy,
        action: tMaybe(`problem.${code}.action`, values) ?? t('problem.retry'),
    };
}

/**
 * The same in one line.
 *
 * @param {import('../../sdk/roost.js').RoostError} error
 * @returns {string}
 */
export function problemLine(error) {
    const { title, body } = problemText(error);
    if (!body) return title;
    return `${title}${/[.!?…]$/.test(title) ? '' : '.'} ${body}`;
}

/**
 * @param {{title: string, body: string}} text
 * @param {NoticeAction[]} actions
 * @returns {HTMLElement}
 */
export function notice({ title, body }, actions) {
    return h(
        'section',
        { class: 'notice', role: 'alert' },
        icon('warning'),
        h('h2', null, title),
        body && h('p', null, body),
        actions.length > 0 &&
            h(
                'div',
                { class: 'actions' },
                ...actions.map(({ label, action, primary }) =>
                    h(
                        'button',
                        {
                            class: primary ? 'button small primary' : 'button small',
                            type: 'button',
                            onclick: action,
                        },
                        label,
                    ),
                ),
            ),
    );
}
