/** What the browser remembers for the user: name and devices. Works without storage, too. */

/**
 * @typedef {object} Settings
 * @property {string} name
 * @property {string} user the account that signed in last
 * @property {string} camera device id
 * @property {string} microphone device id
 * @property {string} speaker device id
 */

const KEY = 'roost';

/** @returns {Settings} */
function load() {
    const defaults = { name: '', user: '', camera: '', microphone: '', speaker: '' };
    try {
        return { ...defaults, ...JSON.parse(localStorage.getItem(KEY) ?? '{}') };
    } catch {
        return defaults; // storage is forbidden or holds something else
    }
}

/** @type {Readonly<Settings>} */
export let settings = load();

/** @param {Partial<Settings>} changes */
export function saveSettings(changes) {
    settings = { ...settings, ...changes };
    try {
        localStorage.setItem(KEY, JSON.stringify(settings));
    } catch {
        // private windows: remembered until the page closes
    }
}
