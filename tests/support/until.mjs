/** How long tests wait for what must come: so long that only a defect lasts longer, for machines are shared. */
export const patienceMs = 60000;

/**
 * Waits for a condition, never for a time: tries until `condition` gives something true, and returns
 * that.
 * @template T
 * @param {string} what for the error
 * @param {() => T | Promise<T>} condition
 * @param {number} [timeoutMs]
 * @param {number} [stepMs] between two tries
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, condition, timeoutMs = patienceMs, stepMs = 50) {
    const end = Date.now() + timeoutMs;
    for (;;) {
        const value = await condition();
        if (value) return /** @type {NonNullable<T>} */ (value);
        if (Date.now() > end) throw new Error(`in vain waited for: ${what} (last: ${value})`);
        await new Promise((resolve) => setTimeout(resolve, stepMs));
    }
}
