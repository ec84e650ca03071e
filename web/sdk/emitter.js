/**
 * A small typed event emitter. A listener that throws is reported and does not stop the others.
 *
 * @template {Record<string, unknown>} Events name of the event -> what its listeners get
 */
export class Emitter {
    /** @type {Map<keyof Events, Set<(detail: any) => void>>} */
    #listeners = new Map();

    /**
     * Adds a listener.
     *
     * @template {keyof Events} Name
     * @param {Name} name
     * @param {(detail: Events[Name]) => void} listener
     * @returns {() => void} removes the listener
     */
    on(name, listener) {
        const set = this.#listeners.get(name) ?? new Set();
        this.#listeners.set(name, set.add(listener));
        return () => void set.delete(listener);
    }

    /**
     * Adds a listener for the next such event only.
     *
     * @template {keyof Events} Name
     * @param {Name} name
     * @param {(detail: Events[Name]) => void} listener
     * @returns {() => void} removes the listener
     */
    once(name, listener) {
        const off = this.on(name, (detail) => {
            off();
            listener(detail);
        });
        return off;
    }

    /**
     * Tells all listeners.
     *
     * @template {keyof Events} Name
     * @param {Name} name
     * @param {Events[Name]} detail
     */
    emit(name, detail) {
        for (const listener of [...(this.#listeners.get(name) ?? [])]) {
            try {
                listener(detail);
            } catch (error) {
                console.error(`roost: a listener for "${String(name)}" failed`, error);
            }
        }
    }

    /** Forgets all listeners. */
    clear() {
        this.#listeners.clear();
    }
}
