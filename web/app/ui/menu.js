/** A menu that opens at a button: arrow keys, Escape, outside clicks. */

import { attribute, h, icon } from './dom.js';

/**
 * @typedef {{heading: string} | {separator: true} | MenuEntry} MenuItem
 *
 * @typedef {object} MenuEntry
 * @property {string} label
 * @property {string} [icon]
 * @property {boolean} [checked] makes it a choice
 * @property {boolean} [danger]
 * @property {() => void} action
 */

/** @type {(() => void) | null} */
let closeOpen = null;

/** Closes the open menu, if there is one. */
export function closeMenu() {
    closeOpen?.();
}

/**
 * Opens a menu above (or below) a button; a second press closes it.
 *
 * @param {HTMLElement} button
 * @param {MenuItem[]} items
 * @param {string} name for screen readers
 */
export function openMenu(button, items, name) {
    const again = button.getAttribute('aria-expanded') === 'true';
    closeMenu();
    if (again) return;
    const menu = h('div', { class: 'menu', role: 'menu', 'aria-label': name }, ...items.map(render));
    const host = button.closest('.room, .watch-page') ?? document.body;
    host.append(menu);
    place(menu, button);
    const buttons = [...menu.querySelectorAll('button')];
    const close = () => {
        if (closeOpen !== close) return;
        closeOpen = null;
        const inside = menu.contains(document.activeElement);
        menu.remove();
        attribute(button, 'aria-expanded', 'false');
        document.removeEventListener('pointerdown', outside, true);
        removeEventListener('resize', close);
        if (inside) button.focus();
    };
    /** @param {Event} event */
    const outside = (event) => {
        const target = /** @type {Node} */ (event.target);
        if (!menu.contains(target) && !button.contains(target)) close();
    };
    closeOpen = close;
    attribute(button, 'aria-expanded', 'true');
    document.addEventListener('pointerdown', outside, true);
    addEventListener('resize', close);
    menu.addEventListener('click', close);
    menu.addEventListener('keydown', (event) => onKey(event, buttons, close));
    (buttons.find((one) => one.getAttribute('aria-checked') === 'true') ?? buttons[0])?.focus();
}

/**
 * @param {MenuItem} item
 * @returns {HTMLElement}
 */
function render(item) {
    if ('separator' in item) return h('hr', { role: 'separator' });
    if ('heading' in item) return h('div', { class: 'heading', role: 'presentation' }, item.heading);
    const choice = item.checked !== undefined;
    return h(
        'button',
        {
            type: 'button',
            role: choice ? 'menuitemradio' : 'menuitem',
            'aria-checked': choice ? String(item.checked) : null,
            class: item.danger ? 'danger' : null,
            tabindex: -1,
            onclick: item.action,
        },
        choice ? (item.checked ? icon('check') : h('i')) : item.icon ? icon(item.icon) : h('i'),
        h('span', null, item.label),
    );
}

/**
 * @param {HTMLElement} menu
 * @param {HTMLElement} button
 */
function place(menu, button) {
    const at = button.getBoundingClientRect();
    const { width, height } = menu.getBoundingClientRect();
    const above = at.top - height - 8 >= 8;
    const top = above ? at.top - height - 8 : Math.min(at.bottom + 8, innerHeight - height - 8);
    const left = Math.max(8, Math.min(at.left + at.width / 2 - width / 2, innerWidth - width - 8));
    menu.style.top = `${Math.max(8, top)}px`;
    menu.style.left = `${left}px`;
}

/**
 * @param {KeyboardEvent} event
 * @param {HTMLButtonElement[]} buttons
 * @param {() => void} close
 */
function onKey(event, buttons, close) {
    const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const count = buttons.length;
    switch (event.key) {
        case 'ArrowDown':
            buttons[(at + 1) % count]?.focus();
            break;
        case 'ArrowUp':
            buttons[(at - 1 + count) % count]?.focus();
            break;
        case 'Home':
            buttons[0]?.focus();
            break;
        case 'End':
            buttons[count - 1]?.focus();
            break;
        case 'Escape':
        case 'Tab':
            close();
            break;
        default:
            return;
    }
    event.preventDefault();
    event.stopPropagation();
}
