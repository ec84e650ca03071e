/**
 * Building elements without markup strings: nothing here can inject HTML, and no inline style or
 * script is made, so the strict content security policy holds.
 */

/** @typedef {Node | string | number | null | undefined | false} Child */

const SVG = 'http://www.w3.org/2000/svg';

/**
 * Makes an element. Properties: `class`, `on<event>` listeners, booleans, `data-*`, `aria-*` and
 * attributes; `null`, `undefined` and `false` leave the attribute out.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, unknown> | null} [properties]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, properties, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties ?? {})) {
        if (typeof value === 'function') {
            element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
        } else if (value !== null && value !== undefined && value !== false) {
            element.setAttribute(name, value === true ? '' : String(value));
        }
    }
    append(element, children);
    return element;
}

/**
 * @param {Element} parent
 * @param {Child[]} children
 */
export function append(parent, children) {
    for (const child of children) {
        if (child !== null && child !== undefined && child !== false) {
            parent.append(child instanceof Node ? child : String(child));
        }
    }
}

/**
 * An icon of the sprite; decoration only, the button around it carries the name.
 *
 * @param {string} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('class', 'icon');
    svg.setAttribute('aria-hidden', 'true');
    svg.setAttribute('focusable', 'false');
    const use = document.createElementNS(SVG, 'use');
    use.setAttribute('href', `/app/icons.svg#${name}`);
    svg.append(use);
    return svg;
}

/**
 * Points an icon made by icon() at another drawing.
 *
 * @param {Element} holder an element that contains the icon
 * @param {string} name
 */
export function setIcon(holder, name) {
    holder.querySelector('.icon > use')?.setAttribute('href', `/app/icons.svg#${name}`);
}

/**
 * Sets an attribute to a text, or removes it.
 *
 * @param {Element} element
 * @param {string} name
 * @param {string | boolean | null} value
 */
export function attribute(element, name, value) {
    if (value === null || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? '' : value);
}

/** @returns {boolean} the user asked for less motion */
export function reducedMotion() {
    return matchMedia('(prefers-reduced-motion: reduce)').matches;
}
