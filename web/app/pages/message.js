/** A page with one message: the call ended, a problem without a call, nothing found. */

import { t } from '../texts.js';
import { h, icon } from '../ui/dom.js';

/** @returns {HTMLElement} */
export function brand() {
    return h('a', { class: 'brand', href: '/' }, icon('logo'), t('app.name'));
}

/**
 * @param {{icon: string, title: string, body: string, actions: {label: string, href?: string, action?: () => void, primary?: boolean}[]}} message
 * @returns {HTMLElement}
 */
export function messagePage({ icon: name, title, body, actions }) {
    const heading = h('h1', { tabindex: -1 }, title);
    queueMicrotask(() => heading.focus({ preventScroll: true }));
    return h(
        'div',
        { class: 'message-page' },
        brand(),
        h(
            'main',
            { class: 'message', id: 'content' },
            icon(name),
            heading,
            h('p', null, body),
            h(
                'div',
                { class: 'actions' },
                ...actions.map(({ label, href, action, primary }) =>
                    href
                        ? h('a', { class: primary ? 'button primary' : 'button', href }, label)
                        : h(
                              'button',
                              {
                                  class: primary ? 'button primary' : 'button',
                                  type: 'button',
                                  onclick: action,
                              },
                              label,
                          ),
                ),
            ),
        ),
    );
}
