/** Signing in: by the name and password of an account. */

import { saveSettings, settings } from '../settings.js';
import { t } from '../texts.js';
import { h } from '../ui/dom.js';
import { asRoostError } from '../ui/local_media.js';
import { notice, problemText } from '../ui/notice.js';
import { brand } from './message.js';

/**
 * @param {{onsignin: (credentials: {user: string, password?: string}) => Promise<void>}} options
 * @returns {{element: HTMLElement}}
 */
export function signInPage({ onsignin }) {
    const problem = h('div');
    const user = h('input', {
        id: 'user',
        name: 'username',
        autocomplete: 'username',
        autocapitalize: 'none',
        spellcheck: 'false',
        maxlength: 64,
        required: true,
        value: settings.user,
    });
    const password = h('input', {
        id: 'password',
        name: 'password',
        type: 'password',
        autocomplete: 'current-password',
        maxlength: 256,
        'aria-describedby': 'password-hint',
    });
    const submit = h('button', { class: 'button primary', type: 'submit' }, t('signIn.submit'));

    async function signIn() {
        const name = user.value.trim();
        if (!name) return user.focus();
        submit.disabled = true;
        submit.textContent = t('signIn.busy');
        problem.replaceChildren();
        try {
            await onsignin({ user: name, ...(password.value ? { password: password.value } : {}) });
            saveSettings({ user: name });
        } catch (error) {
            const text = problemText(asRoostError(error));
            problem.replaceChildren(notice(text, []));
            password.select();
        }
        submit.disabled = false;
        submit.textContent = t('signIn.submit');
    }

    const element = h(
        'div',
        { class: 'message-page' },
        brand(),
        h(
            'main',
            { class: 'sign-in', id: 'content' },
            h(
                'form',
                {
                    class: 'lobby-form',
                    novalidate: true,
                    onsubmit: (/** @type {Event} */ event) => {
                        event.preventDefault();
                        void signIn();
                    },
                },
                h('div', { class: 'lobby-head' }, h('h1', null, t('signIn.title')), h('p', null, t('signIn.intro'))),
                problem,
                h('div', { class: 'field' }, h('label', { for: 'user' }, t('signIn.user')), user),
                h(
                    'div',
                    { class: 'field' },
                    h('label', { for: 'password' }, t('signIn.password')),
                    password,
                    h('span', { class: 'hint', id: 'password-hint' }, t('signIn.passwordHint')),
                ),
                submit,
            ),
        ),
    );
    queueMicrotask(() => (user.value ? password : user).focus());
    return { element };
}
