/** What a test saw, as one table: a row for each pair of languages, a column for each thing that was tried. */

export class Table {
    /** @type {Map<string, Map<string, string>>} column -> row -> what was seen */
    #columns = new Map();

    /** A cell may have several marks. @param {string} column @param {string} row @param {string} mark */
    note(column, row, mark) {
        const rows = this.#columns.get(column) ?? new Map();
        const marks = [...(rows.get(row)?.split(' and ') ?? []), mark];
        this.#columns.set(column, rows.set(row, [...new Set(marks)].sort().join(' and ')));
    }

    /** Cells in which nothing is written: `column: row`. @param {string[]} columns @param {string[]} rows */
    blank(columns, rows) {
        return columns.flatMap((column) => rows.filter((row) => !this.#columns.get(column)?.get(row)).map((row) => `${column}: ${row}`));
    }

    /** @param {string[]} columns @param {string[]} rows */
    print(columns, rows) {
        const cell = (/** @type {string} */ column, /** @type {string} */ row) => this.#columns.get(column)?.get(row) ?? '';
        const wide = (/** @type {string} */ column) => Math.max(column.length, ...rows.map((row) => cell(column, row).length));
        const first = Math.max(...rows.map((row) => row.length));
        console.log([''.padEnd(first), ...columns.map((column) => column.padEnd(wide(column)))].join(' | '));
        for (const row of rows) console.log([row.padEnd(first), ...columns.map((column) => cell(column, row).padEnd(wide(column)))].join(' | '));
    }
}
